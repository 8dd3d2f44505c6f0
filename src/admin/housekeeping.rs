//! Housekeeping: deletes what the catalog no longer refers to, old statuses, and old entries of metadata.

use std::time::Duration;

use chrono::TimeDelta;
use serde::Serialize;
use tracing::{info, warn};

use super::{access::SESSION_IDLE, error::Error, publisher::Publisher};
use crate::{
    catalog::{Deletions, Retention, RetentionRules, StatusStore},
    domain::ErrorKind,
    metadata::LeaseOutcome,
};

/// Duration of the lease of a round. A process that is killed keeps others from housekeeping for as long.
const LEASE: Duration = Duration::from_mins(10);
/// A round begins with no further collection after this time, so that it ends within its lease.
const ROUND_MAX: Duration = Duration::from_mins(8);
/// Runs kept of each sync, whatever their outcome.
const RUNS_KEPT: usize = 1000;
/// Runs that announced a version, kept of each sync however old they are. `keep_versions` is used when it is
/// larger: the run of a version must be kept as long as its manifest.
const ANNOUNCED_RUNS_KEPT: usize = 100;
/// Other runs are kept for a year at most.
const RUNS_DAYS: i64 = 365;
/// The query of a run is kept as long as a run refers to it, and for this many days after its last use: a run that has
/// just begun may not refer to it yet.
const QUERY_DAYS: i64 = 1;
/// Entries of the audit log are kept for two years.
const AUDIT_DAYS: i64 = 730;

/// What a round of housekeeping has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct HousekeepingRound {
    /// Deleted objects of the store.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Collections that were not checked because the time of the round was up. The next round begins with them.
    pub collections_left: usize,
}

/// Deletes objects of the store, round by round. Manifests that one round has read are known to the next.
pub struct Housekeeper {
    publisher: Publisher,
    retention: Retention,
}

impl Housekeeper {
    /// A housekeeper that knows no manifest yet.
    pub fn new(publisher: Publisher) -> Self {
        let retention = Retention::new(publisher.catalog.clone());
        Self { publisher, retention }
    }

    /// Runs one round; returns `None` when another process runs one.
    pub async fn delete_objects(&mut self) -> Result<Option<HousekeepingRound>, Error> {
        let metadata = self.publisher.metadata.clone();
        let holder = format!("pid-{}", std::process::id());
        let LeaseOutcome::Held(lease) = metadata.acquire_lease("housekeeping", &holder, LEASE).await? else {
            return Ok(None);
        };
        // Another process may begin when the lease has ended.
        let round = tokio::time::timeout(LEASE, self.round()).await;
        metadata.release_lease(&lease).await?;
        let round = round.unwrap_or_else(|_| {
            warn!("a round of housekeeping took longer than its lease and was cut off");
            Ok(HousekeepingRound { collections_left: 1, ..HousekeepingRound::default() })
        })?;
        Ok(Some(round))
    }

    async fn round(&mut self) -> Result<HousekeepingRound, Error> {
        let publisher = &self.publisher;
        let manifests = publisher.metadata.manifests_in_use().await?.into_iter().collect();
        let keep_versions = publisher.keep_versions;
        let rules = RetentionRules { keep_versions, manifests, ..RetentionRules::default() };
        // Another database knows other held runs, whose objects must stay.
        publisher.catalog.newest_of(&publisher.authority).await?;
        let deployment = Some(publisher.authority.deployment());
        let deleted = self.retention.run(deployment, &rules, ROUND_MAX).await?;
        let Deletions { objects, bytes, collections_left } = deleted;
        if objects > 0 {
            info!(objects, bytes, "deleted objects that no manifest or document references");
        }
        if collections_left > 0 {
            warn!(
                collections_left,
                "housekeeping was cut off; the next round begins with the remaining collections"
            );
        }
        Ok(HousekeepingRound { objects, bytes, collections_left })
    }
}

impl Publisher {
    /// Deletes old runs and old entries of the audit log. Their age is by the store's clock: a clock of one publisher
    /// that is ahead must not delete what others still need.
    pub async fn prune_metadata(&self) -> Result<(), Error> {
        let now = self.catalog.store_time().await?;
        let announced = self.keep_versions.max(ANNOUNCED_RUNS_KEPT);
        self.metadata.prune_runs(RUNS_KEPT, announced, now - TimeDelta::days(RUNS_DAYS)).await?;
        self.metadata.prune_queries(now - TimeDelta::days(QUERY_DAYS)).await?;
        self.metadata.prune_audit_log(now - TimeDelta::days(AUDIT_DAYS)).await?;
        self.metadata.prune_requests(now).await?;
        self.metadata.prune_sessions(now, SESSION_IDLE).await?;
        Ok(())
    }

    /// Deletes the statuses of nodes that are gone. A publisher that may not delete them leaves them to another one:
    /// they are small, and readers ignore them.
    pub async fn delete_old_statuses(&self, statuses: &StatusStore) -> Result<(), Error> {
        match statuses.collect().await {
            Ok(0) => {}
            Ok(nodes) => info!(nodes, "deleted statuses of nodes that are gone"),
            Err(error) if error.kind() == ErrorKind::Forbidden => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Resolves the outcome of runs whose process is dead.
    pub async fn reconcile_runs(&self) -> Result<(), Error> {
        Ok(self.engine.reconcile_abandoned_runs().await?)
    }
}
