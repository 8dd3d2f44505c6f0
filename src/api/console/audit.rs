//! The page of the audit log.

use axum::{
    extract::{Query, State},
    response::Html,
};
use serde::Deserialize;

use super::answer::Refused;
use crate::{
    api::admin::{AdminState, gate::Caller, keys::read_audit},
    console::AuditPage,
};

/// Entries of one page.
const ENTRIES_SHOWN: usize = 100;

/// Which entries.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    subject: String,
    cursor: Option<String>,
}

/// The entries, newest first.
pub(super) async fn list(
    State(state): State<AdminState>,
    Caller(grant): Caller,
    Query(Filter { subject, cursor }): Query<Filter>,
) -> Result<Html<String>, Refused> {
    let (admin, subject) = (state.publisher()?.admin(), subject.trim());
    let limited = Some(subject).filter(|subject| !subject.is_empty());
    let page = read_audit(&admin, limited, cursor.as_deref(), ENTRIES_SHOWN).await?;
    let page = AuditPage {
        visitor: (&grant).into(),
        entries: &page.items,
        subject,
        cursor: cursor.as_deref(),
        next: page.next.as_deref(),
        now: state.clock.now(),
    };
    Ok(Html(page.render()))
}
