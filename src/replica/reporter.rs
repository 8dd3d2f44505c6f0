//! Tells the fleet how this node stands: writes its status when something that matters has changed,
//! and as a heartbeat.
//!
//! What matters is what somebody may wait for: a version that came into service, keys in force,
//! readiness, a publishing side that came up, a problem that came or went. Times that move on by themselves wait for the heartbeat:
//! every write costs money at a cloud's store.

use std::{collections::BTreeMap, future::pending, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

use super::status::{Applied, CollectionStatus, Place, Problem, PublisherStatus};
use crate::{
    catalog::StatusStore,
    domain::{
        id::NodeId,
        limits::FORMAT,
        name::{CollectionName, RegionName},
        node::{Label, LastError, NodeCollection, NodeProblem, NodePublisher, NodeStatus},
    },
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

/// What is reported on: the sides that the node's roles give it.
#[derive(Debug, Clone)]
pub struct Sides {
    /// Where the replica stands.
    pub applied: Option<watch::Receiver<Applied>>,
    /// Where the publishing side stands.
    pub publishing: Option<watch::Receiver<PublisherStatus>>,
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
    sides: Sides,
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

/// Where both sides stand.
#[derive(Debug, Default)]
struct Now {
    applied: Applied,
    publishing: Option<PublisherStatus>,
}

/// What matters of a state.
#[derive(Debug, Clone)]
struct Matter {
    is_publishing: bool,
    publisher_problem: Option<&'static str>,
    is_ready: bool,
    is_draining: bool,
    keys_revision: u64,
    problem: Option<&'static str>,
    collections: Arc<BTreeMap<CollectionName, CollectionStatus>>,
}

impl Reporter {
    /// A reporter of what `sides` tell.
    pub fn new(
        identity: Identity,
        statuses: StatusStore,
        sides: Sides,
        metrics: Metrics,
        clock: Clock,
        pace: ReportPace,
    ) -> Self {
        let now = Instant::now();
        Self {
            identity,
            statuses,
            sides,
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
                stands = self.sides.changed() => if !stands { break },
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

    /// Where both sides stand.
    fn look(&mut self) -> Now {
        let Sides { applied, publishing } = &mut self.sides;
        let now = Now {
            applied: applied.as_mut().map(|side| side.borrow_and_update().clone()).unwrap_or_default(),
            publishing: publishing.as_mut().map(|side| side.borrow_and_update().clone()),
        };
        self.history.see(&now, self.clock.now());
        now
    }

    fn matters(&self, now: &Now) -> bool {
        self.written.as_ref().is_none_or(|written| written.differs(&self.matter(now)))
    }

    fn matter(&self, Now { applied, publishing }: &Now) -> Matter {
        let code = |problem: &Problem| problem.code;
        Matter {
            is_publishing: publishing.as_ref().is_some_and(|publishing| publishing.is_up),
            publisher_problem: publishing.as_ref().and_then(|side| side.problem.as_ref()).map(code),
            is_ready: applied.ready,
            is_draining: self.is_draining,
            keys_revision: applied.keys.revision,
            problem: applied.problem.as_ref().map(code),
            collections: Arc::clone(&applied.collections),
        }
    }

    async fn write(&mut self, now: &Now) {
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

    fn status(&self, Now { applied, publishing }: &Now) -> NodeStatus {
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
            ready: applied.ready,
            draining: self.is_draining,
            catalog: applied.n,
            polled_at: applied.polled_at,
            keys_revision: applied.keys.revision,
            keys_at: applied.keys_at,
            problem: applied.problem.as_ref().map(told),
            last_error: self.history.last_error.clone(),
            collections: here(&applied.collections)
                .map(|(name, status)| (name.clone(), self.history.collection(name, status)))
                .collect(),
            publisher: publishing.as_ref().map(|side| NodePublisher {
                up: side.is_up,
                last_run_at: side.last_run_at,
                problem: side.problem.as_ref().map(told),
            }),
        }
    }
}

impl Sides {
    /// Returns when a side has changed: true, or has ended: false.
    async fn changed(&mut self) -> bool {
        tokio::select! {
            stands = changed(&mut self.applied) => stands,
            stands = changed(&mut self.publishing) => stands,
        }
    }
}

/// A side that is not there never changes.
async fn changed<T>(side: &mut Option<watch::Receiver<T>>) -> bool {
    match side {
        Some(side) => side.changed().await.is_ok(),
        None => pending().await,
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
            || (self.is_publishing, self.publisher_problem) != (now.is_publishing, now.publisher_problem)
            || (!Arc::ptr_eq(&self.collections, &now.collections) && collections())
    }
}

impl History {
    fn see(&mut self, Now { applied: now, publishing }: &Now, clock: DateTime<Utc>) {
        let of_publishing = publishing.as_ref().and_then(|side| side.problem.as_ref());
        for problem in now.problem.iter().chain(of_publishing) {
            self.met(problem, None);
        }
        if let Some(error) = publishing.as_ref().and_then(|side| side.last_error.as_ref()) {
            self.last(error.clone());
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
        let code = Label::fitted(problem.code);
        self.last(LastError { code, collection: collection.cloned(), at: problem.since });
    }

    fn last(&mut self, error: LastError) {
        if self.last_error.as_ref().is_none_or(|last| last.at <= error.at) {
            self.last_error = Some(error);
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
