//! Running a sync on request, or following the run of it that is in progress elsewhere.

use std::time::Duration;

use tracing::info;

use super::{error::Error, publisher::Publisher};
use crate::{
    domain::run::{RunRecord, RunStatus},
    engine::{self, Ended, RunRequest},
};

/// How often a run that is in progress elsewhere is looked at.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(300);
/// Longest time that a held lease without an open run is waited for: its holder is between runs.
const BETWEEN_RUNS: Duration = Duration::from_secs(20);

impl Publisher {
    /// Runs a sync now. When a run of it is in progress elsewhere, follows that one to its end,
    /// unless the request asks for more than that run gives (`--accept`): then it waits its turn.
    pub async fn run_or_follow(&self, request: &RunRequest, actor: &str) -> Result<Ended, Error> {
        let act = Box::pin(self.run_until_ended(request));
        if request.dry_run {
            return act.await;
        }
        let action = if request.accept { "sync.accept" } else { "sync.run" };
        self.audited((actor, action), &request.spec.collection, act, |ended| {
            let RunRecord { id, status, version, .. } = &ended.record;
            let version = version.map(|version| format!(", version {version}")).unwrap_or_default();
            format!("{id}: {status}{version}")
        })
        .await
    }

    async fn run_until_ended(&self, request: &RunRequest) -> Result<Ended, Error> {
        let mut idle = Duration::ZERO;
        loop {
            match self.engine.run(request).await {
                Ok(ended) => return Ok(ended),
                Err(error @ engine::Error::LeaseHeld { .. }) => {
                    let followed = self.follow(request).await?;
                    match followed {
                        Some(ended) if !request.accept => return Ok(ended),
                        Some(_) => idle = Duration::ZERO,
                        None if idle >= BETWEEN_RUNS => return Err(error.into()),
                        None => idle += FOLLOW_INTERVAL,
                    }
                    tokio::select! {
                        () = tokio::time::sleep(FOLLOW_INTERVAL) => {}
                        () = request.cancel.cancelled() => return Err(engine::Error::Cancelled.into()),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for the open run of a sync to end; `None` when there is none.
    async fn follow(&self, request: &RunRequest) -> Result<Option<Ended>, Error> {
        let Some(open) = self.metadata.open_runs(&request.spec.collection).await?.pop() else {
            return Ok(None);
        };
        info!(run = %open.id, accept = request.accept, "a run of this sync is in progress elsewhere; following it");
        loop {
            let Some(record) = self.metadata.run(open.id).await? else { return Ok(None) };
            if !record.status.is_open() {
                if record.status == RunStatus::Interrupted {
                    return Ok(None);
                }
                let rejected = self.metadata.rejected(record.id).await?;
                return Ok(Some(Ended { record, hold: None, kind: None, store_failure: None, rejected }));
            }
            tokio::select! {
                () = tokio::time::sleep(FOLLOW_INTERVAL) => {}
                () = request.cancel.cancelled() => return Err(engine::Error::Cancelled.into()),
            }
        }
    }
}
