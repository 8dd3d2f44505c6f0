//! Announcing what a guard holds.

use tracing::info;

use super::{error::Error, publisher::Publisher};
use crate::{
    domain::{
        id::RunId,
        run::{RunRecord, RunStatus},
    },
    engine::Approval,
    metadata::HeldRun,
};

impl Publisher {
    /// The held run of this id.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], [`Error::NotHeld`].
    pub async fn held_run(&self, id: RunId) -> Result<HeldRun, Error> {
        if let Some(held) = self.metadata.held_run_by_id(id).await? {
            return Ok(held);
        }
        match self.metadata.run(id).await? {
            Some(run) => Err(Error::NotHeld { run: id, status: run.status, version: run.version }),
            None => Err(Error::UnknownRun { id: id.to_string() }),
        }
    }

    /// Announces exactly what `held` has published, when its collection is still what the run was
    /// compared with, and gives the run's record. `None` when it is not: then the sync has to run
    /// again, and its guards may be waived ([`Publisher::run_or_follow`]).
    ///
    /// # Errors
    /// [`Error::NotHeld`] when another run took its place; a lease that is held elsewhere.
    pub async fn approve(&self, held: &HeldRun, actor: &str) -> Result<Option<RunRecord>, Error> {
        let (id, name) = (held.record.id, &held.record.sync);
        match self.engine.approve(held).await? {
            Approval::Announced(record) => {
                let version = record.version.map(|version| version.to_string()).unwrap_or_default();
                info!(run = %id, sync = %name, version, "a held run was approved");
                self.audit_done(actor, "run.approve", &id, Some(format!("{name} as {version}"))).await;
                Ok(Some(*record))
            }
            Approval::BaseMoved => {
                let detail = format!("{name} has changed since; it runs again");
                self.audit_done(actor, "run.approve", &id, Some(detail)).await;
                Ok(None)
            }
            Approval::NotHeld => {
                let now = self.metadata.run(id).await?;
                let (status, version) =
                    now.map_or((RunStatus::Superseded, None), |run| (run.status, run.version));
                Err(Error::NotHeld { run: id, status, version })
            }
        }
    }
}
