//! Paused syncs: scheduled runs wait until an operator resumes them.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{
    Error, Metadata,
    audit::{self, AuditEntry},
    row::Row,
    statement::{Statement, TEXT_BYTES_MAX, storable},
};
use crate::domain::{id::RunId, name::CollectionName};

/// Why a sync's scheduled runs wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pause {
    /// Since when.
    pub at: DateTime<Utc>,
    /// Who paused it: `cli:jane@host`.
    pub by: String,
    /// Why: `rolled back to 41`. At most 4 KiB is kept.
    pub why: String,
    /// The run id under which the rollback behind this pause is to be announced; `None` once it is known to be
    /// announced. A rollback that is never announced leaves the pause without a reason.
    pub pending: Option<RunId>,
}

/// Why, for people.
impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pending = if self.pending.is_some() { ", not announced yet" } else { "" };
        write!(f, "{}{pending}", self.why)
    }
}

fn pause(row: &Row) -> Result<Pause, Error> {
    Ok(Pause {
        at: row.time("at")?,
        by: row.text("actor")?,
        why: row.text("reason")?,
        pending: row.parsed_or_null("pending")?,
    })
}

impl Metadata {
    /// Pauses a sync, or replaces its pause and returns the former one. The audit log has it as `sync.pause`.
    pub async fn pause_sync(&self, sync: &CollectionName, new: &Pause) -> Result<Option<Pause>, Error> {
        let mut transaction = self.database.begin().await?;
        let select = Statement::new("select at, actor, reason, pending from pauses where sync = $1");
        let before = transaction.row(select.bind(sync.as_str())).await?;
        let upsert = Statement::new(
            "insert into pauses (sync, at, actor, reason, pending) values ($1, $2, $3, $4, $5)
             on conflict (sync) do update set at = excluded.at, actor = excluded.actor, \
             reason = excluded.reason, pending = excluded.pending",
        );
        let upsert = upsert
            .bind(sync.as_str())
            .bind(new.at)
            .bind(storable(&new.by, TEXT_BYTES_MAX))
            .bind(storable(&new.why, TEXT_BYTES_MAX))
            .bind(new.pending.map(|run| run.to_string()));
        transaction.execute(upsert).await?;
        let action = AuditEntry::new(new.at, &new.by, "sync.pause", sync, Some(new.why.clone()));
        audit::add(&mut transaction, &action).await?;
        transaction.commit().await?;
        before.as_ref().map(pause).transpose()
    }

    /// Records that the rollback `run`, for which a sync was paused, is announced. Returns `false` and changes
    /// nothing when the sync does not have that pause.
    pub async fn confirm_pause(&self, sync: &CollectionName, run: RunId) -> Result<bool, Error> {
        let update = Statement::new("update pauses set pending = null where sync = $1 and pending = $2");
        Ok(self.database.execute(update.bind(sync.as_str()).bind(run.to_string())).await? == 1)
    }

    /// The syncs whose pause was made for a rollback that is not known to be announced.
    pub async fn syncs_with_pending_pauses(&self) -> Result<Vec<CollectionName>, Error> {
        let select = Statement::new("select sync from pauses where pending is not null order by sync");
        self.database.rows(select).await?.iter().map(|row| row.parsed("sync")).collect()
    }

    /// Ends the pause of a sync and returns it; `None` when there was none. The audit log has it as
    /// `sync.resume`, with `detail`.
    pub async fn resume_sync(
        &self,
        sync: &CollectionName,
        actor: &str,
        detail: Option<&str>,
    ) -> Result<Option<Pause>, Error> {
        let mut transaction = self.database.begin().await?;
        let delete =
            Statement::new("delete from pauses where sync = $1 returning at, actor, reason, pending");
        let Some(ended) = transaction.row(delete.bind(sync.as_str())).await? else { return Ok(None) };
        let detail = detail.map(str::to_owned);
        let action = AuditEntry::new(self.clock.now(), actor, "sync.resume", sync, detail);
        audit::add(&mut transaction, &action).await?;
        transaction.commit().await?;
        pause(&ended).map(Some)
    }

    /// The pause of a sync, if it is paused.
    pub async fn pause(&self, sync: &CollectionName) -> Result<Option<Pause>, Error> {
        let select = Statement::new("select at, actor, reason, pending from pauses where sync = $1");
        self.database.row(select.bind(sync.as_str())).await?.as_ref().map(pause).transpose()
    }
}
