//! The scheduler service: one loop a sync, a bound on runs at once, reloadable.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tracing::{error, warn};

use super::{due, due::History, schedule::Schedule};
use crate::{
    domain::error::ErrorKind,
    engine::{self, Engine, RunOutcome, RunRequest, SyncSpec, Trigger},
    metadata::{self, Metadata},
    source::Source,
    support::{clock::Clock, shutdown::Shutdown},
};

/// Longest sleep before the clock and the last run are looked at again: clocks may be set, and
/// another process may have run the sync.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Longest delay before a sync whose lease is held elsewhere, or whose metadata is down, is looked at
/// again. A holder that died is waited for no longer than its lease lasts.
const HELD_ELSEWHERE: Duration = Duration::from_secs(5);
/// Shortest delay before a lease that is about to end is asked for again.
const LEASE_ENDS: Duration = Duration::from_millis(250);
/// Delay before a paused sync whose run is due is looked at again: how late a resumed one may begin.
const PAUSED: Duration = Duration::from_secs(2);

/// Last runs of a sync from which the next is judged: delays stop doubling long before.
const RUNS_LOOKED_AT: usize = 24;

/// A sync with its source and schedule.
#[derive(Clone)]
pub struct ScheduledSync {
    /// The sync.
    pub spec: SyncSpec,
    /// Where its rows come from.
    pub source: Source,
    /// When it runs.
    pub schedule: Schedule,
}

/// Told of every run that ended, and why one that was due could not begin; a sync that is paused or runs
/// elsewhere is neither.
pub type OnEnded = Arc<dyn Fn(Result<&RunOutcome, &engine::Error>) + Send + Sync>;

/// Runs syncs when they are due.
pub struct Scheduler {
    /// Runs them.
    pub engine: Engine,
    /// Knows when they last ran.
    pub metadata: Metadata,
    /// The time.
    pub clock: Clock,
    /// The syncs; a new value replaces all; runs under way end as they began.
    pub syncs: watch::Receiver<Arc<Vec<ScheduledSync>>>,
    /// Runs at once, at most.
    pub max_concurrent_runs: usize,
    /// Told how runs ended.
    pub on_ended: OnEnded,
}

impl Scheduler {
    /// Runs until `shutdown`; runs under way are then cancelled.
    pub async fn run(mut self, shutdown: Shutdown) {
        let permits = Arc::new(Semaphore::new(self.max_concurrent_runs));
        // Loops of an earlier configuration that end with the run they are in. They hold up nobody:
        // the lease keeps a sync's old and new loop apart.
        let mut ending = JoinSet::new();
        loop {
            let syncs = self.syncs.borrow_and_update().clone();
            let retire = Shutdown::new();
            let mut loops = JoinSet::new();
            for sync in syncs.iter() {
                let one = SyncLoop {
                    sync: sync.clone(),
                    engine: self.engine.clone(),
                    metadata: self.metadata.clone(),
                    clock: self.clock.clone(),
                    permits: permits.clone(),
                    on_ended: self.on_ended.clone(),
                    retire: retire.clone(),
                    shutdown: shutdown.clone(),
                };
                loops.spawn(one.run());
            }
            let reload = tokio::select! {
                changed = self.syncs.changed() => changed.is_ok(),
                () = shutdown.cancelled() => false,
            };
            if !reload {
                shutdown.cancelled().await;
            }
            retire.cancel();
            if !reload {
                while loops.join_next().await.is_some() {}
                while ending.join_next().await.is_some() {}
                return;
            }
            while ending.try_join_next().is_some() {}
            ending.spawn(async move { while loops.join_next().await.is_some() {} });
        }
    }
}

/// When to ask again for a lease that lasts so long unless its holder renews it.
fn look_again_in(expires_in: Duration) -> Duration {
    expires_in.clamp(LEASE_ENDS, HELD_ELSEWHERE)
}

struct SyncLoop {
    sync: ScheduledSync,
    engine: Engine,
    metadata: Metadata,
    clock: Clock,
    permits: Arc<Semaphore>,
    on_ended: OnEnded,
    /// No new run; one under way may end.
    retire: Shutdown,
    /// Runs under way are cancelled.
    shutdown: Shutdown,
}

impl SyncLoop {
    async fn run(self) {
        self.announce_settings().await;
        let mut is_hopeless = false;
        loop {
            let Some(wait) = self.due_in(is_hopeless).await else { return };
            if !wait.is_zero() {
                if self.sleep(wait.min(LOOK_AGAIN)).await {
                    continue;
                }
                return;
            }
            let permit = tokio::select! {
                permit = self.permits.clone().acquire_owned() => permit,
                () = self.retire.cancelled() => return,
            };
            let Ok(permit) = permit else { return };
            if self.retire.is_cancelled() {
                return;
            }
            // The turn may have come late: another process may have run the sync meanwhile.
            if self.due_in(is_hopeless).await.is_none_or(|wait| !wait.is_zero()) {
                continue;
            }
            let ran = self.run_once(&mut is_hopeless).await;
            // Nobody waits for a turn that is not used.
            drop(permit);
            if let Err(delay) = ran
                && !self.sleep(delay).await
            {
                return;
            }
        }
    }

    /// Changed serving settings need no run. What fails here is announced by the next one.
    async fn announce_settings(&self) {
        let spec = &self.sync.spec;
        match self.engine.announce_settings(spec).await {
            Ok(_) | Err(engine::Error::LeaseHeld { .. }) => {}
            Err(error) => {
                let code = error.code();
                warn!(sync = %spec.collection, code, %error, "serving settings wait for the next run");
            }
        }
    }

    /// How long until the next run is due, or may be; `None` when only an operator starts one.
    async fn due_in(&self, is_hopeless: bool) -> Option<Duration> {
        self.try_due_in(is_hopeless).await.unwrap_or_else(|error| {
            warn!(sync = %self.sync.spec.collection, %error, "no sync starts without metadata");
            Some(HELD_ELSEWHERE)
        })
    }

    async fn try_due_in(&self, is_hopeless: bool) -> Result<Option<Duration>, metadata::Error> {
        let name = &self.sync.spec.collection;
        let runs = self.metadata.runs(Some(name), RUNS_LOOKED_AT).await?;
        let due = due::next(&self.sync.schedule, &History::of(&runs, is_hopeless));
        let wait = due.map(|due| (due - self.clock.now()).to_std().unwrap_or_default());
        // While it is paused, ticks are missed; they run once when it is resumed.
        let is_paused = wait.is_some_and(|wait| wait.is_zero()) && self.is_paused().await?;
        Ok(if is_paused { Some(PAUSED) } else { wait })
    }

    /// Whether the sync is paused; no longer when the rollback behind it was killed before it was announced.
    async fn is_paused(&self) -> Result<bool, metadata::Error> {
        let name = &self.sync.spec.collection;
        match self.metadata.pause(name).await? {
            None => Ok(false),
            Some(pause) if pause.pending.is_none() => Ok(true),
            Some(_) => {
                if let Err(error) = self.engine.reconcile_rollback(name).await {
                    let code = error.code();
                    warn!(sync = %name, code, %error, "it is not known whether a rollback was announced");
                }
                Ok(self.metadata.pause(name).await?.is_some())
            }
        }
    }

    /// One run, or the delay before the next try when none could begin; notes whether it failed for what
    /// only configuration mends.
    async fn run_once(&self, is_hopeless: &mut bool) -> Result<(), Duration> {
        let (spec, source) = (&self.sync.spec, &self.sync.source);
        let request = RunRequest {
            cancel: self.shutdown.clone(),
            ..RunRequest::new(spec.clone(), source.clone(), Trigger::Schedule)
        };
        match self.engine.run(&request).await {
            Ok(ended) => {
                (self.on_ended)(Ok(&ended));
                *is_hopeless = ended.kind == Some(ErrorKind::Invalid);
                Ok(())
            }
            Err(engine::Error::LeaseHeld { expires_in, .. }) => Err(look_again_in(expires_in)),
            Err(engine::Error::Paused { .. }) => Err(HELD_ELSEWHERE),
            Err(error) => {
                error!(sync = %spec.collection, code = error.code(), %error, "no run could begin");
                (self.on_ended)(Err(&error));
                Err(HELD_ELSEWHERE)
            }
        }
    }

    /// Sleeps; whether there is a reason to go on.
    async fn sleep(&self, duration: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(duration) => true,
            () = self.retire.cancelled() => false,
            () = self.shutdown.cancelled() => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_holder_is_waited_for_until_its_lease_ends_and_no_longer() {
        let seconds = Duration::from_secs;
        assert_eq!(look_again_in(seconds(15)), seconds(5), "a living one renews it");
        assert_eq!(look_again_in(seconds(2)), seconds(2));
        assert_eq!(look_again_in(Duration::ZERO), LEASE_ENDS, "the database is not asked without a pause");
    }
}
