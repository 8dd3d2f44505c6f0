//! Announcing what a held run has published: its own segments, nothing is read again.

use super::{Engine, error::Error, lease::KeptLease, prepare::Published};
use crate::{
    catalog::AnnounceError,
    domain::{
        catalog::CatalogDocument,
        run::{RunError, RunRecord, RunStatus},
    },
    metadata::HeldRun,
};

/// What came of a held run.
#[derive(Debug)]
pub enum Approval {
    /// Exactly what it had published is announced.
    Announced(Box<RunRecord>),
    /// The collection is no longer what the run was compared with: it stays held.
    BaseMoved,
    /// It is not held any more.
    NotHeld,
}

impl Engine {
    /// Announces `held` when the collection is still at the manifest that the run was made from.
    ///
    /// # Errors
    /// [`Error::LeaseHeld`] while a run of the sync is in progress. When the announcement is known
    /// not to stand the run is held on, unless another one came first.
    pub async fn approve(&self, held: &HeldRun) -> Result<Approval, Error> {
        self.settle_rollback(&held.record.sync).await?;
        let lease = KeptLease::take(&self.metadata, &held.record.sync).await?;
        let approved = self.approve_leased(&lease, held).await;
        lease.release().await;
        approved
    }

    async fn approve_leased(&self, lease: &KeptLease, held: &HeldRun) -> Result<Approval, Error> {
        let name = &held.record.sync;
        self.settle_open_runs(name).await?;
        // A run may have taken its place before the lease was taken.
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
        let announced = self.announce(held.from, &Published { manifest, object, sha256 }).await;
        match &announced {
            Ok(_) => {
                record.status = RunStatus::Announced;
                record.error = None;
            }
            // Its outcome is not known: whoever next takes the lease settles it.
            Err(Error::Announce(AnnounceError::Unknown)) => {}
            Err(error @ Error::Announce(AnnounceError::Superseded)) => {
                record.status = RunStatus::Superseded;
                record.error = Some(RunError { code: error.code().to_owned(), message: error.to_string() });
            }
            Err(_) => {
                record.status = RunStatus::Held;
                record.version = None;
            }
        }
        if let Err(error) = self.metadata.update_run(&record).await {
            tracing::warn!(run = %record.id, %error, "the end of a run could not be recorded");
        }
        announced.map(|_| Approval::Announced(Box::new(record)))
    }
}
