//! Reconciling the runs that a killed process left open with the catalog: before the next run of the same sync,
//! and periodically for syncs that do not run again.

use tracing::{info, warn};

use super::{Engine, error::Error, lease::SyncLease, request::Trigger, rollback::RollbackLease};
use crate::{
    catalog::RunAnnouncement,
    domain::{
        name::CollectionName,
        run::{RunRecord, RunStatus},
    },
};

impl Engine {
    /// Reconciles the open runs of every sync whose lease is free: their processes are
    /// dead. A sync that is running is left alone.
    pub async fn reconcile_abandoned_runs(&self) -> Result<(), Error> {
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
        let lease = SyncLease::acquire(&self.metadata, sync).await?;
        match self.reconcile_open_runs(sync).await {
            Ok(()) => Ok(lease),
            Err(error) => {
                lease.release().await;
                Err(error)
            }
        }
    }

    /// Marks the held run of a sync as superseded, after an announcement. The announcement is valid
    /// even when metadata is down.
    pub async fn supersede_held(&self, sync: &CollectionName) {
        if let Err(error) = self.metadata.supersede_held(sync).await {
            warn!(%sync, %error, "an earlier held run could not be marked as superseded");
        }
    }

    /// Closes the open runs of a sync whose lease this process holds: `announced` when the catalog has
    /// them, `interrupted` otherwise. A rollback in progress, which has a lease of its own, is left alone.
    pub(super) async fn reconcile_open_runs(&self, sync: &CollectionName) -> Result<(), Error> {
        let (rollbacks, runs): (Vec<_>, Vec<_>) = self
            .metadata
            .open_runs(sync)
            .await?
            .into_iter()
            .partition(|run| run.trigger == Trigger::Rollback.as_str());
        for run in runs {
            self.reconcile_run(run).await?;
        }
        if rollbacks.is_empty() {
            return Ok(());
        }
        let lease = match RollbackLease::acquire(&self.metadata, sync).await {
            Err(Error::RollbackUnderWay { .. }) => return Ok(()),
            lease => lease?,
        };
        let mut reconciled = Ok(());
        for run in rollbacks {
            reconciled = reconciled.and(self.reconcile_run(run).await);
        }
        lease.release().await;
        reconciled
    }

    async fn reconcile_run(&self, mut run: RunRecord) -> Result<(), Error> {
        let deployment = self.authority.deployment();
        match self.catalog.find_announced(&run.sync, run.id, Some(deployment)).await? {
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
        Ok(())
    }
}
