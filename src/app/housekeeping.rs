//! Housekeeping of a publisher: old objects, old runs, runs that a killed process left open, and a
//! key set that was not yet announced.

use std::{collections::HashSet, time::Duration};

use tokio::time::{Instant, Interval, MissedTickBehavior, interval, interval_at};
use tracing::warn;

use crate::{
    admin::{Error, Housekeeper, Publisher},
    catalog::{self, StatusStore},
    disk::SegmentDirectory,
    support::shutdown::Shutdown,
    telemetry::Metrics,
};

/// Time between two checks whether the catalog has the key set of metadata: a process may have died between
/// writing the one and announcing the other, and a key that was revoked while the store was away works until then.
const KEYS_INTERVAL: Duration = Duration::from_secs(10);
/// Time between two searches for runs that a killed process left open. The sync's next run reconciles them
/// as well; this is for syncs that do not run again.
const ABANDONED_INTERVAL: Duration = Duration::from_mins(1);
/// Time between two deletions of old objects, which are kept for at least a day. A round that was cut off is followed
/// by the next one at once.
const OBJECTS_INTERVAL: Duration = Duration::from_hours(1);
/// Time between two deletions of old runs, audit entries and statuses, and of local segments that no run uses.
const OTHERS_INTERVAL: Duration = Duration::from_hours(1);

/// The housekeeping of a publisher.
#[derive(Clone)]
pub(super) struct Housekeeping {
    pub(super) publisher: Publisher,
    pub(super) statuses: StatusStore,
    /// Local segments, on a node that serves nothing from them.
    pub(super) segments: Option<SegmentDirectory>,
    pub(super) metrics: Metrics,
}

impl Housekeeping {
    /// Runs until `shutdown`. Deleting objects may take long, and nothing else waits for it.
    pub(super) async fn run(self, shutdown: Shutdown) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            ((), ()) = futures::future::join(self.reconcile(), self.delete_objects()) => {}
        }
    }

    /// Everything that takes little time.
    async fn reconcile(&self) {
        let publisher = &self.publisher;
        let mut keys = every(KEYS_INTERVAL, Duration::ZERO);
        // Not at once: checking a lease makes the first run wait.
        let mut abandoned = every(ABANDONED_INTERVAL, ABANDONED_INTERVAL);
        let mut others = every(OTHERS_INTERVAL, Duration::ZERO);
        loop {
            tokio::select! {
                _ = keys.tick() => report("keys", publisher.reconcile_keys().await),
                _ = abandoned.tick() => report("abandoned runs", publisher.reconcile_runs().await),
                _ = others.tick() => {
                    report("metadata", publisher.prune_metadata().await);
                    report("statuses", publisher.delete_old_statuses(&self.statuses).await);
                    report("local segments", self.delete_local_segments().await);
                }
            }
        }
    }

    async fn delete_objects(&self) {
        let mut housekeeper = Housekeeper::new(self.publisher.clone());
        let mut rounds = every(OBJECTS_INTERVAL, Duration::ZERO);
        loop {
            rounds.tick().await;
            match housekeeper.delete_objects().await {
                Ok(None) => {}
                Ok(Some(round)) => {
                    let is_cut_off = round.collections_left > 0;
                    self.metrics.housekeeping_round_ended(round.objects, is_cut_off);
                    if is_cut_off {
                        rounds.reset_immediately();
                    }
                }
                Err(error) => report("objects", Err(error)),
            }
        }
    }

    /// Removes local segments that no run has used within the last hour. The next run fetches them again.
    async fn delete_local_segments(&self) -> Result<(), Error> {
        if let Some(segments) = &self.segments {
            segments.delete_unreferenced(HashSet::new()).await.map_err(catalog::Error::from)?;
        }
        Ok(())
    }
}

/// Ticks once per `interval`, first after `delay`. Missed ticks are left out.
fn every(period: Duration, delay: Duration) -> Interval {
    let mut ticks =
        if delay.is_zero() { interval(period) } else { interval_at(Instant::now() + delay, period) };
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn report(what: &str, outcome: Result<(), Error>) {
    if let Err(error) = outcome {
        warn!(what, code = error.code(), %error, "housekeeping failed; trying again at the next interval");
    }
}
