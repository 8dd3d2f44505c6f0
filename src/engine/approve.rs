//! Announcing a held run: exactly the segments that it published. No row is read again.

use super::{Engine, announce::PublishedManifest, error::Error, lease::SyncLease};
use crate::{
    catalog::AnnounceError,
    domain::{
        catalog::CatalogDocument,
        run::{RunRecord, RunStatus},
    },
    metadata::HeldRun,
};

/// The outcome of an approval.
#[derive(Debug)]
pub enum Approval {
    /// The version that the run published is announced.
    Announced(Box<RunRecord>),
    /// The collection changed since the run was compared with it: the run stays held.
    BaseMoved,
    /// The run is no longer held.
    NotHeld,
}

impl Engine {
    /// Announces `held` when the collection is still at the manifest that the run was made from.
    ///
    /// # Errors
    /// [`Error::LeaseHeld`] while a run of the sync is in progress. When the announcement failed, the run stays
    /// held, unless another announcement came first.
    pub async fn approve(&self, held: &HeldRun) -> Result<Approval, Error> {
        self.reconcile_rollback(&held.record.sync).await?;
        let lease = SyncLease::acquire(&self.metadata, &held.record.sync).await?;
        let approved = self.approve_leased(&lease, held).await;
        lease.release().await;
        approved
    }

    async fn approve_leased(&self, lease: &SyncLease, held: &HeldRun) -> Result<Approval, Error> {
        let name = &held.record.sync;
        self.reconcile_open_runs(name).await?;
        // Another run may have taken its place before the lease was acquired.
        let Some(held) = self.metadata.held_run_by_id(held.record.id).await? else {
            return Ok(Approval::NotHeld);
        };
        let newest = self.store.newest(Some(self.deployment)).await?;
        let entry = |document: &CatalogDocument| document.collections.get(name).map(|entry| entry.sha256);
        if newest.as_ref().and_then(entry) != held.from {
            return Ok(Approval::BaseMoved);
        }
        let (object, sha256) = (held.manifest, held.manifest_sha256);
        let manifest = self.store.manifest_by_digest(name, &object, &sha256).await?;
        lease.confirm().await?;
        let mut record = held.record;
        record.status = RunStatus::Announcing;
        record.version = Some(manifest.version);
        self.metadata.update_run(&record).await?;
        let announced = self.announce(held.from, &PublishedManifest { manifest, object, sha256 }).await;
        match &announced {
            Ok(()) => {
                record.status = RunStatus::Announced;
                record.error = None;
            }
            // The outcome is unknown: the next holder of the lease reconciles the run.
            Err(Error::Announce(AnnounceError::Unknown)) => {}
            Err(error @ Error::Announce(AnnounceError::Superseded)) => {
                record.status = RunStatus::Superseded;
                record.error = Some(error.as_run_error());
            }
            Err(_) => {
                record.status = RunStatus::Held;
                record.version = None;
            }
        }
        if let Err(error) = self.metadata.update_run(&record).await {
            tracing::warn!(run = %record.id, %error, "the end of a run could not be recorded");
        }
        announced.map(|()| Approval::Announced(Box::new(record)))
    }
}
