//! What is deleted from the store, end to end.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::TryStreamExt;
use larder::{
    catalog::{Catalog, Change, Deletions, Retention, RetentionRules},
    disk::SegmentDirectory,
    domain::{
        catalog::{CatalogDocument, CollectionEntry},
        digest::Digest,
        id::AnnouncementId,
        keyset::KeySetDocument,
        limits::FORMAT,
        manifest::{SegmentKind, SegmentReference, Version},
    },
    store::Location,
    support::{clock::Clock, random},
};
use object_store::{ObjectStore, ObjectStoreExt, local::LocalFileSystem, memory::InMemory, path::Path};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use crate::support::{
    aged_store::AgedStore,
    catalog::{
        DEADLINE, Running, announcer, catalog_over, change, deployment, manifest, name, open_catalog,
        publish, quick, run_id, segment,
    },
    faulty_store::{Fault, FaultyStore, Request},
};

const TIME_MAX: Duration = Duration::from_mins(1);

fn rules(keep_versions: usize) -> RetentionRules {
    RetentionRules { keep_versions, ..RetentionRules::default() }
}

/// A store of its own age, a catalog in it, and an announcer.
struct Bucket {
    root: TempDir,
    store: AgedStore,
    catalog: Catalog,
    segments: SegmentDirectory,
    running: Running,
    retention: Retention,
}

impl Bucket {
    fn new(objects: impl FnOnce(&std::path::Path) -> Arc<dyn ObjectStore>) -> Self {
        let root = tempfile::tempdir().unwrap();
        let store = AgedStore::new(objects(root.path()));
        let catalog = catalog_over(Arc::new(store.clone()));
        let segments = SegmentDirectory::open(&root.path().join("segments"), Clock::default()).unwrap();
        let running = announcer(&catalog, None, quick());
        let retention = Retention::new(catalog.clone());
        Self { root, store, catalog, segments, running, retention }
    }

    fn in_memory() -> Self {
        Self::new(|_| Arc::new(InMemory::new()))
    }

    /// Announces versions 1 to `last` of a collection, each with one segment of its own.
    async fn announce(&self, collection: &str, last: u64) -> Vec<(CollectionEntry, SegmentReference)> {
        let name = name(collection);
        let mut announced: Vec<(CollectionEntry, SegmentReference)> = Vec::new();
        for version in 1..=last {
            let content = format!("{collection}{version}");
            let own =
                segment(&self.catalog, &self.segments, &name, SegmentKind::Base, version, content).await;
            let entry = publish(&self.catalog, &manifest(&name, version, vec![own.clone()])).await;
            let from = announced.last().map(|(entry, _)| entry);
            self.running.handle.announce(change(&name, from, &entry)).await.unwrap();
            announced.push((entry, own));
        }
        announced
    }

    async fn delete(&mut self, rules: &RetentionRules) -> Deletions {
        self.retention.run(None, rules, TIME_MAX).await.unwrap()
    }

    async fn paths(&self) -> Vec<String> {
        let listed = self.store.list(None).map_ok(|object| object.location.to_string());
        let mut paths: Vec<String> = listed.try_collect().await.unwrap();
        paths.retain(|path| path != "probe/clock");
        paths.sort();
        paths
    }
}

#[tokio::test]
async fn unreferenced_objects_are_deleted_and_all_others_stay() {
    let directory: fn(&std::path::Path) -> Arc<dyn ObjectStore> = |root| {
        let root = root.join("store");
        fs::create_dir(&root).unwrap();
        Arc::new(LocalFileSystem::new_with_prefix(root).unwrap())
    };
    for objects in [directory, |_| Arc::new(InMemory::new())] {
        let mut bucket = Bucket::new(objects);
        assert_eq!(bucket.delete(&rules(3)).await.objects, 0, "an empty store");
        let announced = bucket.announce("a", 6).await;
        let catalog = bucket.catalog.clone();
        let never = name("never-announced");
        let orphan = segment(&catalog, &bucket.segments, &never, SegmentKind::Base, 1, "orphan").await;
        for revision in 1..=12 {
            let reference = catalog.publish_key_set(&KeySetDocument::new(revision, &[])).await.unwrap();
            let change = Change::Keys { from_revision: revision - 1, reference };
            bucket.running.handle.announce(change).await.unwrap();
        }
        let before = bucket.paths().await;

        // Young objects stay, whatever refers to them.
        bucket.store.advance_hours(23);
        assert_eq!(bucket.delete(&rules(3)).await, Deletions::default());
        assert_eq!(bucket.paths().await, before);

        // A day later the three last versions and the held first one stay.
        bucket.store.advance_hours(2);
        let held = HashSet::from([announced[0].0.manifest.clone()]);
        let held = RetentionRules { manifests: held, ..rules(3) };
        let done = bucket.delete(&held).await;
        let after = bucket.paths().await;
        for (index, (entry, segment)) in announced.iter().enumerate() {
            let stays = index == 0 || index >= 3;
            assert_eq!(after.contains(&entry.manifest), stays, "manifest {index}");
            assert_eq!(after.contains(&segment.object), stays, "segment {index}");
        }
        assert!(!after.contains(&orphan.object));
        assert_eq!(after.iter().filter(|path| path.starts_with("keys/")).count(), 10);
        assert_eq!(after.iter().filter(|path| path.starts_with("catalog/")).count(), 18 + 1);
        assert_eq!(done.objects, before.len() - after.len());

        // A month later only the newest document is left of the catalog, and it still works.
        bucket.store.advance_hours(30 * 24);
        bucket.delete(&held).await;
        let newest = catalog.newest(None).await.unwrap().unwrap();
        assert_eq!(newest.n, 18);
        let served = catalog.manifest(&name("a"), &newest.collections[&name("a")]).await.unwrap();
        for segment in &served.segments {
            let empty = SegmentDirectory::open(&bucket.root.path().join("empty"), Clock::default()).unwrap();
            empty.fetch(catalog.store(), segment).await.unwrap();
        }
        let documents = bucket.paths().await.into_iter().filter(|path| path.starts_with("catalog/"));
        assert_eq!(documents.count(), 2);
    }
}

/// A publisher whose clock is ahead must not delete what a run has just written: no clock but the store's counts.
#[tokio::test]
async fn segments_of_a_run_in_progress_stay_whatever_the_clock_of_the_publisher() {
    let mut bucket = Bucket::in_memory();
    let old = bucket.announce("a", 1).await;
    // The machine's clock is a year ahead of the store's.
    bucket.store.advance_hours(-365 * 24);
    let a = name("a");
    let young = segment(&bucket.catalog, &bucket.segments, &a, SegmentKind::Base, 2, "young").await;
    assert_eq!(bucket.delete(&rules(1)).await.objects, 0);
    let entry = publish(&bucket.catalog, &manifest(&a, 2, vec![young.clone()])).await;
    bucket.running.handle.announce(change(&a, Some(&old[0].0), &entry)).await.unwrap();
    let follower = SegmentDirectory::open(&bucket.root.path().join("follower"), Clock::default()).unwrap();
    follower.load(bucket.catalog.store(), &young).await.unwrap();
}

#[tokio::test]
async fn grace_begins_when_an_object_is_no_longer_referred_to() {
    let mut bucket = Bucket::in_memory();
    let dropped = bucket.announce("dropped", 1).await;
    let replaced = bucket.announce("replaced", 1).await;
    bucket.store.advance_hours(100);
    let from = dropped[0].0.sha256;
    let change_of = Change::Remove { name: name("dropped"), from };
    bucket.running.handle.announce(change_of).await.unwrap();
    let next = publish(&bucket.catalog, &manifest(&name("replaced"), 2, Vec::new())).await;
    let replacement = change(&name("replaced"), Some(&replaced[0].0), &next);
    bucket.running.handle.announce(replacement).await.unwrap();
    let before = bucket.paths().await;
    for hours in [0, 23] {
        bucket.store.advance_hours(hours);
        assert_eq!(bucket.delete(&rules(1)).await.objects, 0, "{hours}");
        assert_eq!(bucket.paths().await, before);
    }
    bucket.store.advance_hours(2);
    assert_eq!(bucket.delete(&rules(1)).await.objects, 4);
    let after = bucket.paths().await;
    for (entry, segment) in dropped.iter().chain(&replaced) {
        assert!(!after.contains(&entry.manifest) && !after.contains(&segment.object));
    }
    assert!(after.contains(&next.manifest));
}

/// A pin that lasts for an hour is in no document of the day before, nor in the newest one.
#[tokio::test]
async fn grace_begins_again_after_a_short_pin_and_a_short_life() {
    let mut bucket = Bucket::in_memory();
    let announced = bucket.announce("a", 3).await;
    let region = larder::domain::name::RegionName::new("eu").unwrap();
    let brief = segment(&bucket.catalog, &bucket.segments, &name("brief"), SegmentKind::Base, 1, "b").await;
    bucket.store.advance_hours(30);
    // Its segment is old: the run took long.
    let entry = publish(&bucket.catalog, &manifest(&name("brief"), 1, vec![brief.clone()])).await;
    let handle = &bucket.running.handle;
    handle.announce(change(&name("brief"), None, &entry)).await.unwrap();
    let pinned = announced[0].0.clone();
    let from = pinned.sha256;
    let pin = Change::Pin { region: region.clone(), name: name("a"), from: None, entry: pinned };
    handle.announce(pin).await.unwrap();
    bucket.store.advance_hours(1);
    let handle = &bucket.running.handle;
    handle.announce(Change::Unpin { region, name: name("a"), from }).await.unwrap();
    handle.announce(Change::Remove { name: name("brief"), from: entry.sha256 }).await.unwrap();
    bucket.store.advance_hours(20);
    assert_eq!(bucket.delete(&rules(1)).await.objects, 2, "version 2");
    let there = bucket.paths().await;
    for object in [&announced[0].0.manifest, &announced[0].1.object, &entry.manifest, &brief.object] {
        assert!(there.contains(object), "{object}");
    }
    bucket.store.advance_hours(5);
    assert_eq!(bucket.delete(&rules(1)).await.objects, 4);
}

/// Announces a change of collection `a`, which has three versions, after a round has read the catalog and before it
/// deletes. Returns what the round deleted.
async fn delete_while_announcing(
    bucket: &mut Bucket,
    faulty: &FaultyStore,
    manifest: &str,
    change: Change,
) -> usize {
    // The round waits for the manifest.
    let awaited = manifest.to_owned();
    faulty.decide(move |request, path| {
        if request == Request::Get && path.as_ref() == awaited { Fault::Hold } else { Fault::None }
    });
    let read = faulty.count(Request::Get, manifest);
    let handle = bucket.running.handle.clone();
    let announcing = async {
        while faulty.count(Request::Get, manifest) == read {
            tokio::task::yield_now().await;
        }
        handle.announce(change).await.unwrap();
        faulty.heal();
        faulty.release().await;
    };
    let rules = rules(1);
    let round = futures::future::join(bucket.delete(&rules), announcing);
    timeout(DEADLINE, round).await.unwrap().0.objects
}

#[tokio::test]
async fn version_that_is_pinned_during_a_round_stays() {
    let faulty = FaultyStore::new(Arc::new(InMemory::new()));
    let mut bucket = Bucket::new(|_| faulty.clone());
    let announced = bucket.announce("a", 3).await;
    let (entry, segment) = announced[0].clone();
    bucket.store.advance_hours(30);
    let region = larder::domain::name::RegionName::new("eu").unwrap();
    let pin = Change::Pin { region, name: name("a"), from: None, entry: entry.clone() };
    let deleted = delete_while_announcing(&mut bucket, &faulty, &entry.manifest, pin).await;
    assert_eq!(deleted, 2, "version 2");
    let there = bucket.paths().await;
    assert!(there.contains(&entry.manifest) && there.contains(&segment.object));
}

#[tokio::test]
async fn segments_of_a_rollback_during_a_round_stay() {
    let faulty = FaultyStore::new(Arc::new(InMemory::new()));
    let mut bucket = Bucket::new(|_| faulty.clone());
    let announced = bucket.announce("a", 3).await;
    let (entry, segment) = announced[0].clone();
    bucket.store.advance_hours(30);
    // A new manifest with the segments of version 1.
    let rolled = publish(&bucket.catalog, &manifest(&name("a"), 4, vec![segment.clone()])).await;
    let rollback = change(&name("a"), Some(&announced[2].0), &rolled);
    let deleted = delete_while_announcing(&mut bucket, &faulty, &entry.manifest, rollback).await;
    assert_eq!(deleted, 3, "version 2, and the manifest of version 1");
    let there = bucket.paths().await;
    assert!(there.contains(&rolled.manifest) && there.contains(&segment.object), "{there:?}");
    // Nor does a later round delete them.
    bucket.store.advance_hours(30);
    bucket.delete(&rules(1)).await;
    assert!(bucket.paths().await.contains(&segment.object));
}

/// What is needed to know what was referred to is lost: nothing of a collection is deleted.
#[tokio::test]
async fn nothing_is_deleted_while_the_past_is_not_known() {
    let mut bucket = Bucket::in_memory();
    let announced = bucket.announce("a", 3).await;
    bucket.store.advance_hours(30);
    let from = announced[2].0.sha256;
    bucket.running.handle.announce(Change::Remove { name: name("a"), from }).await.unwrap();
    bucket.announce("b", 1).await;
    // Document 4 dropped the collection; 3 names it.
    bucket.store.advance_hours(1);
    let path = Path::from("catalog/00000000000000000003.json");
    let document = bucket.store.get(&path).await.unwrap().bytes().await.unwrap();
    bucket.store.put(&path, "{".into()).await.unwrap();
    let before = bucket.paths().await;
    assert!(bucket.retention.run(None, &rules(1), TIME_MAX).await.is_err());
    assert_eq!(bucket.paths().await, before);
    bucket.store.put(&path, document.into()).await.unwrap();
    // Version 1: the document of 3 counts as young since it was put back, and 3 was dropped an hour ago.
    assert_eq!(bucket.delete(&rules(1)).await.objects, 2);
}

#[tokio::test]
async fn damaged_manifest_keeps_its_collection_and_stops_no_round() {
    let mut bucket = Bucket::in_memory();
    let announced = bucket.announce("a", 3).await;
    bucket.announce("b", 3).await;
    bucket.store.put(&Path::from(announced[2].0.manifest.as_str()), "{".into()).await.unwrap();
    bucket.store.advance_hours(50);
    let of_a = async |bucket: &Bucket| {
        let paths = bucket.paths().await;
        paths.into_iter().filter(|path| path.starts_with("collections/a/")).count()
    };
    let before = of_a(&bucket).await;
    // The grace of `b` begins with the first round that misses its old versions, at the latest.
    let mut deleted = bucket.delete(&rules(1)).await.objects;
    bucket.store.advance_hours(30);
    deleted += bucket.delete(&rules(1)).await.objects;
    assert_eq!((deleted, of_a(&bucket).await), (4, before));
}

#[tokio::test]
async fn probes_of_killed_processes_are_deleted_and_the_clock_stays() {
    let mut bucket = Bucket::in_memory();
    bucket.announce("a", 1).await;
    let probe = |name: &str| Path::from(format!("probe/{name}"));
    bucket.store.put(&probe("old"), "x".into()).await.unwrap();
    bucket.store.advance_hours(30);
    bucket.store.put(&probe("young"), "x".into()).await.unwrap();
    bucket.delete(&rules(1)).await;
    let is_there = async |name: &str| bucket.store.head(&probe(name)).await.is_ok();
    for (name, stays) in [("old", false), ("young", true), ("clock", true)] {
        assert_eq!(is_there(name).await, stays, "{name}");
    }
}

#[tokio::test]
async fn unfinished_files_of_killed_writers_are_deleted() {
    let root = tempfile::tempdir().unwrap();
    let catalog = open_catalog(&Location::Directory(root.path().to_owned()));
    let staged = root.path().join("collections/a/run_x");
    fs::create_dir_all(&staged).unwrap();
    let staged = staged.join("segment-00000.arrow#1");
    fs::write(&staged, "half").unwrap();
    let mut retention = Retention::new(catalog);
    for (hours, stays) in [(23, true), (25, false)] {
        let written = SystemTime::from(Clock::default().now()) - Duration::from_hours(hours);
        File::options().write(true).open(&staged).unwrap().set_modified(written).unwrap();
        retention.run(None, &RetentionRules::default(), TIME_MAX).await.unwrap();
        assert_eq!(staged.exists(), stays, "{hours}");
    }
}

/// Puts `collections` collections into a store, each with versions up to `last`, as they are after as many runs.
async fn put_collections(store: &AgedStore, collections: usize, last: u64) -> CatalogDocument {
    let mut document = CatalogDocument {
        format: FORMAT,
        deployment: deployment(),
        n: 1,
        announced_by: AnnouncementId::from_uuid(random::uuid()),
        keys: None,
        collections: BTreeMap::new(),
        pins: BTreeMap::new(),
        metadata: None,
        pauses: BTreeMap::new(),
        dropped: BTreeMap::new(),
        last_release: 0,
    };
    for number in 0..collections {
        let name = name(&format!("c{number:04}"));
        let mut segments = Vec::new();
        for version in 1..=last {
            let run_id = run_id();
            let object = format!("collections/{name}/{run_id}/segment-00000.arrow");
            store.put(&Path::from(object.as_str()), "0123456789abcdef".into()).await.unwrap();
            let reference = SegmentReference {
                object,
                sha256: Digest::of(b""),
                bytes: 16,
                rows: 1,
                deletes: 0,
                kind: SegmentKind::Changes,
                version: Version(version),
            };
            segments = vec![reference];
            let manifest =
                larder::domain::manifest::Manifest { run_id, ..manifest(&name, version, segments) };
            segments = manifest.segments.clone();
            let text = serde_json::to_vec(&manifest).unwrap();
            let entry = CollectionEntry {
                version: Version(version),
                run_id,
                regions: None,
                manifest: format!("collections/{name}/{run_id}/manifest.json"),
                sha256: Digest::of(&text),
            };
            store.put(&Path::from(entry.manifest.as_str()), text.into()).await.unwrap();
            document.collections.insert(name.clone(), entry);
        }
        drop(segments);
    }
    let text = serde_json::to_vec(&document).unwrap();
    store.put(&Path::from("catalog/00000000000000000001.json"), text.into()).await.unwrap();
    document
}

/// 1,000 collections with a version each minute: a tenth of an hour's load takes less than a tenth of an hour of a
/// store that needs 20 ms for each request.
#[tokio::test(start_paused = true)]
async fn housekeeping_keeps_up_with_a_thousand_collections_a_minute() {
    const COLLECTIONS: usize = 1_000;
    let objects = AgedStore::new(Arc::new(InMemory::new()));
    put_collections(&objects, COLLECTIONS, 6 + 1).await;
    objects.advance_hours(25);
    let store = objects.clone().with_latency(Duration::from_millis(20));
    let mut retention = Retention::new(catalog_over(Arc::new(store.clone())));
    for kind in ["get", "head", "list", "put", "delete"] {
        store.take_requests(kind);
    }
    let began = Instant::now();
    let done = retention.run(None, &rules(1), Duration::from_hours(1)).await.unwrap();
    let took = began.elapsed();
    assert_eq!((done.objects, done.collections_left), (COLLECTIONS * 6 * 2, 0));
    assert!(took < Duration::from_mins(6), "{took:?}");
    // Each manifest is read once, and the catalog once for each batch.
    let read = store.take_requests("get");
    assert!((COLLECTIONS * 7..COLLECTIONS * 7 + 200).contains(&read), "{read}");
    let deletes = store.take_requests("delete");
    assert!(deletes < 200, "{deletes}");

    // The next round reads no manifest again.
    let done = retention.run(None, &rules(1), Duration::from_hours(1)).await.unwrap();
    assert_eq!(done, Deletions::default());
    let read = store.take_requests("get");
    assert!(read < 200, "{read}");
}

#[tokio::test(start_paused = true)]
async fn a_round_that_is_cut_off_is_continued_by_the_next() {
    let objects = AgedStore::new(Arc::new(InMemory::new()));
    put_collections(&objects, 100, 2).await;
    objects.advance_hours(25);
    let store = objects.clone().with_latency(Duration::from_millis(20));
    let mut retention = Retention::new(catalog_over(Arc::new(store)));
    let (mut deleted, mut rounds) = (0, 0);
    loop {
        let done = retention.run(None, &rules(1), Duration::from_millis(300)).await.unwrap();
        deleted += done.objects;
        rounds += 1;
        if deleted == 100 * 2 {
            break;
        }
        assert!(done.objects > 0 && done.collections_left > 0, "each round goes on: {done:?}");
    }
    assert!(rounds > 1, "the time was too long for this test");
}
