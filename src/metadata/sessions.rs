//! Sessions of browsers, and the links that begin them.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    AuditEntry, Error, Metadata, audit,
    database::Transaction,
    row::Row,
    statement::{Statement, TEXT_BYTES_MAX, storable},
};
use crate::domain::{Digest, LoginLinkEntry, Principal, SessionEntry};

/// Most sessions at once. Beyond that the one that was used least recently ends.
pub const SESSIONS_MAX: usize = 1000;
/// Most sessions of one admin key, of one person at the identity provider, and of all links of commands, so that nobody
/// ends the sessions of others.
pub const SESSIONS_OF_KEY_MAX: usize = 20;
/// Most links that wait for their use. Beyond that the oldest one ends.
pub const LOGIN_LINKS_MAX: usize = 100;

fn session(row: &Row) -> Result<SessionEntry, Error> {
    Ok(SessionEntry {
        id: row.text("id")?,
        sha256: row.parsed("sha256")?,
        key_id: row.text_or_null("key_id")?,
        parent_id: row.text_or_null("parent_id")?,
        subject: row.parsed_or_null("subject")?,
        name: row.text("name")?,
        role: row.parsed("role")?,
        created_at: row.time("created_at")?,
        used_at: row.time("used_at")?,
        expires_at: row.time("expires_at")?,
    })
}

fn link(row: &Row) -> Result<LoginLinkEntry, Error> {
    Ok(LoginLinkEntry {
        id: row.text("id")?,
        sha256: row.parsed("sha256")?,
        key_id: row.text_or_null("key_id")?,
        session_id: row.text_or_null("session_id")?,
        role: row.parsed("role")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
        expires_at: row.time("expires_at")?,
    })
}

/// Stores a session, and ends those beyond the bounds.
async fn insert(transaction: &mut Transaction, entry: &SessionEntry) -> Result<(), Error> {
    let insert = Statement::new(
        "insert into sessions (id, sha256, key_id, name, role, created_at, used_at, expires_at, subject, parent_id) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    );
    let insert = insert
        .bind(entry.id.as_str())
        .bind(entry.sha256.to_string())
        .bind(entry.key_id.clone())
        .bind(storable(&entry.name, TEXT_BYTES_MAX))
        .bind(entry.role.as_str())
        .bind(entry.created_at)
        .bind(entry.used_at)
        .bind(entry.expires_at)
        .bind(entry.subject.map(|subject| subject.to_string()))
        .bind(entry.parent_id.clone());
    transaction.execute(insert).await?;
    let of_owner = Statement::new(
        "delete from sessions where coalesce(key_id, subject, '') = $1 and id not in \
         (select id from sessions where coalesce(key_id, subject, '') = $1 order by used_at desc, id limit $2)",
    );
    let owner = entry.key_id.clone().or_else(|| entry.subject.map(|subject| subject.to_string()));
    transaction.execute(of_owner.bind(owner.unwrap_or_default()).bind(SESSIONS_OF_KEY_MAX)).await?;
    let of_all = Statement::new(
        "delete from sessions where id not in (select id from sessions order by used_at desc, id limit $1)",
    );
    transaction.execute(of_all.bind(SESSIONS_MAX)).await.map(drop)
}

impl Metadata {
    /// The sessions; at most [`SESSIONS_MAX`]. Some may have ended by time.
    pub async fn sessions(&self) -> Result<Vec<SessionEntry>, Error> {
        let select = Statement::new(
            "select id, sha256, key_id, parent_id, subject, name, role, created_at, used_at, expires_at from sessions \
             order by used_at desc, id limit $1",
        );
        self.database.rows(select.bind(SESSIONS_MAX)).await?.iter().map(session).collect()
    }

    /// Stores a new session and its audit entry.
    pub async fn begin_session(&self, entry: &SessionEntry, audited: &AuditEntry) -> Result<(), Error> {
        let mut transaction = self.database.begin().await?;
        insert(&mut transaction, entry).await?;
        audit::add(&mut transaction, audited).await?;
        transaction.commit().await
    }

    /// Notes that a session is in use at `now`.
    pub async fn touch_session(&self, id: &str, now: DateTime<Utc>) -> Result<(), Error> {
        let update = Statement::new("update sessions set used_at = $2 where id = $1 and used_at < $2");
        self.database.execute(update.bind(id).bind(now)).await.map(drop)
    }

    /// Ends a session; whether there was one.
    pub async fn end_session(&self, id: &str, audited: &AuditEntry) -> Result<bool, Error> {
        let mut transaction = self.database.begin().await?;
        let delete = Statement::new("delete from sessions where id = $1");
        if transaction.execute(delete.bind(id)).await? == 0 {
            return Ok(false);
        }
        audit::add(&mut transaction, audited).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Stores a new link.
    pub async fn create_login_link(
        &self,
        entry: &LoginLinkEntry,
        principal: &Principal,
    ) -> Result<(), Error> {
        let mut transaction = self.database.begin().await?;
        let insert = Statement::new(
            "insert into login_links (id, sha256, key_id, role, created_at, created_by, expires_at, session_id) \
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        );
        let insert = insert
            .bind(entry.id.as_str())
            .bind(entry.sha256.to_string())
            .bind(entry.key_id.clone())
            .bind(entry.role.as_str())
            .bind(entry.created_at)
            .bind(storable(&entry.created_by, TEXT_BYTES_MAX))
            .bind(entry.expires_at)
            .bind(entry.session_id.clone());
        transaction.execute(insert).await?;
        let beyond = Statement::new(
            "delete from login_links where id not in \
             (select id from login_links order by created_at desc, id limit $1)",
        );
        transaction.execute(beyond.bind(LOGIN_LINKS_MAX)).await?;
        let detail = Some(entry.role.to_string());
        let action = AuditEntry::new(entry.created_at, principal, "login_link.create", &entry.id, detail);
        audit::add(&mut transaction, &action).await?;
        transaction.commit().await
    }

    /// The link with this digest if it was not used and has not ended at `now`.
    pub async fn login_link(
        &self,
        sha256: Digest,
        now: DateTime<Utc>,
    ) -> Result<Option<LoginLinkEntry>, Error> {
        let select = Statement::new(
            "select id, sha256, key_id, session_id, role, created_at, created_by, expires_at from login_links \
             where sha256 = $1 and used_at is null and expires_at > $2",
        );
        let row = self.database.row(select.bind(sha256.to_string()).bind(now)).await?;
        row.as_ref().map(link).transpose()
    }

    /// Uses the link `link_id` for the session `entry`; `false` when it was used or has ended. Of two uses at the same
    /// time one succeeds.
    pub async fn use_login_link(
        &self,
        link_id: &str,
        entry: &SessionEntry,
        audited: &AuditEntry,
    ) -> Result<bool, Error> {
        let mut transaction = self.database.begin().await?;
        let update = Statement::new(
            "update login_links set used_at = $2 where id = $1 and used_at is null and expires_at > $2",
        );
        if transaction.execute(update.bind(link_id).bind(entry.created_at)).await? == 0 {
            return Ok(false);
        }
        insert(&mut transaction, entry).await?;
        audit::add(&mut transaction, audited).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Deletes sessions that have ended at `now`, those that were not used for `idle` among them, and ended links.
    pub async fn prune_sessions(&self, now: DateTime<Utc>, idle: TimeDelta) -> Result<u64, Error> {
        let sessions = Statement::new("delete from sessions where expires_at <= $1 or used_at <= $2");
        let sessions = self.database.execute(sessions.bind(now).bind(now - idle)).await?;
        let links = Statement::new("delete from login_links where expires_at <= $1");
        Ok(sessions + self.database.execute(links.bind(now)).await?)
    }
}
