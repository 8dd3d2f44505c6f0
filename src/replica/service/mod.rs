//! The replica's loop: polls the catalog, applies collections, evaluates readiness, publishes its status and
//! saves its state.

mod follow;
mod persistence;

use std::{
    collections::BTreeMap,
    future::{Future, pending},
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::FutureExt;
use tokio::{
    runtime::Handle,
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use persistence::Persistence;

use super::{
    error::Error,
    fetch::{Applied, Applier},
    local::Local,
    pace::Pace,
    poll::{Known, PollResult, poll},
    readiness::{LoadState, Readiness},
    settings::Settings,
    target::Target,
    tracked::Tracked,
};
use crate::{
    catalog::{self, Catalog, FreshnessByCollection},
    disk::{SegmentDirectory, SegmentUser},
    domain::{
        catalog::{CatalogDocument, CollectionEntry, KeySetReference},
        keyset::KeySet,
        manifest::Version,
        name::{CollectionName, RegionName},
    },
    status::{Board, DiskUsage, NodeCollectionStatus, Problem},
    support::{backoff::Backoff, blocking, clock::Clock, shutdown::Shutdown},
};

/// Collections applied at the same time: most of them wait for the network.
const RUNNING_MAX: usize = 16;
/// Time limit for the last save at shutdown. Without it the next start catches up from the store.
const LAST_SAVE_TIMEOUT: Duration = Duration::from_secs(5);

type PendingPoll = Pin<Box<dyn Future<Output = Result<PollResult, catalog::Error>> + Send>>;
type ApplyOutcome = (CollectionName, CollectionEntry, Result<Applied, Error>);

/// The service that follows the catalog. Run it once.
#[derive(Debug)]
pub struct Replica<T> {
    region: RegionName,
    clock: Clock,
    pace: Pace,
    applier: Arc<Applier<T>>,
    nudge: Arc<Notify>,
    board: Board,

    document: Option<CatalogDocument>,
    document_etag: Option<String>,
    etag: Option<String>,
    keys: Arc<KeySet>,
    keys_reference: Option<KeySetReference>,
    keys_wanted: Option<KeySetReference>,
    keys_at: Option<DateTime<Utc>>,
    polled_at: Option<DateTime<Utc>>,
    problem: Option<Problem>,
    fresh: FreshnessByCollection,
    tracked: BTreeMap<CollectionName, Tracked>,
    readiness: Readiness,

    running: JoinSet<ApplyOutcome>,
    persistence: Persistence,
    /// The published statuses of collections, and whether they are out of date.
    statuses: Arc<BTreeMap<CollectionName, NodeCollectionStatus>>,
    collections_changed: bool,
    must_publish: bool,
    must_poll: bool,
    next_poll: Instant,
    next_probe: Instant,
    backoff: Backoff,
}

/// The handle that the rest of the process holds. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ReplicaHandle {
    nudge: Arc<Notify>,
}

impl ReplicaHandle {
    /// Makes the replica poll at once, also for a document that head does not name yet.
    pub fn nudge(&self) {
        self.nudge.notify_one();
    }
}

impl<T: Target> Replica<T> {
    /// Opens the local directories and returns a replica and its handle. The replica writes its status to
    /// `board`. Blocks.
    pub fn open(
        settings: &Settings,
        pace: Pace,
        catalog: Catalog,
        segments: SegmentDirectory,
        target: Arc<T>,
        clock: Clock,
        board: Board,
    ) -> Result<(Self, ReplicaHandle), Error> {
        let local = Local::open(&settings.data_dir, &clock)?;
        segments.allow_eviction();
        let nudge = Arc::new(Notify::new());
        let handle = ReplicaHandle { nudge: Arc::clone(&nudge) };
        let now = Instant::now();
        let replica = Self {
            region: settings.region.clone(),
            applier: Arc::new(Applier::new(
                catalog,
                segments,
                local,
                target,
                Handle::current(),
                clock.clone(),
            )),
            clock,
            nudge,
            board,
            document: None,
            document_etag: None,
            etag: None,
            keys: Arc::default(),
            keys_reference: None,
            keys_wanted: None,
            keys_at: None,
            polled_at: None,
            problem: None,
            fresh: FreshnessByCollection::new(),
            tracked: BTreeMap::new(),
            readiness: Readiness::new(now, pace.store_wait_max),
            running: JoinSet::new(),
            persistence: Persistence::new(now, &pace),
            statuses: Arc::default(),
            collections_changed: false,
            must_publish: true,
            must_poll: true,
            next_poll: now,
            next_probe: now,
            backoff: Backoff::new(pace.poll, pace.poll_max),
            pace,
        };
        Ok((replica, handle))
    }

    /// Uses `background` for rebuilds after the node is ready, and for saving the state. Its threads should have a
    /// lower priority than those that serve requests. By default both run in the replica's own runtime.
    #[must_use]
    pub fn in_background(mut self, background: Handle) -> Self {
        if let Some(applier) = Arc::get_mut(&mut self.applier) {
            applier.background = background;
        }
        self
    }

    /// Follows the catalog until `shutdown`, then saves the state.
    pub async fn run(mut self, shutdown: Shutdown) {
        self.start_from_local_state().await;
        let mut polling: Option<PendingPoll> = None;
        loop {
            let now = Instant::now();
            if polling.is_none() && (self.must_poll || now >= self.next_poll) {
                polling = Some(self.start_poll(now));
            }
            self.start_due_collections(now);
            self.evaluate_readiness(now);
            self.publish_status();
            self.start_save_of_keys(now);
            self.start_save(now);
            self.delete_unused_files(now).await;
            let wake = self.wakes_at(polling.is_some());
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                result = wait(&mut polling) => {
                    polling = None;
                    self.apply_poll(result);
                }
                Some(applied) = self.running.join_next() => {
                    if let Ok((name, entry, outcome)) = applied {
                        self.finish_apply(&name, entry, outcome);
                    }
                }
                saved = wait(&mut self.persistence.saving_keys) => self.finish_save_of_keys(saved),
                saved = wait(&mut self.persistence.saving) => self.finish_save(saved),
                () = self.nudge.notified() => self.must_poll = true,
                () = sleep_until(wake) => {}
            }
        }
        self.running.abort_all();
        let _ = timeout(LAST_SAVE_TIMEOUT, self.save_before_exit()).await;
    }

    /// Continues from the state of the previous process. Damaged files are fetched again.
    async fn start_from_local_state(&mut self) {
        let local = self.applier.local.clone();
        let Some((keys, state)) = blocking::run(move || (local.load_keys(), local.load())).await else {
            return;
        };
        let wanted = state.as_ref().and_then(|state| state.keys.clone());
        let revision = wanted.as_ref().map_or(0, |wanted| wanted.revision);
        match keys {
            Some((reference, keys)) if reference.revision >= revision => {
                self.use_keys(keys, reference);
                self.keys_at = state.as_ref().and_then(|state| state.keys_at);
            }
            // Every key is refused until the store has answered.
            _ => self.keys_wanted = wanted,
        }
        let Some(state) = state else { return };
        let mut needed = Vec::new();
        for (name, entry) in &state.served {
            let manifest = self.applier.local.local_manifest(name, entry).await;
            needed.extend(manifest.iter().flat_map(|manifest| &manifest.segments).map(|one| one.sha256));
        }
        self.applier.segments.set_in_use(SegmentUser::State, needed);
        let mut served = state.served;
        self.follow_document(state.document);
        for (name, tracked) in &mut self.tracked {
            let is_served_here = tracked.is_served_here();
            tracked.last_good = served.remove(name).filter(|_| is_served_here);
        }
        for (name, fresh) in state.data_as_of {
            self.apply_freshness(&name, fresh);
        }
        for (name, ahead) in state.ahead {
            if let Some(tracked) = self.tracked.get_mut(&name) {
                tracked.ahead = Some(ahead);
            }
        }
        self.persistence.must_save = false;
        self.readiness.set_local_state(last_good_versions(&self.tracked));
    }

    fn start_poll(&mut self, now: Instant) -> PendingPoll {
        let probe = self.must_poll || now >= self.next_probe;
        let known = Known {
            deployment: self.document.as_ref().map(|document| document.deployment),
            n: self.document_number(),
            announced_by: self.document.as_ref().map(|document| document.announced_by),
            document_etag: self.document_etag.clone(),
            etag: self.etag.clone(),
            revision: self.keys.revision,
            keys_wanted: self.keys_wanted.clone(),
            probe,
        };
        self.must_poll = false;
        self.next_poll = now + self.pace.poll;
        if probe {
            self.next_probe = now + self.pace.probe;
        }
        let catalog = self.applier.catalog.clone();
        Box::pin(async move { poll(&catalog, &known).await })
    }

    fn document_number(&self) -> u64 {
        self.document.as_ref().map_or(0, |document| document.n)
    }

    /// Starts work on collections whose served version is not the wanted one.
    fn start_due_collections(&mut self, now: Instant) {
        let beside_readers = self.readiness.is_ready();
        for (name, tracked) in &mut self.tracked {
            if self.running.len() >= RUNNING_MAX {
                return;
            }
            let Some(entry) = tracked.due_entry(now).cloned() else { continue };
            tracked.is_applying = true;
            let (applier, name, ahead) = (Arc::clone(&self.applier), name.clone(), tracked.ahead);
            self.running.spawn(async move {
                // A panic in one collection must not end the node.
                let applying =
                    AssertUnwindSafe(applier.fetch_and_apply(&name, &entry, ahead, beside_readers))
                        .catch_unwind()
                        .await;
                let outcome = applying.unwrap_or_else(|_| Err(Error::Broken { collection: name.clone() }));
                (name, entry, outcome)
            });
        }
    }

    fn evaluate_readiness(&mut self, now: Instant) {
        if self.readiness.is_ready() {
            return;
        }
        if self.problem.is_some() && self.tracked.values().all(Tracked::has_outcome) {
            self.readiness.skip_store_wait();
        }
        let (tracked, failing) = (&self.tracked, self.pace.failing_after);
        let state_of = |name: &CollectionName, version: Version| {
            let tracked = tracked.get(name).filter(|tracked| tracked.is_served_here());
            let Some((tracked, wanted)) = tracked.and_then(|it| Some((it, it.wanted.as_ref()?))) else {
                return LoadState::Loaded;
            };
            // The collection may since have been pinned to an earlier version, or dropped and created again.
            let version = version.min(wanted.version);
            match (tracked.version(), tracked.is_failing_for(failing, now)) {
                (Some(served), _) if served >= version => LoadState::Loaded,
                (_, false) => LoadState::Loading,
                (Some(_), true) => LoadState::FailingWithContent,
                (None, true) => LoadState::FailingWithoutContent,
            }
        };
        let has_keys = self.keys_wanted.is_none();
        self.must_publish |= self.readiness.evaluate(now, has_keys, state_of);
    }

    /// Writes the status to the board, if it has changed.
    fn publish_status(&mut self) {
        if !self.must_publish {
            return;
        }
        self.must_publish = false;
        if std::mem::take(&mut self.collections_changed) {
            let now = self.clock.now();
            let statuses = self.tracked.iter().filter_map(|(name, tracked)| {
                let loaded = self.applier.target.memory_usage(name);
                Some((name.clone(), tracked.status(loaded, self.statuses.get(name), now)?))
            });
            self.statuses = Arc::new(statuses.collect());
        }
        let problem = self.problem.as_ref().or(self.persistence.problem()).cloned();
        let (bytes, bytes_max) = self.applier.segments.usage();
        self.board.update(|status| {
            // A lasting problem is counted once.
            let is_same = |problem: &&Problem| {
                let before = status.problem.as_ref();
                before.is_some_and(|it| (&it.code, it.since) == (&problem.code, problem.since))
            };
            if let Some(problem) = problem.as_ref().filter(|problem| !is_same(problem)) {
                *status.failed_polls.entry(problem.code.clone()).or_default() += 1;
            }
            status.catalog = self.document_number();
            status.deployment = self.document.as_ref().map(|document| document.deployment);
            status.polled_at = self.polled_at;
            status.keys_revision = self.keys.revision;
            status.keys = self.keys.keys.len();
            status.keys_refused = self.keys.refused;
            status.keys_at = self.keys_at;
            status.disk = DiskUsage { bytes, bytes_max };
            status.problem = problem;
            status.ready = self.readiness.is_ready();
            status.collections = Arc::clone(&self.statuses);
        });
    }

    /// When the loop must run again if no event comes first.
    fn wakes_at(&self, is_polling: bool) -> Instant {
        let now = Instant::now();
        let is_starting = !self.readiness.is_ready();
        let collections = self.tracked.values().flat_map(|tracked| {
            let failing_at = tracked.failing_at(self.pace.failing_after).filter(|_| is_starting);
            // A retry that is due waits for a free slot, not for a time.
            [tracked.retry_at(), failing_at].map(|at| at.filter(|at| *at > now))
        });
        let poll = (!is_polling).then_some(self.next_poll);
        let others = [poll, self.readiness.wakes_at(), self.persistence.wakes_at()];
        let soonest = collections.chain(others).flatten().min();
        soonest.unwrap_or(now + self.pace.poll)
    }
}

/// The versions that the catalog names, of collections served here.
fn wanted_versions(tracked: &BTreeMap<CollectionName, Tracked>) -> BTreeMap<CollectionName, Version> {
    let here = tracked.iter().filter(|(_, tracked)| tracked.is_served_here());
    here.filter_map(|(name, tracked)| Some((name.clone(), tracked.wanted.as_ref()?.version))).collect()
}

/// The versions in the local state.
fn last_good_versions(tracked: &BTreeMap<CollectionName, Tracked>) -> BTreeMap<CollectionName, Version> {
    let versions = tracked
        .iter()
        .filter_map(|(name, tracked)| Some((name.clone(), tracked.last_good.as_ref()?.version)));
    versions.collect()
}

/// Waits for `work`; for ever when there is none.
async fn wait<F: Future + Unpin>(work: &mut Option<F>) -> F::Output {
    match work {
        Some(work) => work.await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests;
