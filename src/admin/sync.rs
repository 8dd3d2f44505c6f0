//! Running a sync on request, or following the run of it that is in progress elsewhere.

use std::time::Duration;

use futures::{FutureExt, future::BoxFuture};
use tracing::info;

use super::{Pause, Principal, error::Error, publisher::Publisher};
use crate::{
    domain::{CollectionName, RunRecord, RunStatus},
    engine::{self, Progress, RunOutcome, RunRequest, Trigger},
    scheduler::ScheduledSync,
    support::shutdown::Shutdown,
};

/// How often a run that is in progress elsewhere is polled.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(300);
/// Longest wait for a held lease without an open run: its holder is between two runs.
const BETWEEN_RUNS: Duration = Duration::from_secs(20);

/// A request to run a sync now.
pub struct SyncRequest<'a> {
    /// The sync.
    pub sync: &'a CollectionName,
    /// Waive the guards for this run.
    pub accept: bool,
    /// Read the whole model, also of a sync that reads increments.
    pub full: bool,
    /// Read and compare only; nothing is written.
    pub dry_run: bool,
    /// Counts rows while the run is under way.
    pub progress: &'a Progress,
    /// Ends the run.
    pub cancel: &'a Shutdown,
}

/// The outcome of a requested sync.
#[derive(Debug)]
pub struct SyncOutcome {
    /// The run that ended.
    pub ended: RunOutcome,
    /// Why the sync is paused, when it is.
    pub pause: Option<Pause>,
}

impl Publisher {
    /// Runs a configured sync now. When a run of it is in progress elsewhere, follows that one to its end;
    /// a request with `accept`, or with another configuration than that run's, waits for its own run instead.
    ///
    /// # Errors
    /// [`Error::UnknownSync`]; `configuration_outdated` when the run elsewhere has a newer configuration; a lease that is held for long without a run. A run that fails is no error:
    /// its record has the cause.
    pub async fn sync(&self, request: SyncRequest<'_>, principal: &Principal) -> Result<SyncOutcome, Error> {
        let SyncRequest { sync: name, accept, full, dry_run, progress, cancel } = request;
        let ScheduledSync { spec, source, .. } = self.registry.find(name.as_str())?;
        let run = RunRequest {
            accept,
            full,
            dry_run,
            progress: progress.clone(),
            cancel: cancel.clone(),
            ..RunRequest::new(spec, source, Trigger::Operator)
        };
        let act = Box::pin(self.run_until_ended(&run));
        let ended = if dry_run {
            act.await?
        } else {
            let action = if accept { "sync.accept" } else { "sync.run" };
            let ended = self.audited(principal, action, name, act, |ended| {
                let RunRecord { id, status, version, .. } = &ended.record;
                let version = version.map(|version| format!(", version {version}")).unwrap_or_default();
                format!("{id}: {status}{version}")
            });
            ended.await?
        };
        Ok(SyncOutcome { ended, pause: self.pause_beside(name).await })
    }

    /// The pause of a sync, to report with an outcome that does not depend on it.
    pub(super) async fn pause_beside(&self, name: &CollectionName) -> Option<Pause> {
        self.pause(name).await.unwrap_or_default()
    }

    async fn run_until_ended(&self, run: &RunRequest) -> Result<RunOutcome, Error> {
        let act = || self.engine.run(run).boxed();
        let use_followed = |ended| {
            async move {
                // A run of another configuration made other records than the requested one.
                let is_own = !run.accept && !run.full && self.engine.has_configuration(&run.spec).await?;
                Ok(is_own.then_some(ended))
            }
            .boxed()
        };
        self.when_lease_is_free(&run.spec.collection, &run.cancel, act, use_followed).await
    }

    /// Repeats `act` while the lease of `sync` is held elsewhere, each time after the run that is in progress
    /// there has ended. `use_followed` may take the outcome of that run in place of `act`'s.
    ///
    /// # Errors
    /// A lease that is held for [`BETWEEN_RUNS`] without a run; cancelled; those of `act`.
    pub(super) async fn when_lease_is_free<'a, T>(
        &self,
        sync: &CollectionName,
        cancel: &Shutdown,
        act: impl Fn() -> BoxFuture<'a, Result<T, engine::Error>>,
        use_followed: impl Fn(RunOutcome) -> BoxFuture<'a, Result<Option<T>, Error>>,
    ) -> Result<T, Error> {
        let mut idle = Duration::ZERO;
        loop {
            match act().await {
                Err(error @ engine::Error::LeaseHeld { .. }) => {
                    match self.follow(sync, cancel).await? {
                        Some(ended) => match use_followed(ended).await? {
                            Some(outcome) => return Ok(outcome),
                            None => idle = Duration::ZERO,
                        },
                        None if idle >= BETWEEN_RUNS => return Err(error.into()),
                        None => idle += FOLLOW_INTERVAL,
                    }
                    pause_before_poll(cancel).await?;
                }
                outcome => return Ok(outcome?),
            }
        }
    }

    /// Waits for the open run of a sync to end; `None` when there is none.
    async fn follow(&self, sync: &CollectionName, cancel: &Shutdown) -> Result<Option<RunOutcome>, Error> {
        let open = self.metadata.open_runs(sync).await?;
        let is_run = |run: &RunRecord| run.trigger != Trigger::Rollback.as_str();
        let Some(open) = open.into_iter().rfind(is_run) else { return Ok(None) };
        info!(run = %open.id, "a run of this sync is in progress elsewhere; following it");
        loop {
            let Some(record) = self.metadata.run(open.id).await? else { return Ok(None) };
            if !record.status.is_open() {
                // A run that is still held has no result to approve.
                if matches!(record.status, RunStatus::Interrupted | RunStatus::StillHeld) {
                    return Ok(None);
                }
                let rejected = self.metadata.rejected(record.id).await?;
                return Ok(Some(RunOutcome {
                    record,
                    kind: None,
                    store_failure: None,
                    rejected,
                    warnings: Vec::new(),
                }));
            }
            pause_before_poll(cancel).await?;
        }
    }
}

async fn pause_before_poll(cancel: &Shutdown) -> Result<(), Error> {
    tokio::select! {
        () = tokio::time::sleep(FOLLOW_INTERVAL) => Ok(()),
        () = cancel.cancelled() => Err(engine::Error::Cancelled.into()),
    }
}
