//! Announcing the result of a held run.

use futures::{FutureExt, future::ready};
use tracing::{info, warn};

use super::{Pause, Principal, error::Error, publisher::Publisher, versions::change_to};
use crate::{
    catalog::AnnounceError,
    domain::{CollectionName, RunError, RunId, RunRecord, RunStatus},
    engine::{HeldRemovals, SyncLease, Trigger},
    metadata::{HeldRun, RUNS_LISTED_MAX},
    support::shutdown::Shutdown,
};

/// Most records that a held run would remove and that are listed: enough to see which kind of record it is.
pub const REMOVALS_LISTED_MAX: usize = 20;

/// A held run whose result is announced.
#[derive(Debug)]
pub struct Approved {
    /// The run.
    pub record: RunRecord,
    /// Why the sync is paused, when it is.
    pub pause: Option<Pause>,
}

impl Publisher {
    /// Announces exactly what the held run `id` has published, when its collection is still what the run was
    /// compared with. Waits for a run of the sync that is in progress. `cancel` ends the wait.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], [`Error::NotHeld`], [`Error::HeldRunSuperseded`]; [`Error::HeldRunOutdated`];
    /// a lease that is held for long without a run.
    pub async fn approve(
        &self,
        id: RunId,
        principal: &Principal,
        cancel: &Shutdown,
    ) -> Result<Approved, Error> {
        let Some(held) = self.metadata.held_run_by_id(id).await? else {
            return Err(self.not_held(id).await?);
        };
        let sync = &held.record.sync;
        let act = Box::pin(self.announce_held(id, sync, cancel));
        let announced = self.audited(principal, "run.approve", sync, act, |record| {
            let version = record.version.map(|version| format!(" as {version}")).unwrap_or_default();
            format!("{id}{version}")
        });
        Ok(Approved { record: announced.await?, pause: self.pause_beside(sync).await })
    }

    /// Checks that a guard holds the run `id`.
    ///
    /// # Errors
    /// As [`Publisher::approve`].
    pub async fn check_held(&self, id: RunId) -> Result<(), Error> {
        match self.metadata.held_run_by_id(id).await? {
            Some(_) => Ok(()),
            None => Err(self.not_held(id).await?),
        }
    }

    /// The first records that the held run `id` would remove, [`REMOVALS_LISTED_MAX`] at most, if they can be read.
    pub async fn held_removals(&self, id: RunId) -> Option<HeldRemovals> {
        match self.engine.held_removals(id, REMOVALS_LISTED_MAX).await {
            Ok(removals) => removals,
            Err(error) => {
                warn!(run = %id, code = error.code(), %error, "what a held run would remove cannot be listed");
                None
            }
        }
    }

    async fn announce_held(
        &self,
        id: RunId,
        sync: &CollectionName,
        cancel: &Shutdown,
    ) -> Result<RunRecord, Error> {
        let acquire = || self.engine.acquire_lease(sync).boxed();
        let lease = self.when_lease_is_free(sync, cancel, acquire, |_| ready(Ok(None)).boxed()).await?;
        let announced = self.announce_held_leased(&lease, id).await;
        lease.release().await;
        announced
    }

    async fn announce_held_leased(&self, lease: &SyncLease, id: RunId) -> Result<RunRecord, Error> {
        // Another run may have taken its place before the lease was acquired.
        let Some(held) = self.metadata.held_run_by_id(id).await? else {
            return Err(self.not_held(id).await?);
        };
        let HeldRun { mut record, manifest: object, manifest_sha256: sha256, from } = held;
        let sync = record.sync.clone();
        let newest = self.catalog.newest_of(&self.authority).await?;
        let present = newest.as_ref().and_then(|document| document.collections.get(&sync));
        if present.map(|entry| entry.sha256) != from {
            // A new run would announce data that nobody has checked.
            return Err(Error::HeldRunOutdated { run: id, sync });
        }
        let manifest = self.catalog.manifest_by_digest(&sync, &object, &sha256).await?;
        lease.confirm().await?;
        record.status = RunStatus::Announcing;
        record.version = Some(manifest.version);
        self.metadata.update_run(&record).await?;
        let announced = self.announcer.announce(change_to(&manifest, object, sha256, from, None)).await;
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
        Ok(record)
    }

    /// Why the run `id` cannot be approved.
    async fn not_held(&self, id: RunId) -> Result<Error, Error> {
        Ok(match self.metadata.run(id).await? {
            None => Error::UnknownRun(id.to_string()),
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
        let is_rollback = |run: &RunRecord| run.trigger == Trigger::Rollback.as_str();
        let passed = runs
            .into_iter()
            .take_while(|later| later.id != run.id)
            .filter(|later| !is_rollback(later))
            .filter(|later| matches!(later.status, RunStatus::Announced | RunStatus::Unchanged));
        Ok(passed.last().map(|later| (later.id, later.status)))
    }
}
