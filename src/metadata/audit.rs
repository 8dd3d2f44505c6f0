//! Who did what: actions on keys and syncs.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    Error, Metadata,
    database::Transaction,
    row::Row,
    statement::{Statement, TEXT_BYTES_MAX, storable},
};
use crate::domain::Principal;

/// Most entries of one listing: far more than a screen, and little memory.
pub const AUDIT_LISTED_MAX: usize = 1000;

/// The detail of an action whose outcome was not recorded: its process was killed, or metadata was gone by
/// then.
pub const AUDIT_UNFINISHED: &str = "started; outcome not recorded";

/// One action.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: DateTime<Utc>,
    /// Who: `cli:jane@host` for a command, `key:NAME (ID)` for the holder of an admin key, `session:NAME (ID)` for a
    /// browser that signed in by a link, `visitor` for one that did not, `larder` for what a publisher resolved by
    /// itself.
    pub actor: String,
    /// The address that it was requested from; `None` for a command.
    pub address: Option<String>,
    /// What: `key.create`, `key.rotate`, `key.revoke`, `admin_key.create`,
    /// `admin_key.revoke`, `login_link.create`, `login_link.refuse`, `session.begin`, `session.end`, `sync.run`,
    /// `sync.accept`, `sync.pause`, `sync.resume`, `run.approve`, `run.cancel`, `collection.rollback`, `collection.drop`,
    /// `collection.pin`, `collection.unpin`, and `save`, `delete`, `undo`, `import` and `rotate_secrets` of a stored `source`,
    /// `model` or `sync`.
    pub action: String,
    /// On what: a collection, the id of a key, admin key, session or link, or a stored entry such as `sources.crm`.
    pub subject: String,
    /// More, for people; never a key or a row's values. At most 4 KiB is kept.
    pub detail: Option<String>,
}

impl AuditEntry {
    /// An entry about an action of `principal`.
    pub fn new(
        at: DateTime<Utc>,
        principal: &Principal,
        action: &str,
        subject: &(impl ToString + ?Sized),
        detail: Option<String>,
    ) -> Self {
        let (actor, address) = (principal.to_string(), principal.address().map(str::to_owned));
        Self { at, actor, address, action: action.to_owned(), subject: subject.to_string(), detail }
    }
}

/// An entry whose outcome is written when it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditId(u64);

fn insert(entry: &AuditEntry) -> Statement {
    let text = |text: &str| storable(text, TEXT_BYTES_MAX);
    Statement::new(
        "insert into audit_log (at, actor, action, subject, detail, address) values ($1, $2, $3, $4, $5, $6) returning id",
    )
    .bind(entry.at)
    .bind(text(&entry.actor))
    .bind(text(&entry.action))
    .bind(text(&entry.subject))
    .bind(entry.detail.as_deref().map(text))
    .bind(entry.address.as_deref().map(text))
}

fn entry(row: &Row) -> Result<AuditEntry, Error> {
    Ok(AuditEntry {
        at: row.time("at")?,
        actor: row.text("actor")?,
        address: row.text_or_null("address")?,
        action: row.text("action")?,
        subject: row.text("subject")?,
        detail: row.text_or_null("detail")?,
    })
}

/// Adds an entry within a transaction: the action and its entry are committed together or not at all.
pub(super) async fn add(transaction: &mut Transaction, entry: &AuditEntry) -> Result<(), Error> {
    transaction.row(insert(entry)).await.map(drop)
}

impl Metadata {
    /// Adds an entry to the audit log and returns its id for [`Metadata::audit_ended`].
    pub async fn audit(&self, entry: &AuditEntry) -> Result<AuditId, Error> {
        let row = self.database.row(insert(entry)).await?;
        Ok(AuditId(row.ok_or(Error::Unreadable("id"))?.natural("id")?))
    }

    /// Replaces the detail of an entry with the outcome of its action. Does nothing when the entry has been
    /// pruned.
    pub async fn audit_ended(&self, id: AuditId, detail: &str) -> Result<(), Error> {
        let update = Statement::new("update audit_log set detail = $2 where id = $1");
        self.database.execute(update.bind(id.0).bind(storable(detail, TEXT_BYTES_MAX))).await.map(drop)
    }

    /// The newest entries, of one `subject` or of all, newest first; at most [`AUDIT_LISTED_MAX`].
    pub async fn audit_log(&self, subject: Option<&str>, limit: usize) -> Result<Vec<AuditEntry>, Error> {
        let select = Statement::new(
            "select at, actor, address, action, subject, detail from audit_log where subject = coalesce($1, subject) \
             order by at desc, id desc limit $2",
        );
        let subject = subject.map(|subject| storable(subject, TEXT_BYTES_MAX));
        let select = select.bind(subject).bind(limit.min(AUDIT_LISTED_MAX));
        let rows = self.database.rows(select).await?;
        rows.iter().map(entry).collect()
    }

    /// Entries before the one at `before` (`None`: the newest), of one `subject` or of all, newest first, each with
    /// its place for the next page; at most [`AUDIT_LISTED_MAX`] and one.
    pub async fn audit_before(
        &self,
        subject: Option<&str>,
        before: Option<(DateTime<Utc>, u64)>,
        limit: usize,
    ) -> Result<Vec<(u64, AuditEntry)>, Error> {
        // Both are read from an index, from the first entry of the page on.
        let select = Statement::new(match subject {
            Some(_) => {
                "select id, at, actor, address, action, subject, detail from audit_log \
                 where subject = $4 and (at, id) < ($1, $2) order by at desc, id desc limit $3"
            }
            None => {
                "select id, at, actor, address, action, subject, detail from audit_log \
                 where (at, id) < ($1, $2) order by at desc, id desc limit $3"
            }
        });
        let (at, id) = before.map_or((i64::MAX, 0), |(at, id)| (at.timestamp_micros(), id));
        let select = select.bind(at).bind(id).bind(limit.min(AUDIT_LISTED_MAX + 1));
        let select = subject
            .into_iter()
            .fold(select, |select, subject| select.bind(storable(subject, TEXT_BYTES_MAX)));
        let rows = self.database.rows(select).await?;
        rows.iter().map(|row| Ok((row.natural("id")?, entry(row)?))).collect()
    }

    /// Deletes entries from before `older_than` and returns their number.
    pub async fn prune_audit_log(&self, older_than: DateTime<Utc>) -> Result<u64, Error> {
        self.database.execute(Statement::new("delete from audit_log where at < $1").bind(older_than)).await
    }
}
