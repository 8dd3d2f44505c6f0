//! Which manifest a version's number stands for.

use std::{fs, sync::Arc, time::Duration};

use larder::{
    catalog::{AnnouncerHandle, Catalog, Change, Retention, RetentionRules},
    disk::SegmentDirectory,
    domain::{
        catalog::CollectionEntry,
        manifest::{SegmentKind, Version},
    },
    store::Location,
    support::clock::Clock,
};
use object_store::memory::InMemory;

use crate::support::{
    aged_store::AgedStore,
    catalog::{
        announcer, catalog_over, change, entry, manifest, name, open_catalog, publish, quick, segment,
    },
    faulty_store::{FaultyStore, Request},
};

/// Announces `version` of a collection, made from `from`.
async fn announce(
    (catalog, handle): (&Catalog, &AnnouncerHandle),
    collection: &str,
    from: Option<&CollectionEntry>,
    version: u64,
) -> CollectionEntry {
    let entry = publish(catalog, &manifest(&name(collection), version, Vec::new())).await;
    handle.announce(change(&name(collection), from, &entry)).await.unwrap();
    entry
}

#[tokio::test]
async fn the_newest_announced_manifest_of_a_number_is_found() {
    let faulty = FaultyStore::new(Arc::new(InMemory::new()));
    let catalog = catalog_over(Arc::clone(&faulty) as _);
    let running = announcer(&catalog, None, quick());
    let at = (&catalog, &running.handle);
    let a1 = announce(at, "a", None, 1).await;
    // A manifest with the number 2 that was never announced.
    publish(&catalog, &manifest(&name("a"), 2, Vec::new())).await;
    let a2 = announce(at, "a", Some(&a1), 2).await;
    let b1 = announce(at, "b", None, 1).await;
    let merged = announce(at, "a", Some(&a2), 2).await;
    let b2 = announce(at, "b", Some(&b1), 2).await;
    let settings = announce(at, "a", Some(&merged), 2).await;
    announce(at, "b", Some(&b2), 3).await;
    let mut last = settings.clone();
    for version in 3..40 {
        last = announce(at, "a", Some(&last), version).await;
    }
    publish(&catalog, &manifest(&name("a"), 2, Vec::new())).await;
    let newest = catalog.newest(None).await.unwrap().unwrap();
    let find = async |collection: &str, version| {
        catalog.announced_version(&newest, &name(collection), Version(version)).await.unwrap()
    };
    assert_eq!(find("a", 2).await, Some(settings));
    assert_eq!(find("a", 1).await, Some(a1));
    assert_eq!(find("a", 39).await, Some(last.clone()));
    for (collection, version) in [("a", 0), ("a", 40), ("a", 999), ("b", 4), ("none", 1)] {
        assert_eq!(find(collection, version).await, None, "{collection} {version}");
    }
    for version in 3..40 {
        assert_eq!(find("a", version).await.unwrap().version, Version(version));
    }

    // Few documents are read, regardless of their number.
    let before = faulty.count(Request::Get, "catalog/");
    find("b", 1).await.unwrap();
    let read = faulty.count(Request::Get, "catalog/") - before;
    assert!(read <= 6, "{read} of {} documents", newest.n);

    let listed = catalog.listed_versions(&name("a"), Version(39), 64).await.unwrap();
    assert_eq!(listed, (1..40).rev().map(Version).collect::<Vec<_>>());
    assert_eq!(catalog.listed_versions(&name("a"), Version(2), 64).await.unwrap(), [Version(2), Version(1)]);
    assert_eq!(catalog.listed_versions(&name("none"), Version(2), 64).await.unwrap(), []);
    running.end().await;
}

#[tokio::test]
async fn versions_rise_across_a_drop_and_old_documents_may_be_gone() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("store");
    let location = Location::Directory(path.clone());
    let catalog = open_catalog(&location);
    let running = announcer(&catalog, None, quick());
    let at = (&catalog, &running.handle);
    let a1 = announce(at, "a", None, 1).await;
    let a2 = announce(at, "a", Some(&a1), 2).await;
    running.handle.announce(Change::Remove { name: name("a"), from: a2.sha256 }).await.unwrap();
    let newest = catalog.newest(None).await.unwrap().unwrap();
    assert_eq!(newest.dropped, [(name("a"), Version(2))].into());
    for version in [1, 2] {
        let again = running.handle.announce(change(&name("a"), None, &entry(version))).await;
        assert_eq!(again.unwrap_err().code(), "superseded");
    }
    let a3 = announce(at, "a", None, 3).await;
    let a4 = announce(at, "a", Some(&a3), 4).await;
    let a5 = announce(at, "a", Some(&a4), 5).await;
    let newest = catalog.newest(None).await.unwrap().unwrap();
    assert!(newest.dropped.is_empty(), "it is there again");
    for n in 1..=newest.n - 2 {
        fs::remove_file(path.join(format!("catalog/{n:020}.json"))).unwrap();
    }
    let find =
        async |version| catalog.announced_version(&newest, &name("a"), Version(version)).await.unwrap();
    assert_eq!(
        (find(5).await, find(4).await, find(3).await, find(2).await),
        (Some(a5), Some(a4), None, None)
    );
    running.end().await;
}

#[tokio::test]
async fn pinned_versions_are_not_deleted() {
    let root = tempfile::tempdir().unwrap();
    let store = AgedStore::new(Arc::new(InMemory::new()));
    let catalog = catalog_over(Arc::new(store.clone()));
    let segments = SegmentDirectory::open(&root.path().join("segments"), Clock::default()).unwrap();
    let running = announcer(&catalog, None, quick());
    let a = name("a");
    let mut entries: Vec<CollectionEntry> = Vec::new();
    for version in 1..=5 {
        let own = segment(&catalog, &segments, &a, SegmentKind::Base, version, format!("v{version}")).await;
        let entry = publish(&catalog, &manifest(&a, version, vec![own])).await;
        running.handle.announce(change(&a, entries.last(), &entry)).await.unwrap();
        entries.push(entry);
    }
    let region = larder::domain::name::RegionName::new("eu").unwrap();
    let pin = Change::Pin { region: region.clone(), name: a.clone(), from: None, entry: entries[1].clone() };
    running.handle.announce(pin).await.unwrap();
    store.advance_hours(25);
    let mut retention = Retention::new(catalog.clone());
    let mut delete = async || {
        let kept = RetentionRules { keep_versions: 2, ..RetentionRules::default() };
        retention.run(None, &kept, Duration::from_mins(1)).await.unwrap().objects
    };
    let there = async || {
        let versions = catalog.listed_versions(&a, Version(5), 64).await.unwrap();
        versions.into_iter().map(|version| version.0).collect::<Vec<_>>()
    };
    // Manifest and segment of 1 and 3.
    assert_eq!(delete().await, 4);
    assert_eq!(there().await, [5, 4, 2]);
    let pinned = catalog.manifest(&a, &entries[1]).await.unwrap();
    segments.load(catalog.store(), &pinned.segments[0]).await.unwrap();

    running
        .handle
        .announce(Change::Unpin { region, name: a.clone(), from: entries[1].sha256 })
        .await
        .unwrap();
    // A day after the pin has ended.
    for (hours, deleted) in [(0, 0), (23, 0), (2, 2)] {
        store.advance_hours(hours);
        assert_eq!(delete().await, deleted, "{hours}");
    }
    assert_eq!(there().await, [5, 4]);
    running.end().await;
}
