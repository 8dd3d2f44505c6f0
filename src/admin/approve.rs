//! Announcing the result of a held run.

use tracing::{info, warn};

use super::{Pause, Principal, SyncRequest, error::Error, publisher::Publisher, versions::change_to};
use crate::{
    catalog::AnnounceError,
    domain::{
        id::RunId,
        name::CollectionName,
        run::{RunError, RunRecord, RunStatus},
    },
    engine::{Progress, RunOutcome, SyncLease},
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
        let act = Box::pin(self.announce_held(id, sync));
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
    async fn announce_held(&self, id: RunId, sync: &CollectionName) -> Result<Option<RunRecord>, Error> {
        let lease = self.engine.acquire_lease(sync).await?;
        let announced = self.announce_held_leased(&lease, id).await;
        lease.release().await;
        announced
    }

    async fn announce_held_leased(&self, lease: &SyncLease, id: RunId) -> Result<Option<RunRecord>, Error> {
        // Another run may have taken its place before the lease was acquired.
        let Some(held) = self.metadata.held_run_by_id(id).await? else {
            return Err(self.not_held(id).await?);
        };
        let HeldRun { mut record, manifest: object, manifest_sha256: sha256, from } = held;
        let sync = record.sync.clone();
        let newest = self.catalog.newest(Some(self.deployment)).await?;
        let present = newest.as_ref().and_then(|document| document.collections.get(&sync));
        if present.map(|entry| entry.sha256) != from {
            // After a rollback a new run would announce data that nobody has checked.
            return match self.metadata.pause(&sync).await? {
                Some(pause) => Err(Error::HeldWhilePaused { run: id, sync, pause }),
                None => Ok(None),
            };
        }
        let manifest = self.catalog.manifest_by_digest(&sync, &object, &sha256).await?;
        lease.confirm().await?;
        record.status = RunStatus::Announcing;
        record.version = Some(manifest.version);
        self.metadata.update_run(&record).await?;
        let announced = self.announcer.announce(change_to(&manifest, object, sha256, from)).await;
        match &announced {
            Ok(_) => {
                record.status = RunStatus::Announced;
                record.error = None;
            }
            // The outcome is unknown: the next holder of the lease reconciles the run.
            Err(AnnounceError::Unknown) => {}
            Err(error @ AnnounceError::Superseded) => {
                record.status = RunStatus::Superseded;
                record.error = Some(RunError { code: error.code().to_owned(), message: error.to_string() });
            }
            Err(_) => {
                record.status = RunStatus::Held;
                record.version = None;
            }
        }
        if let Err(error) = self.metadata.update_run(&record).await {
            warn!(run = %id, %error, "the end of a run could not be recorded");
        }
        announced?;
        info!(run = %id, %sync, version = %manifest.version, "announced a held run");
        Ok(Some(record))
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
