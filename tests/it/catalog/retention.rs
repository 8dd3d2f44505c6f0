//! What is collected, end to end.

use std::{collections::HashSet, fs, sync::Arc};

use chrono::TimeDelta;
use futures::TryStreamExt;
use larder::{
    catalog::{Change, RetentionRules},
    disk::SegmentDirectory,
    domain::{keyset::KeySetDocument, manifest::SegmentKind},
    store::Location,
    support::clock::Clock,
};
use object_store::{ObjectStore, local::LocalFileSystem, memory::InMemory};

use crate::support::catalog::{
    announcer, catalog_over, change, manifest, name, open_catalog, publish, quick, segment,
};

async fn paths(objects: &dyn ObjectStore) -> Vec<String> {
    let mut paths: Vec<String> =
        objects.list(None).map_ok(|object| object.location.to_string()).try_collect().await.unwrap();
    paths.sort();
    paths
}

#[tokio::test]
async fn unreferenced_objects_are_deleted_and_all_others_kept() {
    let root = tempfile::tempdir().unwrap();
    let store_root = root.path().join("store");
    let location = Location::Directory(store_root.clone());
    let real = open_catalog(&location);
    let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let local: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(&store_root).unwrap());
    for (catalog, objects) in [(real, local), (catalog_over(Arc::clone(&memory)), memory)] {
        let start = Clock::default().now();
        let clock = Clock::fixed(start);
        let segments = SegmentDirectory::open(&root.path().join("segments"), Clock::default()).unwrap();
        let running = announcer(&catalog, None, quick());
        let a = name("a");
        let kept = RetentionRules { keep_versions: 3, manifests: HashSet::new() };
        assert_eq!(
            catalog.delete_unreferenced(&clock, None, &kept).await.unwrap().objects,
            0,
            "an empty store"
        );

        let mut entries = Vec::new();
        let mut named = Vec::new();
        for version in 1..=6 {
            let own =
                segment(&catalog, &segments, &a, SegmentKind::Base, version, format!("v{version}")).await;
            let published = manifest(&a, version, vec![own.clone()]);
            let entry = publish(&catalog, &published).await;
            running.handle.announce(change(&a, entries.last(), &entry)).await.unwrap();
            entries.push(entry);
            named.push(own);
        }
        let orphan =
            segment(&catalog, &segments, &name("never-announced"), SegmentKind::Base, 1, "orphan").await;
        for revision in 1..=12 {
            let reference = catalog.publish_key_set(&KeySetDocument::new(revision, &[])).await.unwrap();
            let change = Change::Keys { from_revision: revision - 1, reference };
            running.handle.announce(change).await.unwrap();
        }
        running.end().await;
        let before = paths(&*objects).await;

        // Young things stay, whatever names them.
        clock.set(start + TimeDelta::hours(23));
        let done = catalog.delete_unreferenced(&clock, None, &kept).await.unwrap();
        assert_eq!((done.objects, done.complete), (0, true));
        assert_eq!(paths(&*objects).await, before);

        // A day later: the three last versions and the pinned first one stay.
        clock.set(start + TimeDelta::hours(25));
        let kept =
            RetentionRules { keep_versions: 3, manifests: HashSet::from([entries[0].manifest.clone()]) };
        let done = catalog.delete_unreferenced(&clock, None, &kept).await.unwrap();
        let after = paths(&*objects).await;
        for (index, (entry, segment)) in entries.iter().zip(&named).enumerate() {
            let stays = index == 0 || index >= 3;
            assert_eq!(after.contains(&entry.manifest), stays, "manifest {index}");
            assert_eq!(after.contains(&segment.object), stays, "segment {index}");
        }
        assert!(!after.contains(&orphan.object));
        assert_eq!(after.iter().filter(|path| path.starts_with("keys/")).count(), 10);
        assert_eq!(after.iter().filter(|path| path.starts_with("catalog/")).count(), 18 + 1);
        assert_eq!(done.objects, before.len() - after.len());

        // A month later only the newest document is left of the catalog, and it still works.
        clock.set(start + TimeDelta::days(31));
        catalog.delete_unreferenced(&clock, None, &kept).await.unwrap();
        let newest = catalog.newest(None).await.unwrap().unwrap();
        assert_eq!(newest.n, 18);
        let served = catalog.manifest(&a, &newest.collections[&a]).await.unwrap();
        for segment in &served.segments {
            let empty = tempfile::tempdir().unwrap();
            let directory = SegmentDirectory::open(empty.path(), Clock::default()).unwrap();
            directory.fetch(catalog.store(), segment).await.unwrap();
        }
        let documents = paths(&*objects).await.into_iter().filter(|path| path.starts_with("catalog/"));
        assert_eq!(documents.count(), 2);
    }
}

#[tokio::test]
async fn unfinished_files_of_killed_writers_are_deleted() {
    let root = tempfile::tempdir().unwrap();
    let location = Location::Directory(root.path().to_owned());
    let catalog = open_catalog(&location);
    let staged = root.path().join("collections/a/run_x");
    fs::create_dir_all(&staged).unwrap();
    let staged = staged.join("segment-00000.arrow#1");
    fs::write(&staged, "half").unwrap();
    let start = Clock::default().now();
    let clock = Clock::fixed(start + TimeDelta::hours(23));
    catalog.delete_unreferenced(&clock, None, &RetentionRules::default()).await.unwrap();
    assert!(staged.exists());
    clock.set(start + TimeDelta::hours(25));
    catalog.delete_unreferenced(&clock, None, &RetentionRules::default()).await.unwrap();
    assert!(!staged.exists());
}
