//! Housekeeping of a publisher: old objects, old runs, runs that a killed process left open, and a
//! key set that was not yet announced.

use std::{collections::HashSet, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::{
    admin::{Error, Publisher},
    catalog::{self, RetentionRules, StatusStore},
    disk::SegmentDirectory,
    domain::error::ErrorKind,
    metadata::LeaseOutcome,
    support::shutdown::Shutdown,
};

/// Time between two checks whether the catalog has the key set of metadata: a process may have died between
/// writing the one and announcing the other.
const KEYS_INTERVAL: Duration = Duration::from_mins(1);
/// Time between two searches for runs that a killed process left open. The sync's next run reconciles them
/// as well; this is for syncs that do not run again.
const ABANDONED_INTERVAL: Duration = Duration::from_mins(1);
/// Time between two deletions of old objects, which are kept for at least a day.
const OBJECTS_INTERVAL: Duration = Duration::from_hours(1);
/// Time between two deletions of local segments that no run uses.
const LOCAL_INTERVAL: Duration = Duration::from_hours(1);
/// Time limit of one deletion, and the duration of its lease.
const ROUND_MAX: Duration = Duration::from_mins(10);
/// Runs kept of each sync, whatever their outcome.
const RUNS_KEPT: usize = 1000;
/// Runs that announced a version, kept of each sync however old they are. `keep_versions` is used when it is
/// larger: the run of a version must be kept as long as its manifest.
const ANNOUNCED_RUNS_KEPT: usize = 100;
/// Other runs are kept for a year at most.
const RUNS_DAYS: i64 = 365;
/// Entries of the audit log are kept for two years.
const AUDIT_DAYS: i64 = 730;

/// The housekeeping of a publisher.
#[derive(Clone)]
pub(super) struct Housekeeping {
    pub(super) publisher: Publisher,
    pub(super) statuses: StatusStore,
    /// Local segments, on a node that serves nothing from them.
    pub(super) segments: Option<SegmentDirectory>,
    pub(super) keep_versions: usize,
}

impl Housekeeping {
    /// Runs until `shutdown`.
    pub(super) async fn run(self, shutdown: Shutdown) {
        let Self { publisher, statuses, segments, keep_versions } = &self;
        let mut keys = tokio::time::interval(KEYS_INTERVAL);
        let mut objects = tokio::time::interval(OBJECTS_INTERVAL);
        let mut local = tokio::time::interval(LOCAL_INTERVAL);
        // Not at once: checking a lease makes the first run wait.
        let mut abandoned = tokio::time::interval_at(Instant::now() + ABANDONED_INTERVAL, ABANDONED_INTERVAL);
        loop {
            let (what, result) = tokio::select! {
                () = shutdown.cancelled() => return,
                _ = keys.tick() => ("keys", publisher.reconcile_keys().await),
                _ = abandoned.tick() => ("abandoned runs", reconcile_runs(publisher).await),
                _ = objects.tick() => ("objects", collect(publisher, statuses, *keep_versions).await),
                _ = local.tick() => ("local segments", collect_local(segments.as_ref()).await),
            };
            if let Err(error) = result {
                warn!(what, code = error.code(), %error, "housekeeping failed; trying again at the next interval");
            }
        }
    }
}

/// Removes local segments that no run has used within the last hour. The next run fetches them again.
async fn collect_local(segments: Option<&SegmentDirectory>) -> Result<(), Error> {
    if let Some(segments) = segments {
        segments.delete_unreferenced(HashSet::new()).await.map_err(catalog::Error::from)?;
    }
    Ok(())
}

/// Resolves the outcome of runs whose process is dead.
pub(super) async fn reconcile_runs(publisher: &Publisher) -> Result<(), Error> {
    Ok(publisher.engine.reconcile_abandoned_runs().await?)
}

/// Deletes old objects and old entries of metadata, while it holds the lease of housekeeping.
async fn collect(publisher: &Publisher, statuses: &StatusStore, keep_versions: usize) -> Result<(), Error> {
    let metadata = &publisher.metadata;
    let holder = format!("pid-{}", std::process::id());
    let LeaseOutcome::Held(lease) = metadata.acquire_lease("housekeeping", &holder, ROUND_MAX).await? else {
        return Ok(());
    };
    let round = async {
        let manifests: HashSet<String> = metadata.manifests_in_use().await?.into_iter().collect();
        let rules = RetentionRules { keep_versions, manifests };
        let (clock, deployment) = (&publisher.clock, Some(publisher.authority.deployment()));
        // Another database knows other held runs, whose objects must stay.
        publisher.catalog.newest_of(&publisher.authority).await?;
        let deleted = publisher.catalog.delete_unreferenced(clock, deployment, &rules).await?;
        if deleted.objects > 0 {
            info!(
                objects = deleted.objects,
                bytes = deleted.bytes,
                "deleted objects that no manifest or document references"
            );
        }
        let now = publisher.clock.now();
        collect_statuses(statuses, now).await;
        let announced = keep_versions.max(ANNOUNCED_RUNS_KEPT);
        metadata.prune_runs(RUNS_KEPT, announced, now - TimeDelta::days(RUNS_DAYS)).await?;
        metadata.prune_audit_log(now - TimeDelta::days(AUDIT_DAYS)).await?;
        Ok(())
    };
    let result = tokio::time::timeout(ROUND_MAX, round).await.unwrap_or(Ok(()));
    metadata.release_lease(&lease).await?;
    result
}

/// Deletes the statuses of nodes that are gone. A publisher that may not delete them leaves them to another one:
/// they are small, and readers ignore them.
async fn collect_statuses(statuses: &StatusStore, now: DateTime<Utc>) {
    match statuses.collect(now).await {
        Ok(0) => {}
        Ok(nodes) => info!(nodes, "deleted statuses of nodes that are gone"),
        Err(error) if error.kind() == ErrorKind::Forbidden => {}
        Err(error) => {
            warn!(code = error.code(), %error, "cannot delete old statuses; trying again at the next interval");
        }
    }
}
