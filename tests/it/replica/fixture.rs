//! A publisher, and nodes that follow it into a plain map of rows.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, Utc};
use larder::{
    catalog::{Catalog, Change},
    disk::{SegmentBuffer, SegmentDirectory},
    domain::{
        catalog::CollectionEntry,
        error::ErrorKind,
        keyset::{KeySet, KeySetDocument},
        manifest::{Manifest, SegmentKind},
        name::{CollectionName, RegionName},
    },
    replica::{Pace, Refusal, Replica, ReplicaHandle, Settings, Target},
    status::{Board, NodeStatus},
    store::Location,
    support::{clock::Clock, shutdown::Shutdown},
};
use object_store::{ObjectStore, local::LocalFileSystem, memory::InMemory};
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::timeout};

use crate::support::{
    board::board,
    catalog::{
        DEADLINE, Running, announcer, catalog_over, change, manifest, name, open_catalog, publish, quick,
        segment,
    },
    faulty_store::FaultyStore,
};

pub(crate) type Rows = BTreeMap<String, Option<u32>>;

/// Rows as they stand in a segment of these tests; `None` is a delete.
pub(crate) fn rows(rows: &[(&str, Option<u32>)]) -> Rows {
    rows.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect()
}

/// Where a node serves from: a plain map instead of a cache.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    served: Mutex<BTreeMap<CollectionName, Content>>,
    others: Mutex<BTreeMap<CollectionName, String>>,
    /// What was done, in order: `build`, `apply`, `adopt`.
    pub(crate) log: Mutex<Vec<&'static str>>,
    keys: Mutex<KeySet>,
    /// Refuse the next apply.
    pub(crate) refuses: Mutex<bool>,
}

#[derive(Debug, Clone)]
struct Content {
    manifest: Arc<Manifest>,
    rows: Rows,
    data_as_of: DateTime<Utc>,
}

impl Shelf {
    /// The rows served.
    pub(crate) fn rows(&self, collection: &str) -> Option<Rows> {
        self.served.lock().unwrap().get(collection).map(|content| content.rows.clone())
    }

    pub(crate) fn data_as_of(&self, collection: &str) -> Option<DateTime<Utc>> {
        self.served.lock().unwrap().get(collection).map(|content| content.data_as_of)
    }

    /// The keys in force.
    pub(crate) fn keys(&self) -> KeySet {
        self.keys.lock().unwrap().clone()
    }

    /// `loading`, or the regions; for a collection without content.
    pub(crate) fn other(&self, collection: &str) -> Option<String> {
        self.others.lock().unwrap().get(collection).cloned()
    }

    pub(crate) fn take_log(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    fn put(&self, manifest: &Arc<Manifest>, rows: Rows, data_as_of: DateTime<Utc>) {
        self.others.lock().unwrap().remove(&manifest.collection);
        let content = Content { manifest: Arc::clone(manifest), rows, data_as_of };
        self.served.lock().unwrap().insert(manifest.collection.clone(), content);
    }
}

fn refusal(text: &str) -> Refusal {
    Refusal { kind: ErrorKind::Corrupt, code: "refused", source: text.into() }
}

fn read(into: &mut Rows, segments: &[SegmentBuffer]) -> Result<(), Refusal> {
    for segment in segments {
        let rows: Rows = serde_json::from_slice(segment.as_slice()).map_err(|_| refusal("not rows"))?;
        into.extend(rows);
    }
    into.retain(|_, value| value.is_some());
    Ok(())
}

impl Target for Shelf {
    fn served(&self, name: &CollectionName) -> Option<Arc<Manifest>> {
        self.served.lock().unwrap().get(name).map(|content| Arc::clone(&content.manifest))
    }

    fn build(&self, manifest: Arc<Manifest>, segments: Vec<SegmentBuffer>) -> Result<(), Refusal> {
        self.log.lock().unwrap().push("build");
        let mut rows = Rows::new();
        assert_eq!(segments.len(), manifest.segments.len());
        read(&mut rows, &segments)?;
        self.put(&manifest, rows, manifest.data_as_of);
        Ok(())
    }

    fn apply(&self, manifest: Arc<Manifest>, segments: Vec<SegmentBuffer>) -> Result<(), Refusal> {
        self.log.lock().unwrap().push("apply");
        if std::mem::take(&mut *self.refuses.lock().unwrap()) {
            return Err(refusal("the test asks for it"));
        }
        let mut rows = self.rows(manifest.collection.as_str()).ok_or_else(|| refusal("nothing is served"))?;
        read(&mut rows, &segments)?;
        self.put(&manifest, rows, manifest.data_as_of);
        Ok(())
    }

    fn adopt(&self, manifest: Arc<Manifest>) -> Result<(), Refusal> {
        self.log.lock().unwrap().push("adopt");
        let present = self.served.lock().unwrap().get(&manifest.collection).cloned();
        let present = present.ok_or_else(|| refusal("nothing is served"))?;
        let same = present.manifest.version == manifest.version;
        let data_as_of = if same { present.data_as_of.max(manifest.data_as_of) } else { manifest.data_as_of };
        self.put(&manifest, present.rows, data_as_of);
        Ok(())
    }

    fn set_freshness(&self, name: &CollectionName, data_as_of: DateTime<Utc>) {
        if let Some(content) = self.served.lock().unwrap().get_mut(name) {
            content.data_as_of = content.data_as_of.max(data_as_of);
        }
    }

    fn use_keys(&self, keys: &KeySet) {
        self.keys.lock().unwrap().clone_from(keys);
    }

    fn set_loading(&self, name: &CollectionName) {
        self.others.lock().unwrap().insert(name.clone(), "loading".into());
    }

    fn set_elsewhere(&self, name: &CollectionName, regions: Arc<[RegionName]>) {
        self.served.lock().unwrap().remove(name);
        let regions: Vec<_> = regions.iter().map(RegionName::as_str).collect();
        self.others.lock().unwrap().insert(name.clone(), regions.join(","));
    }

    fn remove(&self, name: &CollectionName) {
        self.served.lock().unwrap().remove(name);
        self.others.lock().unwrap().remove(name);
    }
}

/// A store and who publishes into it.
pub(crate) struct Fixture {
    pub(crate) faulty: Arc<FaultyStore>,
    /// What is behind the faults.
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// The publisher's own way to it, without faults.
    pub(crate) catalog: Catalog,
    pub(crate) root: TempDir,
    pub(crate) segments: SegmentDirectory,
    pub(crate) running: Running,
    latest: BTreeMap<CollectionName, (CollectionEntry, Manifest)>,
    /// The last version of dropped collections.
    dropped: BTreeMap<CollectionName, u64>,
    revision: u64,
}

impl Fixture {
    pub(crate) fn in_memory() -> Self {
        let root = tempfile::tempdir().unwrap();
        let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let catalog = catalog_over(Arc::clone(&objects));
        Self::over(root, objects, catalog)
    }

    pub(crate) fn in_directory() -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("store");
        let location = Location::Directory(path.clone());
        let catalog = open_catalog(&location);
        let objects = Arc::new(LocalFileSystem::new_with_prefix(path).unwrap());
        Self::over(root, objects, catalog)
    }

    fn over(root: TempDir, objects: Arc<dyn ObjectStore>, catalog: Catalog) -> Self {
        let segments = SegmentDirectory::open(&root.path().join("publisher"), Clock::default()).unwrap();
        let running = announcer(&catalog, None, quick());
        let faulty = FaultyStore::new(Arc::clone(&objects));
        Self {
            faulty,
            objects,
            catalog,
            root,
            segments,
            running,
            latest: BTreeMap::new(),
            dropped: BTreeMap::new(),
            revision: 0,
        }
    }

    /// The manifest announced last.
    pub(crate) fn latest(&self, collection: &str) -> Manifest {
        self.latest[collection].1.clone()
    }

    /// Announces `next` as what follows the present manifest.
    pub(crate) async fn announce(&mut self, next: Manifest) {
        let name = next.collection.clone();
        let mut entry = publish(&self.catalog, &next).await;
        entry.regions.clone_from(&next.serving.regions);
        let from = self.latest.get(&name).map(|(entry, _)| entry);
        self.running.handle.announce(change(&name, from, &entry)).await.unwrap();
        self.latest.insert(name, (entry, next));
    }

    /// Ends the announcer, after which head stays as it is until the next announcement.
    pub(crate) async fn rest(&mut self) {
        let next = announcer(&self.catalog, None, quick());
        std::mem::replace(&mut self.running, next).end().await;
    }

    fn next_version(&self, name: &CollectionName) -> u64 {
        let dropped = self.dropped.get(name).copied().unwrap_or(0);
        self.latest.get(name).map_or(dropped, |(entry, _)| entry.version.0) + 1
    }

    /// Announces a new base.
    pub(crate) async fn base(&mut self, collection: &str, rows: &Rows) {
        let name = name(collection);
        let version = self.next_version(&name);
        let base = self.segment(&name, SegmentKind::Base, version, rows).await;
        self.announce(manifest(&name, version, vec![base])).await;
    }

    /// Announces changes to what is there.
    pub(crate) async fn change(&mut self, collection: &str, rows: &Rows) {
        let name = name(collection);
        let version = self.next_version(&name);
        let changes = self.segment(&name, SegmentKind::Changes, version, rows).await;
        let mut segments = self.latest[&name].1.segments.clone();
        segments.push(changes);
        self.announce(manifest(&name, version, segments)).await;
    }

    pub(crate) async fn segment(
        &self,
        name: &CollectionName,
        kind: SegmentKind,
        version: u64,
        rows: &Rows,
    ) -> larder::domain::manifest::SegmentReference {
        let mut content = serde_json::to_string(rows).unwrap();
        // As long as a row at least is.
        content.extend(std::iter::repeat_n(' ', 16_usize.saturating_sub(content.len())));
        segment(&self.catalog, &self.segments, name, kind, version, content).await
    }

    pub(crate) async fn remove(&mut self, collection: &str) {
        let name = name(collection);
        let (entry, _) = self.latest.remove(&name).unwrap();
        self.dropped.insert(name.clone(), entry.version.0);
        self.running.handle.announce(Change::Remove { name, from: entry.sha256 }).await.unwrap();
    }

    /// What the catalog names of a collection.
    pub(crate) fn entry(&self, collection: &str) -> CollectionEntry {
        self.latest[collection].0.clone()
    }

    /// Pins a region to `entry`; `from` is what it is pinned to.
    pub(crate) async fn pin(&self, region: &str, from: Option<&CollectionEntry>, entry: &CollectionEntry) {
        let change = Change::Pin {
            region: RegionName::new(region).unwrap(),
            name: name("a"),
            from: from.map(|from| from.sha256),
            entry: entry.clone(),
        };
        self.running.handle.announce(change).await.unwrap();
    }

    /// Takes the pin of a region away.
    pub(crate) async fn unpin(&self, region: &str, from: &CollectionEntry) {
        let region = RegionName::new(region).unwrap();
        let change = Change::Unpin { region, name: name("a"), from: from.sha256 };
        self.running.handle.announce(change).await.unwrap();
    }

    /// Announces an empty key set of the next revision.
    pub(crate) async fn keys(&mut self) {
        let reference =
            self.catalog.publish_key_set(&KeySetDocument::new(self.revision + 1, &[])).await.unwrap();
        let change = Change::Keys { from_revision: self.revision, reference };
        self.running.handle.announce(change).await.unwrap();
        self.revision += 1;
    }

    /// A node of region `local` that follows through the faults.
    pub(crate) fn node(&self, data_dir: &str) -> Node {
        let catalog = catalog_over(Arc::clone(&self.faulty) as Arc<dyn ObjectStore>);
        Node::start(&self.root.path().join(data_dir), catalog, fast(), Clock::default())
    }

    /// A node of another region.
    pub(crate) fn node_in(&self, region: &str, data_dir: &str) -> Node {
        let catalog = catalog_over(Arc::clone(&self.faulty) as Arc<dyn ObjectStore>);
        Node::start_in(region, &self.root.path().join(data_dir), catalog, fast(), Clock::default())
    }
}

/// A pace that keeps tests short.
pub(crate) fn fast() -> Pace {
    Pace {
        poll: Duration::from_millis(5),
        poll_max: Duration::from_millis(20),
        probe: Duration::from_millis(50),
        store_wait_max: Duration::from_millis(100),
        failing_after: Duration::from_millis(200),
        retry: (Duration::from_millis(5), Duration::from_millis(20)),
        cleanup_interval: Duration::from_hours(1),
    }
}

/// A running replica.
pub(crate) struct Node {
    pub(crate) data_dir: PathBuf,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) handle: ReplicaHandle,
    pub(crate) board: Board,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Node {
    pub(crate) fn start(data_dir: &Path, catalog: Catalog, pace: Pace, clock: Clock) -> Self {
        Self::start_in("local", data_dir, catalog, pace, clock)
    }

    fn start_in(region: &str, data_dir: &Path, catalog: Catalog, pace: Pace, clock: Clock) -> Self {
        Self::start_bounded(region, data_dir, catalog, (pace, clock), u64::MAX)
    }

    /// One with at most `bytes_max` bytes of local segments.
    pub(crate) fn start_bounded(
        region: &str,
        data_dir: &Path,
        catalog: Catalog,
        (pace, clock): (Pace, Clock),
        bytes_max: u64,
    ) -> Self {
        let settings = Settings {
            region: RegionName::new(region).unwrap(),
            data_dir: data_dir.to_owned(),
            poll_interval: pace.poll,
        };
        let segments = SegmentDirectory::open(&data_dir.join("segments"), clock.clone()).unwrap();
        let segments = segments.with_budget(bytes_max);
        let shelf = Arc::new(Shelf::default());
        let board = board(region, clock.now());
        let opened =
            Replica::open(&settings, pace, catalog, segments, Arc::clone(&shelf), clock, board.clone());
        let (replica, handle) = opened.unwrap();
        let shutdown = Shutdown::new();
        let task = tokio::spawn(replica.run(shutdown.clone()));
        Self { data_dir: data_dir.to_owned(), shelf, handle, board, shutdown, task }
    }

    /// Waits until it stands as asked.
    pub(crate) async fn until(&self, what: &str, reached: impl Fn(&NodeStatus) -> bool) -> NodeStatus {
        let mut applied = self.board.subscribe();
        let waited = timeout(DEADLINE, applied.wait_for(|applied| reached(applied))).await;
        match waited {
            Ok(Ok(applied)) => applied.clone(),
            _ => panic!("never {what}: {:?}", self.board.read()),
        }
    }

    /// Waits until it serves what the publisher announced last.
    pub(crate) async fn caught_up(&self, fixture: &Fixture) -> NodeStatus {
        let newest = fixture.catalog.newest(None).await.unwrap().unwrap();
        self.until("caught up", |applied| {
            applied.catalog == newest.n
                && newest.collections.iter().all(|(name, entry)| {
                    applied.collections.get(name).is_some_and(|status| status.served == Some(entry.version))
                        && self.shelf.served(name).map(|manifest| manifest.run_id) == Some(entry.run_id)
                })
                && applied.keys_revision == newest.keys.as_ref().map_or(0, |keys| keys.revision)
        })
        .await
    }

    /// Ends it in order.
    pub(crate) async fn stop(self) -> PathBuf {
        self.shutdown.cancel();
        self.task.await.unwrap();
        self.data_dir
    }

    /// Ends it as `kill -9` does: nothing is saved any more.
    pub(crate) async fn kill(self) -> PathBuf {
        self.task.abort();
        let _ = self.task.await;
        self.data_dir
    }
}
