//! A replica: the real one with the real cache, and checks of everything that it shows.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, Utc};
use larder::{
    cache::{Cache, Slot},
    disk::{SegmentBuffer, SegmentDirectory},
    domain::{
        catalog::CatalogDocument,
        id::RunId,
        keyset::KeySet,
        manifest::{Manifest, Version},
        name::{CollectionName, RegionName},
    },
    replica::{CacheTarget, Pace, Refusal, Replica, Settings, Target},
    status::Board,
    support::shutdown::Shutdown,
};
use tokio::time::sleep;

use super::{
    content::difference,
    hub::{Hub, Who},
    view::View,
};
use crate::support::{board::board, catalog::catalog_over};

/// A replica over all its lives.
pub(super) struct Node {
    hub: Arc<Hub>,
    pub(super) number: u8,
    data_dir: PathBuf,
    /// Its current life.
    present: Mutex<Option<Present>>,
}

#[derive(Clone)]
struct Present {
    cache: Cache,
    board: Board,
}

/// The state that the last life left on disk. Nothing older may be shown again.
#[derive(Debug, Default, Clone)]
struct Floor {
    n: u64,
    revision: u64,
    /// The documents that introduced the served manifests.
    served: BTreeMap<CollectionName, u64>,
}

/// The freshness of each version; the fingerprint seed distinguishes collections of one name.
type Times = BTreeMap<CollectionName, ((Version, u64), DateTime<Utc>)>;

/// The cache, with checks.
struct Watched {
    hub: Arc<Hub>,
    number: u8,
    cache: Cache,
    target: CacheTarget,
    /// The documents that introduced the last served manifests.
    served: Mutex<BTreeMap<CollectionName, u64>>,
}

impl Watched {
    /// Compares the served records of `manifest` with the announced ones.
    fn check(&self, manifest: &Manifest, how: &str) {
        let (name, version) = (&manifest.collection, manifest.version);
        let who = Who::Replica(self.number);
        self.hub.trace(|| format!("{who} serves version {version} of {name} ({how})"));
        let Some((n, model)) = self.hub.state().reference.announced(manifest.run_id) else {
            return self.hub.fail(&format!("{who} serves version {version} of {name}, never announced"));
        };
        if let Some(difference) = difference(&self.cache, name, &model.rows) {
            self.hub.fail(&format!("{who} serves version {version} of {name} wrongly ({how}): {difference}"));
        }
        let before = self.served.lock().unwrap().insert(name.clone(), n).unwrap_or(0);
        if n < before {
            self.hub.fail(&format!("{who} goes back in {name} from document {before} to {n}"));
        }
    }
}

impl Target for Watched {
    fn served(&self, name: &CollectionName) -> Option<Arc<Manifest>> {
        self.target.served(name)
    }

    fn build(&self, manifest: Arc<Manifest>, segments: Vec<SegmentBuffer>) -> Result<(), Refusal> {
        self.target.build(Arc::clone(&manifest), segments)?;
        self.check(&manifest, "built");
        Ok(())
    }

    fn apply(&self, manifest: Arc<Manifest>, segments: Vec<SegmentBuffer>) -> Result<(), Refusal> {
        let applied = self.target.apply(Arc::clone(&manifest), segments);
        match &applied {
            Ok(()) => self.check(&manifest, "applied"),
            // The collection was removed or moved to another region meanwhile, or its base was rewritten.
            Err(refusal) if matches!(refusal.code, "collection_gone" | "new_base_needed") => {}
            Err(refusal) => self.hub.fail(&format!("changes do not apply: {refusal}")),
        }
        applied
    }

    fn adopt(&self, manifest: Arc<Manifest>) -> Result<(), Refusal> {
        self.target.adopt(Arc::clone(&manifest))?;
        self.check(&manifest, "adopted");
        Ok(())
    }

    fn set_freshness(&self, name: &CollectionName, data_as_of: DateTime<Utc>) {
        self.target.set_freshness(name, data_as_of);
    }

    fn set_loading(&self, name: &CollectionName) {
        self.target.set_loading(name);
    }

    fn set_elsewhere(&self, name: &CollectionName, regions: Arc<[RegionName]>) {
        self.target.set_elsewhere(name, regions);
    }

    fn use_keys(&self, keys: &KeySet) {
        let who = Who::Replica(self.number);
        self.hub.check(|state| state.reference.keys_in_force(keys).map_err(|why| format!("{who}: {why}")));
    }

    fn remove(&self, name: &CollectionName) {
        self.target.remove(name);
    }
}

impl Node {
    pub(super) fn new(hub: &Arc<Hub>, number: u8, root: &Path) -> Self {
        let data_dir = root.join(format!("replica-{number}"));
        Self { hub: Arc::clone(hub), number, data_dir, present: Mutex::default() }
    }

    fn region(&self) -> RegionName {
        RegionName::new(if self.number.is_multiple_of(2) { "near" } else { "far" }).unwrap()
    }

    /// Follows forever, through all kills.
    pub(super) async fn run(self: Arc<Self>) {
        let who = Who::Replica(self.number);
        let mut chance = self.hub.chance(&["starts", &who.to_string()]);
        sleep(Duration::from_millis(chance.within(0, 6_000))).await;
        loop {
            let floor = self.floor();
            self.hub.trace(|| format!("{who} starts: {floor:?}"));
            let (life, killed) = self.hub.begin_life(who);
            let (replica, watched, board) = self.open(life, &floor);
            *self.present.lock().unwrap() =
                Some(Present { cache: watched.cache.clone(), board: board.clone() });
            tokio::select! {
                biased;
                () = killed.notified() => {}
                () = replica.run(Shutdown::new()) => {}
                () = self.watch(&board, &watched.cache, &floor) => {}
            }
            *self.present.lock().unwrap() = None;
            // Work of the killed life in other tasks ends.
            sleep(Duration::from_millis(chance.within(5, 3_000))).await;
        }
    }

    fn open(&self, life: u32, floor: &Floor) -> (Replica<Watched>, Arc<Watched>, Board) {
        let view = View::new(&self.hub, Who::Replica(self.number), life);
        let poll_interval = Duration::from_secs(4);
        let settings = Settings { region: self.region(), data_dir: self.data_dir.clone(), poll_interval };
        let pace = Pace {
            probe: Duration::from_secs(12),
            retry: (Duration::from_millis(500), Duration::from_secs(6)),
            cleanup_interval: Duration::from_secs(25),
            ..Pace::new(poll_interval)
        };
        let clock = self.hub.clock.clone();
        let segments = SegmentDirectory::open(&self.data_dir.join("segments"), clock.clone()).unwrap();
        let cache = Cache::new();
        let watched = Arc::new(Watched {
            hub: Arc::clone(&self.hub),
            number: self.number,
            cache: cache.clone(),
            target: CacheTarget::new(cache),
            served: Mutex::new(floor.served.clone()),
        });
        let catalog = catalog_over(Arc::new(view));
        let target = Arc::clone(&watched);
        let board = board(settings.region.as_str(), clock.now());
        let opened = Replica::open(&settings, pace, catalog, segments, target, clock, board.clone());
        (opened.unwrap().0, watched, board)
    }

    /// Checks the published state of the replica.
    async fn watch(&self, board: &Board, cache: &Cache, floor: &Floor) {
        let who = Who::Replica(self.number);
        let mut applied = board.subscribe();
        let (mut n, mut revision, mut was_ready) = (0, 0, false);
        let mut times = Times::new();
        while applied.changed().await.is_ok() {
            let now = applied.borrow_and_update().clone();
            if now.catalog < n || (now.catalog > 0 && now.catalog < floor.n) {
                self.hub.fail(&format!("{who} goes back from document {n} ({}) to {}", floor.n, now.catalog));
            }
            let keys = now.keys_revision;
            if keys < revision || (keys < floor.revision && (keys > 0 || now.ready)) {
                self.hub
                    .fail(&format!("{who} goes back from keys {revision} ({}) to {keys}", floor.revision));
            }
            if was_ready && !now.ready {
                self.hub.fail(&format!("{who} was ready and is not any more"));
            }
            self.watch_times(cache, &mut times);
            (n, revision, was_ready) = (now.catalog, keys, now.ready);
        }
    }

    /// Checks the freshness of the served versions.
    fn watch_times(&self, cache: &Cache, times: &mut Times) {
        let who = Who::Replica(self.number);
        for name in cache.names() {
            let Slot::Loaded(collection) = cache.collection(name.as_str()) else { continue };
            let served = collection.state();
            let (manifest, time) = (&served.manifest, served.data_as_of);
            // A version may exist twice when the collection was removed in between.
            let content = (manifest.version, manifest.fingerprint_seed);
            let before = times.insert(name.clone(), (content, time));
            if before.is_some_and(|before| before.0 == content && before.1 > time) {
                self.hub.fail(&format!("{who}: version {} of {name} has become older", content.0));
            }
            if before != Some((content, time)) && !self.hub.state().reference.is_time_of(&name, time) {
                self.hub.fail(&format!("{who}: nobody has seen version {} of {name} at {time}", content.0));
            }
        }
    }

    /// The state on disk.
    fn floor(&self) -> Floor {
        #[derive(serde::Deserialize)]
        struct Envelope {
            state: State,
        }
        #[derive(serde::Deserialize)]
        struct State {
            document: CatalogDocument,
            served: BTreeMap<CollectionName, Served>,
            keys: Option<Keys>,
        }
        #[derive(serde::Deserialize)]
        struct Served {
            run_id: RunId,
        }
        #[derive(serde::Deserialize)]
        struct Keys {
            revision: u64,
        }
        let Ok(text) = fs::read(self.data_dir.join("state/catalog.json")) else { return Floor::default() };
        let envelope: Envelope = serde_json::from_slice(&text).unwrap();
        let state = envelope.state;
        let state_now = self.hub.state();
        let served = state.served.into_iter().filter_map(|(name, served)| {
            // A collection that was created again, or moved to another region meanwhile, starts again here.
            Some((name, state_now.reference.announced(served.run_id)?.0))
        });
        Floor {
            n: state.document.n,
            revision: state.keys.map_or(0, |keys| keys.revision),
            served: served.collect(),
        }
    }

    /// The first difference from the newest document.
    pub(super) fn missing(&self) -> Option<String> {
        let Some(present) = self.present.lock().unwrap().clone() else { return Some("it is down".into()) };
        let applied = present.board.read();
        let state = self.hub.state();
        if !applied.ready {
            return Some("it is not ready".into());
        }
        let newest = state.reference.newest()?;
        if applied.catalog != newest.n {
            return Some(format!("it has document {} of {}", applied.catalog, newest.n));
        }
        let revision = newest.keys.as_ref().map_or(0, |keys| keys.revision);
        if applied.keys_revision != revision {
            return Some(format!("it has keys {} of {revision}", applied.keys_revision));
        }
        for (name, entry) in &newest.collections {
            let is_here = entry.regions.as_ref().is_none_or(|regions| regions.contains(&self.region()));
            let problem = match (present.cache.collection(name.as_str()), is_here) {
                (Slot::OtherRegion(_), false) => None,
                (Slot::Loaded(collection), true) => {
                    let is_newest = collection.state().manifest.run_id == entry.run_id;
                    let rows = &state.reference.models[&entry.sha256].rows;
                    if is_newest {
                        difference(&present.cache, name, rows)
                    } else {
                        Some("an older one".into())
                    }
                }
                (slot, _) => Some(format!("{slot:?}").chars().take(40).collect()),
            };
            if let Some(problem) = problem {
                return Some(format!("collection {name}, version {}: {problem}", entry.version));
            }
        }
        let gone = present.cache.names().into_iter().find(|name| !newest.collections.contains_key(name));
        gone.map(|name| format!("it serves {name}, which is gone"))
    }
}
