//! Tells the fleet how this node stands: writes its status when something that matters has changed,
//! and as a heartbeat.
//!
//! What matters is what somebody may wait for: a version that came into service, keys in force,
//! readiness, a problem that came or went. Times that move on by themselves wait for the heartbeat:
//! every write costs money at a cloud's store.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

use super::status::{Applied, CollectionStatus, Place, Problem};
use crate::{
    domain::{
        id::NodeId,
        limits::FORMAT,
        name::{CollectionName, RegionName},
        node::{Label, LastError, NodeCollection, NodeProblem, NodeStatus},
    },
    publication::StatusStore,
    support::{backoff::Backoff, clock::Clock, shutdown::Shutdown},
    telemetry::Metrics,
};

/// Time for the last write while the process ends; without it the node falls silent.
const LAST_WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// Who reports.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The node.
    pub node: NodeId,
    /// Its name, for people.
    pub name: Label,
    /// The region that it serves.
    pub region: RegionName,
    /// What it does.
    pub roles: Vec<Label>,
}

/// How often a node writes. Tests shorten it.
#[derive(Debug, Clone)]
pub struct ReportPace {
    /// Shortest time between two writes.
    pub apart: Duration,
    /// Longest time between two writes.
    pub heartbeat: Duration,
    /// First and longest waiting time after a write that failed.
    pub retry: (Duration, Duration),
}

impl Default for ReportPace {
    /// A heartbeat every 30 s is 88,000 writes a month, half a dollar at S3's list price; a third of
    /// what makes a node silent, so that two may be lost.
    fn default() -> Self {
        Self {
            apart: Duration::from_secs(1),
            heartbeat: Duration::from_secs(30),
            retry: (Duration::from_secs(1), Duration::from_mins(5)),
        }
    }
}

/// The service that writes a node's status. Run it once.
#[derive(Debug)]
pub struct Reporter {
    identity: Identity,
    statuses: StatusStore,
    applied: watch::Receiver<Applied>,
    metrics: Metrics,
    clock: Clock,
    pace: ReportPace,
    started_at: DateTime<Utc>,
    is_draining: bool,
    history: History,
    written: Option<Matter>,
    is_failing: bool,
    backoff: Backoff,
    /// Not before.
    next_write: Instant,
    next_heartbeat: Instant,
}

/// What a status cannot take from the present moment.
#[derive(Debug, Default)]
struct History {
    collections: Arc<BTreeMap<CollectionName, CollectionStatus>>,
    behind_since: BTreeMap<CollectionName, DateTime<Utc>>,
    last_error: Option<LastError>,
}

/// What matters of a state.
#[derive(Debug, Clone)]
struct Matter {
    is_ready: bool,
    is_draining: bool,
    keys_revision: u64,
    problem: Option<&'static str>,
    collections: Arc<BTreeMap<CollectionName, CollectionStatus>>,
}

impl Reporter {
    /// A reporter of what `applied` tells.
    pub fn new(
        identity: Identity,
        statuses: StatusStore,
        applied: watch::Receiver<Applied>,
        metrics: Metrics,
        clock: Clock,
        pace: ReportPace,
    ) -> Self {
        let now = Instant::now();
        Self {
            identity,
            statuses,
            applied,
            metrics,
            started_at: clock.now(),
            clock,
            is_draining: false,
            history: History::default(),
            written: None,
            is_failing: false,
            backoff: Backoff::new(pace.retry.0, pace.retry.1),
            pace,
            next_write: now,
            next_heartbeat: now,
        }
    }

    /// Runs until `shutdown`; says that the node drains once `drain` is cancelled.
    pub async fn run(mut self, drain: Shutdown, shutdown: Shutdown) {
        loop {
            let now = self.look();
            let wake = if self.matters(&now) { self.next_write } else { self.next_heartbeat };
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = drain.cancelled(), if !self.is_draining => self.is_draining = true,
                changed = self.applied.changed() => if changed.is_err() { break },
                () = sleep_until(wake) => tokio::select! {
                    () = self.write(&now) => {}
                    () = shutdown.cancelled() => break,
                },
            }
        }
        self.is_draining = true;
        let now = self.look();
        if self.matters(&now) && !self.is_failing {
            let _ = timeout(LAST_WRITE_TIMEOUT, self.write(&now)).await;
        }
    }

    /// Where the replica stands.
    fn look(&mut self) -> Applied {
        let now = self.applied.borrow_and_update().clone();
        self.history.see(&now, self.clock.now());
        now
    }

    fn matters(&self, now: &Applied) -> bool {
        self.written.as_ref().is_none_or(|written| written.differs(&self.matter(now)))
    }

    fn matter(&self, now: &Applied) -> Matter {
        Matter {
            is_ready: now.ready,
            is_draining: self.is_draining,
            keys_revision: now.keys.revision,
            problem: now.problem.as_ref().map(|problem| problem.code),
            collections: Arc::clone(&now.collections),
        }
    }

    async fn write(&mut self, now: &Applied) {
        let begun = Instant::now();
        let written = self.statuses.write(&self.status(now)).await;
        self.metrics.status_written(written.is_ok());
        self.next_heartbeat = begun + self.pace.heartbeat;
        match written {
            Ok(()) => {
                self.next_write = begun + self.pace.apart;
                self.written = Some(self.matter(now));
                self.backoff.reset();
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("the node's status is written again");
                }
            }
            Err(error) => {
                self.next_write = Instant::now() + self.backoff.next_delay();
                // What was written last is out of date, whatever happens until then.
                self.written = None;
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(
                        code = error.code(), %error,
                        "the node's status cannot be written; it serves on, and others see it as silent"
                    );
                }
            }
        }
    }

    fn status(&self, now: &Applied) -> NodeStatus {
        let Identity { node, name, region, roles } = self.identity.clone();
        NodeStatus {
            format: FORMAT,
            node,
            name,
            region,
            roles,
            build: Label::fitted(env!("CARGO_PKG_VERSION")),
            started_at: self.started_at,
            written_at: self.clock.now(),
            ready: now.ready,
            draining: self.is_draining,
            catalog: now.n,
            polled_at: now.polled_at,
            keys_revision: now.keys.revision,
            keys_at: now.keys_at,
            problem: now.problem.as_ref().map(told),
            last_error: self.history.last_error.clone(),
            collections: here(&now.collections)
                .map(|(name, status)| (name.clone(), self.history.collection(name, status)))
                .collect(),
        }
    }
}

impl Matter {
    fn differs(&self, now: &Self) -> bool {
        let collections = || {
            let of = |(name, status): (&CollectionName, &CollectionStatus)| {
                (name.clone(), status.served, status.problem.as_ref().map(|problem| problem.code))
            };
            !here(&self.collections).map(of).eq(here(&now.collections).map(of))
        };
        (self.is_ready, self.is_draining, self.keys_revision, self.problem)
            != (now.is_ready, now.is_draining, now.keys_revision, now.problem)
            || (!Arc::ptr_eq(&self.collections, &now.collections) && collections())
    }
}

impl History {
    fn see(&mut self, now: &Applied, clock: DateTime<Utc>) {
        if let Some(problem) = &now.problem {
            self.met(problem, None);
        }
        if Arc::ptr_eq(&self.collections, &now.collections) {
            return;
        }
        self.collections = Arc::clone(&now.collections);
        for (name, status) in &*now.collections {
            if let Some(problem) = &status.problem {
                self.met(problem, Some(name));
            }
        }
        // Above it before it has gone back to a version that its region is pinned to.
        let is_behind = |status: &CollectionStatus| status.served != Some(status.wanted);
        let before = std::mem::take(&mut self.behind_since);
        let behind = here(&now.collections).filter(|(_, status)| is_behind(status));
        self.behind_since =
            behind.map(|(name, _)| (name.clone(), before.get(name).copied().unwrap_or(clock))).collect();
    }

    /// Remembers the problem that began last.
    fn met(&mut self, problem: &Problem, collection: Option<&CollectionName>) {
        if self.last_error.as_ref().is_none_or(|last| last.at <= problem.since) {
            let code = Label::fitted(problem.code);
            self.last_error = Some(LastError { code, collection: collection.cloned(), at: problem.since });
        }
    }

    fn collection(&self, name: &CollectionName, status: &CollectionStatus) -> NodeCollection {
        NodeCollection {
            wanted: status.wanted,
            served: status.served,
            behind_since: self.behind_since.get(name).copied(),
            data_as_of: status.data_as_of,
            records: status.records,
            bytes: status.bytes,
            problem: status.problem.as_ref().map(told),
        }
    }
}

fn told(problem: &Problem) -> NodeProblem {
    NodeProblem { code: Label::fitted(problem.code), since: problem.since }
}

/// The collections that the catalog gives to this node.
fn here(
    collections: &BTreeMap<CollectionName, CollectionStatus>,
) -> impl Iterator<Item = (&CollectionName, &CollectionStatus)> {
    collections.iter().filter(|(_, status)| status.place == Place::Here)
}
