//! Settling what a killed process left open, before a new run of the same sync begins.

use tracing::info;

use super::{Engine, error::Error};
use crate::{
    domain::{name::CollectionName, run::RunStatus},
    publication::Settled,
};

impl Engine {
    /// Closes the open runs of a sync whose lease this process has just taken: announced when the
    /// catalog names them, interrupted otherwise.
    pub(super) async fn settle_open_runs(&self, sync: &CollectionName) -> Result<(), Error> {
        for mut run in self.metadata.open_runs(sync).await? {
            match self.store.find_announced(sync, run.id, Some(self.deployment)).await? {
                Settled::Announced { entry, .. } => {
                    run.version = Some(entry.version);
                    run.status = RunStatus::Announced;
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
