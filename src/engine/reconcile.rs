//! Reconciling the runs that a killed process left open with the catalog: before the next run of the same sync,
//! and periodically for syncs that do not run again.

use tracing::{info, warn};

use super::{Engine, error::Error, lease::SyncLease};
use crate::{
    catalog::RunAnnouncement,
    domain::{name::CollectionName, run::RunStatus},
};

impl Engine {
    /// Reconciles pending rollbacks and the open runs of every sync whose lease is free: their processes are
    /// dead. A sync that is running is left alone.
    pub async fn reconcile_abandoned_runs(&self) -> Result<(), Error> {
        self.reconcile_rollbacks().await?;
        for sync in self.metadata.syncs_with_open_runs().await? {
            match SyncLease::acquire(&self.metadata, &sync).await {
                Ok(lease) => {
                    let reconciled = self.reconcile_open_runs(&sync).await;
                    lease.release().await;
                    reconciled?;
                }
                Err(Error::LeaseHeld { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Acquires the lease of a sync for a change of its collection, and reconciles what a killed process left
    /// open.
    ///
    /// # Errors
    /// [`Error::LeaseHeld`] while a run of the sync is in progress.
    pub async fn acquire_lease(&self, sync: &CollectionName) -> Result<SyncLease, Error> {
        self.reconcile_rollback(sync).await?;
        let lease = SyncLease::acquire(&self.metadata, sync).await?;
        match self.reconcile_open_runs(sync).await {
            Ok(()) => Ok(lease),
            Err(error) => {
                lease.release().await;
                Err(error)
            }
        }
    }

    /// Marks the held run of a sync as superseded, after an announcement. The announcement stands also when
    /// metadata is down.
    pub async fn supersede_held(&self, sync: &CollectionName) {
        if let Err(error) = self.metadata.supersede_held(sync).await {
            warn!(%sync, %error, "an earlier held run could not be marked as superseded");
        }
    }

    /// Closes the open runs of a sync whose lease this process holds: `announced` when the catalog has
    /// them, `interrupted` otherwise.
    pub(super) async fn reconcile_open_runs(&self, sync: &CollectionName) -> Result<(), Error> {
        for mut run in self.metadata.open_runs(sync).await? {
            match self.catalog.find_announced(sync, run.id, Some(self.deployment)).await? {
                RunAnnouncement::Found { entry, .. } => {
                    run.version = Some(entry.version);
                    run.status = RunStatus::Announced;
                    // A held run has an error until it is approved.
                    run.error = None;
                }
                RunAnnouncement::NotFound { .. } => run.status = RunStatus::Interrupted,
            }
            run.finished_at = Some(self.clock.now());
            info!(run = %run.id, status = %run.status, "reconciled a run that its process left open");
            self.metadata.update_run(&run).await?;
        }
        Ok(())
    }
}
