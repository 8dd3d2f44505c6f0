//! What is collected, end to end.

use std::{collections::HashSet, fs, sync::Arc};

use chrono::TimeDelta;
use futures::TryStreamExt;
use larder::{
    catalog::{
        Change, publish_key_set,
        retention::{Kept, collect},
    },
    disk::SegmentDirectory,
    domain::{keyset::KeySetDocument, manifest::SegmentKind},
    store::{Location, Store},
    support::clock::Clock,
};
use object_store::{ObjectStore, local::LocalFileSystem, memory::InMemory};

use crate::support::catalog::{announcer, change, manifest, name, publish, quick, segment};

async fn paths(objects: &dyn ObjectStore) -> Vec<String> {
    let mut paths: Vec<String> =
        objects.list(None).map_ok(|object| object.location.to_string()).try_collect().await.unwrap();
    paths.sort();
    paths
}

#[tokio::test]
async fn what_nothing_names_goes_and_everything_else_stays() {
    let root = tempfile::tempdir().unwrap();
    let store_root = root.path().join("store");
    let location = Location::Directory(store_root.clone());
    let real = Store::open(&location).unwrap();
    let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let local: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(&store_root).unwrap());
    for (store, objects) in [(real, local), (Store::from_object_store(Arc::clone(&memory)), memory)] {
        let start = Clock::default().now();
        let clock = Clock::fixed(start);
        let segments = SegmentDirectory::open(&root.path().join("segments"), Clock::default()).unwrap();
        let running = announcer(&store, None, quick());
        let a = name("a");
        let kept = Kept { keep_versions: 3, manifests: HashSet::new() };
        assert_eq!(collect(&store, &clock, None, &kept).await.unwrap().deleted, 0, "an empty store");

        let mut entries = Vec::new();
        let mut named = Vec::new();
        for version in 1..=6 {
            let own = segment(&store, &segments, &a, SegmentKind::Base, version, format!("v{version}")).await;
            let published = manifest(&a, version, vec![own.clone()]);
            let entry = publish(&store, &published).await;
            running.handle.announce(change(&a, entries.last(), &entry)).await.unwrap();
            entries.push(entry);
            named.push(own);
        }
        let orphan =
            segment(&store, &segments, &name("never-announced"), SegmentKind::Base, 1, "orphan").await;
        for revision in 1..=12 {
            let reference = publish_key_set(&store, &KeySetDocument::new(revision, &[])).await.unwrap();
            let change = Change::Keys { from_revision: revision - 1, reference };
            running.handle.announce(change).await.unwrap();
        }
        running.end().await;
        let before = paths(&*objects).await;

        // Young things stay, whatever names them.
        clock.set(start + TimeDelta::hours(23));
        let done = collect(&store, &clock, None, &kept).await.unwrap();
        assert_eq!((done.deleted, done.complete), (0, true));
        assert_eq!(paths(&*objects).await, before);

        // A day later: the three last versions and the pinned first one stay.
        clock.set(start + TimeDelta::hours(25));
        let kept = Kept { keep_versions: 3, manifests: HashSet::from([entries[0].manifest.clone()]) };
        let done = collect(&store, &clock, None, &kept).await.unwrap();
        let after = paths(&*objects).await;
        for (index, (entry, segment)) in entries.iter().zip(&named).enumerate() {
            let stays = index == 0 || index >= 3;
            assert_eq!(after.contains(&entry.manifest), stays, "manifest {index}");
            assert_eq!(after.contains(&segment.object), stays, "segment {index}");
        }
        assert!(!after.contains(&orphan.object));
        assert_eq!(after.iter().filter(|path| path.starts_with("keys/")).count(), 10);
        assert_eq!(after.iter().filter(|path| path.starts_with("catalog/")).count(), 18 + 1);
        assert_eq!(done.deleted, before.len() - after.len());

        // A month later only the newest document is left of the catalog, and it still works.
        clock.set(start + TimeDelta::days(31));
        collect(&store, &clock, None, &kept).await.unwrap();
        let newest = store.newest(None).await.unwrap().unwrap();
        assert_eq!(newest.n, 18);
        let served = store.manifest(&a, &newest.collections[&a]).await.unwrap();
        for segment in &served.segments {
            let empty = tempfile::tempdir().unwrap();
            let directory = SegmentDirectory::open(empty.path(), Clock::default()).unwrap();
            directory.fetch(&store, segment).await.unwrap();
        }
        let documents = paths(&*objects).await.into_iter().filter(|path| path.starts_with("catalog/"));
        assert_eq!(documents.count(), 2);
    }
}

#[tokio::test]
async fn unfinished_files_of_killed_writers_go() {
    let root = tempfile::tempdir().unwrap();
    let location = Location::Directory(root.path().to_owned());
    let store = Store::open(&location).unwrap();
    let staged = root.path().join("collections/a/run_x");
    fs::create_dir_all(&staged).unwrap();
    let staged = staged.join("segment-00000.arrow#1");
    fs::write(&staged, "half").unwrap();
    let start = Clock::default().now();
    let clock = Clock::fixed(start + TimeDelta::hours(23));
    collect(&store, &clock, None, &Kept::default()).await.unwrap();
    assert!(staged.exists());
    clock.set(start + TimeDelta::hours(25));
    collect(&store, &clock, None, &Kept::default()).await.unwrap();
    assert!(!staged.exists());
}
