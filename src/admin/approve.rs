//! Announcing what a guard holds.

use tracing::info;

use super::{error::Error, publisher::Publisher};
use crate::{
    domain::{
        id::RunId,
        run::{RunRecord, RunStatus},
    },
    engine::Approval,
    metadata::{HeldRun, RUNS_LISTED_MAX},
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
            Some(run) => Err(self.not_held(run).await?),
            None => Err(Error::UnknownRun { id: id.to_string() }),
        }
    }

    /// Announces exactly what `held` has published, when its collection is still what the run was
    /// compared with, and gives the run's record. `None` when it is not: then the sync has to run
    /// again, and its guards may be waived ([`Publisher::run_or_follow`]).
    ///
    /// # Errors
    /// [`Error::NotHeld`] when another run took its place; [`Error::HeldWhilePaused`] when the collection
    /// has changed and its sync is paused; a lease that is held elsewhere.
    pub async fn approve(&self, held: &HeldRun, actor: &str) -> Result<Option<RunRecord>, Error> {
        let (id, name) = (held.record.id, &held.record.sync);
        let act = Box::pin(self.announce_held(held));
        self.audited((actor, "run.approve"), name, act, |record| match record {
            Some(RunRecord { version: Some(version), .. }) => format!("{id} as {version}"),
            _ => format!("{id}: the collection has changed since; it runs again"),
        })
        .await
    }

    async fn announce_held(&self, held: &HeldRun) -> Result<Option<RunRecord>, Error> {
        let (id, name) = (held.record.id, &held.record.sync);
        match self.engine.approve(held).await? {
            Approval::Announced(record) => {
                let version = record.version.map(|version| version.to_string()).unwrap_or_default();
                info!(run = %id, sync = %name, version, "a held run was approved");
                Ok(Some(*record))
            }
            // Somebody rolled it back on purpose: what a new run makes nobody has looked at.
            Approval::BaseMoved => match self.metadata.pause(name).await? {
                Some(pause) => Err(Error::HeldWhilePaused { run: id, sync: name.clone(), pause }),
                None => Ok(None),
            },
            Approval::NotHeld => match self.metadata.run(id).await? {
                Some(run) => Err(self.not_held(run).await?),
                None => Err(Error::UnknownRun { id: id.to_string() }),
            },
        }
    }

    /// Why `run` cannot be approved.
    async fn not_held(&self, run: RunRecord) -> Result<Error, Error> {
        let by = if run.status == RunStatus::Superseded { self.successor(&run).await? } else { None };
        Ok(Error::NotHeld { run: run.id, status: run.status, version: run.version, by })
    }

    /// The run that took the place of one that was held: the one that is held now, else the first that
    /// passed since.
    async fn successor(&self, run: &RunRecord) -> Result<Option<(RunId, RunStatus)>, Error> {
        if let Some(held) = self.metadata.held_run(&run.sync).await? {
            return Ok(Some((held.record.id, held.record.status)));
        }
        let runs = self.metadata.runs(Some(&run.sync), RUNS_LISTED_MAX).await?;
        let passed = runs
            .into_iter()
            .take_while(|later| later.id != run.id)
            .filter(|later| matches!(later.status, RunStatus::Announced | RunStatus::Unchanged));
        Ok(passed.last().map(|later| (later.id, later.status)))
    }
}
