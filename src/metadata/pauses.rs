//! Paused syncs: scheduled runs wait until somebody resumes them.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{
    Error, Metadata,
    audit::{self, AuditEntry},
    row::Row,
    statement::{Statement, TEXT_BYTES_MAX, storable},
};
use crate::domain::name::CollectionName;

/// Why a sync's scheduled runs wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pause {
    /// Since when.
    pub at: DateTime<Utc>,
    /// Who paused it: `cli`.
    pub by: String,
    /// Why: `rolled back to 41`. At most 4 KiB is kept.
    pub why: String,
}

fn pause(row: &Row) -> Result<Pause, Error> {
    Ok(Pause { at: row.time("at")?, by: row.text("actor")?, why: row.text("reason")? })
}

impl Metadata {
    /// Pauses a sync, or replaces the pause that it has; gives that one. The audit log has it as
    /// `sync.pause`.
    pub async fn pause_sync(&self, sync: &CollectionName, new: &Pause) -> Result<Option<Pause>, Error> {
        let mut transaction = self.database.begin().await?;
        let select = Statement::new("select at, actor, reason from pauses where sync = $1");
        let before = transaction.row(select.bind(sync.as_str())).await?;
        let upsert = Statement::new(
            "insert into pauses (sync, at, actor, reason) values ($1, $2, $3, $4)
             on conflict (sync) do update set at = excluded.at, actor = excluded.actor, reason = excluded.reason",
        );
        let upsert = upsert
            .bind(sync.as_str())
            .bind(new.at)
            .bind(storable(&new.by, TEXT_BYTES_MAX))
            .bind(storable(&new.why, TEXT_BYTES_MAX));
        transaction.execute(upsert).await?;
        let action = AuditEntry {
            at: new.at,
            actor: new.by.clone(),
            action: "sync.pause".to_owned(),
            subject: sync.to_string(),
            detail: Some(new.why.clone()),
        };
        audit::add(&mut transaction, &action).await?;
        transaction.commit().await?;
        before.as_ref().map(pause).transpose()
    }

    /// Ends the pause of a sync; gives it, `None` when there was none. The audit log has it as
    /// `sync.resume`, with `detail`.
    pub async fn resume_sync(
        &self,
        sync: &CollectionName,
        actor: &str,
        detail: Option<&str>,
    ) -> Result<Option<Pause>, Error> {
        let mut transaction = self.database.begin().await?;
        let delete = Statement::new("delete from pauses where sync = $1 returning at, actor, reason");
        let Some(ended) = transaction.row(delete.bind(sync.as_str())).await? else { return Ok(None) };
        let action = AuditEntry {
            at: self.clock.now(),
            actor: actor.to_owned(),
            action: "sync.resume".to_owned(),
            subject: sync.to_string(),
            detail: detail.map(str::to_owned),
        };
        audit::add(&mut transaction, &action).await?;
        transaction.commit().await?;
        pause(&ended).map(Some)
    }

    /// The pause of a sync, if it is paused.
    pub async fn pause(&self, sync: &CollectionName) -> Result<Option<Pause>, Error> {
        let select = Statement::new("select at, actor, reason from pauses where sync = $1");
        self.database.row(select.bind(sync.as_str())).await?.as_ref().map(pause).transpose()
    }
}
