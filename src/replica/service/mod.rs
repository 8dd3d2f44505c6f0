//! The replica's loop: looks, brings collections, judges readiness, tells others, saves its state.

mod follow;
mod upkeep;

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
    sync::{Notify, watch},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use upkeep::Upkeep;

use super::{
    bring::Tools,
    error::Error,
    local::Local,
    look::{Known, Seen, look},
    pace::Pace,
    readiness::{Readiness, Standing},
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
        manifest::{Manifest, Version},
        name::{CollectionName, RegionName},
    },
    status::{Board, CollectionStatus, DiskUsage, NodeStatus, Problem},
    support::{backoff::Backoff, blocking, clock::Clock, shutdown::Shutdown},
};

/// Collections under way at the same time: most wait for the network.
const RUNNING_MAX: usize = 16;
/// Time for saving the state while the process ends; without it the next start catches up.
const LAST_SAVE_TIMEOUT: Duration = Duration::from_secs(5);

type Looking = Pin<Box<dyn Future<Output = Result<Seen, catalog::Error>> + Send>>;
type Brought = (CollectionName, CollectionEntry, Result<Arc<Manifest>, Error>);

/// The service that follows the catalog. Run it once.
#[derive(Debug)]
pub struct Replica<T> {
    region: RegionName,
    clock: Clock,
    pace: Pace,
    tools: Arc<Tools<T>>,
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

    running: JoinSet<Brought>,
    upkeep: Upkeep,
    /// What others are told of collections, and whether it is out of date.
    statuses: Arc<BTreeMap<CollectionName, CollectionStatus>>,
    has_moved: bool,
    must_tell: bool,
    must_look: bool,
    next_look: Instant,
    next_probe: Instant,
    backoff: Backoff,
}

/// What the rest of the process holds. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ReplicaHandle {
    board: Board,
    nudge: Arc<Notify>,
}

impl ReplicaHandle {
    /// The node's status, now and whenever it changes.
    pub fn status(&self) -> watch::Receiver<NodeStatus> {
        self.board.subscribe()
    }

    /// Makes it look at once, also for a document that head does not name yet.
    pub fn nudge(&self) {
        self.nudge.notify_one();
    }
}

impl<T: Target> Replica<T> {
    /// A replica and its handle; opens the local directories. It writes its status to `board`. Blocks.
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
        let handle = ReplicaHandle { board: board.clone(), nudge: Arc::clone(&nudge) };
        let now = Instant::now();
        let replica = Self {
            region: settings.region.clone(),
            clock,
            tools: Arc::new(Tools::new(catalog, segments, local, target, Handle::current())),
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
            readiness: Readiness::new(now, pace.patience),
            running: JoinSet::new(),
            upkeep: Upkeep::new(now, &pace),
            statuses: Arc::default(),
            has_moved: false,
            must_tell: true,
            must_look: true,
            next_look: now,
            next_probe: now,
            backoff: Backoff::new(pace.poll, pace.poll_longest),
            pace,
        };
        Ok((replica, handle))
    }

    /// Does what may take long, besides the first loading, in this runtime: its threads may step back
    /// behind those who serve. Otherwise it is done where the replica runs.
    #[must_use]
    pub fn in_background(mut self, background: Handle) -> Self {
        if let Some(tools) = Arc::get_mut(&mut self.tools) {
            tools.background = background;
        }
        self
    }

    /// Follows until `shutdown`. What was applied is saved at the end.
    pub async fn run(mut self, shutdown: Shutdown) {
        self.start_from_local_state().await;
        let mut looking: Option<Looking> = None;
        loop {
            let now = Instant::now();
            if looking.is_none() && (self.must_look || now >= self.next_look) {
                looking = Some(self.begin_to_look(now));
            }
            self.bring_what_is_due(now);
            self.judge(now);
            self.tell();
            self.begin_to_save(now);
            self.tidy(now).await;
            let wake = self.wakes_at(looking.is_some());
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                seen = wait(&mut looking) => {
                    looking = None;
                    self.seen(seen);
                }
                Some(brought) = self.running.join_next() => {
                    if let Ok((name, entry, outcome)) = brought {
                        self.brought(&name, entry, outcome);
                    }
                }
                saved = wait(&mut self.upkeep.saving) => self.saved(saved),
                () = self.nudge.notified() => self.must_look = true,
                () = sleep_until(wake) => {}
            }
        }
        self.running.abort_all();
        let _ = timeout(LAST_SAVE_TIMEOUT, self.save_at_the_end()).await;
    }

    /// Takes up where the last process ended. Damage is not fatal: it is fetched anew.
    async fn start_from_local_state(&mut self) {
        let local = self.tools.local.clone();
        let Some(Some(state)) = blocking::run(move || local.load()).await else { return };
        if let Some(reference) = state.keys {
            match self.tools.local.kept_keys(&reference).await {
                Some(keys) => {
                    self.use_keys(keys, reference);
                    self.keys_at = state.keys_at;
                }
                None => self.keys_wanted = Some(reference),
            }
        }
        let mut needed = Vec::new();
        for (name, entry) in &state.served {
            let manifest = self.tools.local.kept_manifest(name, entry).await;
            needed.extend(manifest.iter().flat_map(|manifest| &manifest.segments).map(|one| one.sha256));
        }
        self.tools.segments.set_in_use(SegmentUser::State, needed);
        let mut served = state.served;
        self.take(state.document);
        for (name, tracked) in &mut self.tracked {
            let is_here = tracked.is_here();
            tracked.last_good = served.remove(name).filter(|_| is_here);
        }
        for (name, fresh) in state.data_as_of {
            self.freshen(&name, fresh);
        }
        self.upkeep.must_save = false;
        self.readiness.has_state(in_state(&self.tracked));
    }

    fn begin_to_look(&mut self, now: Instant) -> Looking {
        let probe = self.must_look || now >= self.next_probe;
        let known = Known {
            deployment: self.document.as_ref().map(|document| document.deployment),
            n: self.n(),
            announced_by: self.document.as_ref().map(|document| document.announced_by),
            document_etag: self.document_etag.clone(),
            etag: self.etag.clone(),
            revision: self.keys.revision,
            keys_wanted: self.keys_wanted.clone(),
            probe,
        };
        self.must_look = false;
        self.next_look = now + self.pace.poll;
        if probe {
            self.next_probe = now + self.pace.probe;
        }
        let catalog = self.tools.catalog.clone();
        Box::pin(async move { look(&catalog, &known).await })
    }

    fn n(&self) -> u64 {
        self.document.as_ref().map_or(0, |document| document.n)
    }

    /// Begins work on collections that are not what they should be.
    fn bring_what_is_due(&mut self, now: Instant) {
        let beside_readers = self.readiness.is_ready();
        for (name, tracked) in &mut self.tracked {
            if self.running.len() >= RUNNING_MAX {
                return;
            }
            let Some(entry) = tracked.due(now).cloned() else { continue };
            tracked.is_running = true;
            let (tools, name) = (Arc::clone(&self.tools), name.clone());
            self.running.spawn(async move {
                // A bug in one collection must not end the node.
                let bringing =
                    AssertUnwindSafe(tools.bring(&name, &entry, beside_readers)).catch_unwind().await;
                let outcome = bringing.unwrap_or_else(|_| Err(Error::Broken { collection: name.clone() }));
                (name, entry, outcome)
            });
        }
    }

    fn judge(&mut self, now: Instant) {
        if self.readiness.is_ready() {
            return;
        }
        if self.problem.is_some() && self.tracked.values().all(Tracked::is_tried) {
            self.readiness.is_on_its_own();
        }
        let (tracked, failing) = (&self.tracked, self.pace.failing);
        let standing = |name: &CollectionName, version: Version| {
            let tracked = tracked.get(name).filter(|tracked| tracked.is_here());
            let Some((tracked, wanted)) = tracked.and_then(|it| Some((it, it.wanted.as_ref()?))) else {
                return Standing::Fine;
            };
            // It may have been pinned to an earlier version, or begun anew, since it was needed.
            let version = version.min(wanted.version);
            match (tracked.version(), tracked.is_failing_for(failing, now)) {
                (Some(served), _) if served >= version => Standing::Fine,
                (_, false) => Standing::Pending,
                (Some(_), true) => Standing::FailingWithContent,
                (None, true) => Standing::FailingWithout,
            }
        };
        let has_keys = self.keys_wanted.is_none();
        self.must_tell |= self.readiness.judge(now, has_keys, standing);
    }

    /// Writes the status to the board, if it has changed.
    fn tell(&mut self) {
        if !self.must_tell {
            return;
        }
        self.must_tell = false;
        if std::mem::take(&mut self.has_moved) {
            let now = self.clock.now();
            let statuses = self.tracked.iter().filter_map(|(name, tracked)| {
                let loaded = self.tools.target.memory_usage(name);
                Some((name.clone(), tracked.status(loaded, self.statuses.get(name), now)?))
            });
            self.statuses = Arc::new(statuses.collect());
        }
        let problem = self.problem.clone().or_else(|| self.upkeep.problem.clone());
        let (bytes, bytes_max) = self.tools.segments.usage();
        self.board.update(|status| {
            // One that lasts counts once.
            let is_same = |problem: &&Problem| {
                let before = status.problem.as_ref();
                before.is_some_and(|it| (&it.code, it.since) == (&problem.code, problem.since))
            };
            if let Some(problem) = problem.as_ref().filter(|problem| !is_same(problem)) {
                *status.failed_polls.entry(problem.code.clone()).or_default() += 1;
            }
            status.catalog = self.n();
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

    /// When something is to be done although nothing happens.
    fn wakes_at(&self, is_looking: bool) -> Instant {
        let now = Instant::now();
        let is_starting = !self.readiness.is_ready();
        let collections = self.tracked.values().flat_map(|tracked| {
            let fails_at = tracked.fails_at(self.pace.failing).filter(|_| is_starting);
            // One whose time has come waits for others to end, and is not slept for.
            [tracked.retry_at(), fails_at].map(|at| at.filter(|at| *at > now))
        });
        let look = (!is_looking).then_some(self.next_look);
        let others = [look, self.readiness.wakes_at(), self.upkeep.wakes_at()];
        let soonest = collections.chain(others).flatten().min();
        soonest.unwrap_or(now + self.pace.poll)
    }
}

/// The versions that the catalog names of collections served here.
fn named(tracked: &BTreeMap<CollectionName, Tracked>) -> BTreeMap<CollectionName, Version> {
    let here = tracked.iter().filter(|(_, tracked)| tracked.is_here());
    here.filter_map(|(name, tracked)| Some((name.clone(), tracked.wanted.as_ref()?.version))).collect()
}

/// The versions that the local state has.
fn in_state(tracked: &BTreeMap<CollectionName, Tracked>) -> BTreeMap<CollectionName, Version> {
    let versions = tracked
        .iter()
        .filter_map(|(name, tracked)| Some((name.clone(), tracked.last_good.as_ref()?.version)));
    versions.collect()
}

/// Waits for work that may not have begun; then for ever.
async fn wait<F: Future + Unpin>(work: &mut Option<F>) -> F::Output {
    match work {
        Some(work) => work.await,
        None => pending().await,
    }
}
