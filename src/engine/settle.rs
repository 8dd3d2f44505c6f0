//! Settling what a killed process left open: before a new run of the same sync begins, and now and
//! then for syncs that nobody runs again.

use tracing::info;

use super::{Engine, error::Error, lease::KeptLease};
use crate::{
    catalog::Settled,
    domain::{name::CollectionName, run::RunStatus},
};

impl Engine {
    /// Settles the open runs of every sync whose lease is free, and pauses of rollbacks: their processes
    /// are dead. A sync that is running is left alone.
    pub async fn settle_abandoned_runs(&self) -> Result<(), Error> {
        self.settle_rollbacks().await?;
        for sync in self.metadata.syncs_with_open_runs().await? {
            match KeptLease::take(&self.metadata, &sync).await {
                Ok(lease) => {
                    let settled = self.settle_open_runs(&sync).await;
                    lease.release().await;
                    settled?;
                }
                Err(Error::LeaseHeld { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Closes the open runs of a sync whose lease this process has just taken: announced when the
    /// catalog names them, interrupted otherwise.
    pub(super) async fn settle_open_runs(&self, sync: &CollectionName) -> Result<(), Error> {
        for mut run in self.metadata.open_runs(sync).await? {
            match self.store.find_announced(sync, run.id, Some(self.deployment)).await? {
                Settled::Announced { entry, .. } => {
                    run.version = Some(entry.version);
                    run.status = RunStatus::Announced;
                    // A held run has one until it is approved.
                    run.error = None;
                }
                Settled::NotFound { .. } => run.status = RunStatus::Interrupted,
            }
            run.finished_at = Some(self.clock.now());
            info!(run = %run.id, status = %run.status, "settled a run that its process left open");
            self.metadata.update_run(&run).await?;
        }
        Ok(())
    }
}
