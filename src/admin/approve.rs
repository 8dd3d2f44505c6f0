//! Announcing the result of a held run.

use tracing::info;

use super::{Pause, Principal, SyncRequest, error::Error, publisher::Publisher};
use crate::{
    domain::{
        id::RunId,
        name::CollectionName,
        run::{RunRecord, RunStatus},
    },
    engine::{Approval, Progress, RunOutcome},
    metadata::{HeldRun, RUNS_LISTED_MAX},
    support::shutdown::Shutdown,
};

/// The outcome of an approval.
#[derive(Debug)]
pub enum Approved {
    /// Exactly the held result is announced.
    Announced {
        /// The run.
        record: RunRecord,
        /// Why the sync is paused, when it is.
        pause: Option<Pause>,
    },
    /// The collection had changed since, so the sync ran again without guards.
    RanAgain {
        /// The new run.
        ended: RunOutcome,
        /// Why the sync is paused, when it is.
        pause: Option<Pause>,
    },
}

impl Publisher {
    /// Announces exactly what the held run `id` has published, when its collection is still what the run was
    /// compared with. Otherwise runs the sync again without guards, unless it is paused; `on_rerun` is called
    /// before that run.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], [`Error::NotHeld`], [`Error::HeldRunSuperseded`]; [`Error::HeldWhilePaused`];
    /// a lease that is held elsewhere; [`Error::UnknownSync`] when the sync had to run again and is not
    /// configured.
    pub async fn approve(
        &self,
        id: RunId,
        principal: &Principal,
        progress: &Progress,
        cancel: &Shutdown,
        on_rerun: impl FnOnce(&CollectionName),
    ) -> Result<Approved, Error> {
        let Some(held) = self.metadata.held_run_by_id(id).await? else {
            return Err(self.not_held(id).await?);
        };
        let sync = &held.record.sync;
        let act = Box::pin(self.announce_held(&held));
        let announced = self.audited(principal, "run.approve", sync, act, |record| match record {
            Some(RunRecord { version: Some(version), .. }) => format!("{id} as {version}"),
            _ => format!("{id}: the collection has changed since; it runs again"),
        });
        if let Some(record) = announced.await? {
            return Ok(Approved::Announced { record, pause: self.pause_beside(sync).await });
        }
        on_rerun(sync);
        let request = SyncRequest { sync, accept: true, dry_run: false, progress, cancel };
        let outcome = self.sync(request, principal).await?;
        Ok(Approved::RanAgain { ended: outcome.ended, pause: outcome.pause })
    }

    /// `None` when the collection has changed since the run was held.
    async fn announce_held(&self, held: &HeldRun) -> Result<Option<RunRecord>, Error> {
        let (id, name) = (held.record.id, &held.record.sync);
        match self.engine.approve(held).await? {
            Approval::Announced(record) => {
                let version = record.version.map(|version| version.to_string()).unwrap_or_default();
                info!(run = %id, sync = %name, version, "announced a held run");
                Ok(Some(*record))
            }
            // An operator rolled the collection back: a new run would announce data that nobody has checked.
            Approval::BaseMoved => match self.metadata.pause(name).await? {
                Some(pause) => Err(Error::HeldWhilePaused { run: id, sync: name.clone(), pause }),
                None => Ok(None),
            },
            Approval::NotHeld => Err(self.not_held(id).await?),
        }
    }

    /// Why the run `id` cannot be approved.
    async fn not_held(&self, id: RunId) -> Result<Error, Error> {
        Ok(match self.metadata.run(id).await? {
            None => Error::UnknownRun { id: id.to_string() },
            Some(run) if run.status == RunStatus::Superseded => {
                Error::HeldRunSuperseded { run: id, by: self.successor(&run).await? }
            }
            Some(run) => Error::NotHeld { run: id, status: run.status, version: run.version },
        })
    }

    /// The run that took the place of a held one: the run that is held now, else the first that passed since.
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
