//! `larder audit`: who did what.

use super::{
    args::{Audit, ConfigArguments},
    exit::Exit,
    output::{Failure, print, print_json, print_table, shown},
    session,
};
use crate::{app, metadata::AuditEntry, support::clock::Clock};

pub(super) async fn run(config: &ConfigArguments, arguments: Audit) -> Result<Exit, Failure> {
    let config = session::load(config)?;
    let metadata = app::open_metadata(&config, Clock::default()).await?;
    let subject = arguments.subject.as_deref();
    let log = metadata.audit_log(subject, arguments.limit as usize).await?;
    if arguments.json {
        print_json(&log)?;
    } else if log.is_empty() {
        let of = subject.map(|subject| format!(" about {:?}", shown(subject))).unwrap_or_default();
        print(&format!("nothing in the audit log{of}"))?;
    } else {
        let mut rows = vec![["TIME", "ACTOR", "ACTION", "OBJECT", "DETAILS"].map(str::to_owned).to_vec()];
        rows.extend(log.iter().map(row));
        print_table(&rows)?;
    }
    Ok(Exit::Success)
}

fn row(entry: &AuditEntry) -> Vec<String> {
    let AuditEntry { at, actor, action, subject, detail } = entry;
    let mut row = vec![at.format("%Y-%m-%dT%H:%M:%SZ").to_string()];
    row.extend([actor, action, subject].map(|text| shown(text).into_owned()));
    row.push(detail.as_deref().map_or("-".to_owned(), |detail| shown(detail).into_owned()));
    row
}
