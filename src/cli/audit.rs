//! `larder audit`: who did what.

use super::{
    args::{Audit, ConfigArguments},
    exit::Exit,
    output::{Failure, moment, or_dash, print, print_json, print_table, shown},
    remote::Remote,
    session,
};
use crate::admin::AuditEntry;

pub(super) async fn run(config: &ConfigArguments, arguments: Audit) -> Result<Exit, Failure> {
    let subject = arguments.subject.as_deref();
    let limit = arguments.limit as usize;
    let log: Vec<AuditEntry> = match Remote::of(config)? {
        Some(remote) => {
            let query: Vec<_> = subject.map(|subject| ("subject", subject)).into_iter().collect();
            remote.list("/admin/v1/audit", &query, limit).await?
        }
        None => session::admin(config).await?.audit_log(subject, limit).await?,
    };
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
    let AuditEntry { at, actor, address, action, subject, detail } = entry;
    let from = address.as_deref().map(|address| format!(" from {}", shown(address))).unwrap_or_default();
    vec![
        moment(*at),
        format!("{}{from}", shown(actor)),
        shown(action).into_owned(),
        shown(subject).into_owned(),
        or_dash(detail.as_deref().map(shown)),
    ]
}
