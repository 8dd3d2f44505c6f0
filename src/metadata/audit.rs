//! Who did what: actions on keys and syncs.

use chrono::{DateTime, Utc};

use super::{
    Error, Metadata,
    database::Transaction,
    statement::{Statement, TEXT_BYTES_MAX, storable},
};

/// Most entries that one listing gives: a screen is far less, memory stays small.
pub const AUDIT_LISTED_MAX: usize = 1000;

/// One action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: DateTime<Utc>,
    /// Who: `cli`, `scheduler`.
    pub actor: String,
    /// What: `key.create`, `key.revoke`, `sync.run`, `sync.accept`, `sync.pause`, `sync.resume`,
    /// `run.approve`, `collection.rollback`, `collection.drop`, `collection.pin`, `collection.unpin`.
    pub action: String,
    /// On what: a key id, a collection, a run.
    pub subject: String,
    /// More, for people; never a key or a row's values. At most 4 KiB is kept.
    pub detail: Option<String>,
}

fn insert(entry: &AuditEntry) -> Statement {
    let text = |text: &str| storable(text, TEXT_BYTES_MAX);
    Statement::new("insert into audit_log (at, actor, action, subject, detail) values ($1, $2, $3, $4, $5)")
        .bind(entry.at)
        .bind(text(&entry.actor))
        .bind(text(&entry.action))
        .bind(text(&entry.subject))
        .bind(entry.detail.as_deref().map(text))
}

/// Adds an entry within a transaction: the action and its entry stand or fall together.
pub(super) async fn add(transaction: &mut Transaction, entry: &AuditEntry) -> Result<(), Error> {
    transaction.execute(insert(entry)).await.map(drop)
}

impl Metadata {
    /// Adds an entry to the audit log.
    pub async fn audit(&self, entry: &AuditEntry) -> Result<(), Error> {
        self.database.execute(insert(entry)).await.map(drop)
    }

    /// The newest entries, newest first; at most [`AUDIT_LISTED_MAX`].
    pub async fn audit_log(&self, limit: usize) -> Result<Vec<AuditEntry>, Error> {
        let select = Statement::new(
            "select at, actor, action, subject, detail from audit_log order by at desc, id desc limit $1",
        );
        let rows = self.database.rows(select.bind(limit.min(AUDIT_LISTED_MAX))).await?;
        rows.iter()
            .map(|row| {
                Ok(AuditEntry {
                    at: row.time("at")?,
                    actor: row.text("actor")?,
                    action: row.text("action")?,
                    subject: row.text("subject")?,
                    detail: row.text_or_null("detail")?,
                })
            })
            .collect()
    }

    /// Deletes entries from before `older_than`; gives their number.
    pub async fn prune_audit_log(&self, older_than: DateTime<Utc>) -> Result<u64, Error> {
        self.database.execute(Statement::new("delete from audit_log where at < $1").bind(older_than)).await
    }
}
