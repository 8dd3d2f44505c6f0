//! `larder audit`: who did what.

use super::{
    args::{Audit, ConfigArguments},
    exit::Exit,
    output::{Failure, moment, or_dash, print, print_json, print_table, shown},
    session,
};
use crate::admin::AuditEntry;

pub(super) async fn run(config: &ConfigArguments, arguments: Audit) -> Result<Exit, Failure> {
    let subject = arguments.subject.as_deref();
    let log = session::admin(config).await?.audit_log(subject, arguments.limit as usize).await?;
    if arguments.json {
        print_json(&log)?;
    } else if log.is_empty() {
        let about = subject.map(|subject| format!(" about {:?}", shown(subject))).unwrap_or_default();
        print(&format!("nothing in the audit log{about}"))?;
    } else {
        print_table(&["TIME", "ACTOR", "ACTION", "OBJECT", "DETAILS"], log.iter().map(row))?;
    }
    Ok(Exit::Success)
}

fn row(entry: &AuditEntry) -> Vec<String> {
    let AuditEntry { at, actor, action, subject, detail } = entry;
    let mut row = vec![moment(*at)];
    row.extend([actor, action, subject].map(|text| shown(text).into_owned()));
    row.push(or_dash(detail.as_deref().map(shown)));
    row
}
