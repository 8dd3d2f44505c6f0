//! Which versions can be pinned or rolled back to, and whether their segments are there.

use std::sync::Arc;

use larder::{
    catalog::{Catalog, Change},
    disk::SegmentDirectory,
    domain::{
        catalog::CollectionEntry,
        manifest::{SegmentKind, Version},
        name::RegionName,
    },
    support::clock::Clock,
};
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};

use crate::support::{
    aged_store::AgedStore,
    catalog::{announcer, catalog_over, change, entry, manifest, name, quick, run_id, segment},
};

/// The selectable ones of versions 1 to `last`, when the last `keep_versions` are retained.
async fn selectable(catalog: &Catalog, last: u64, keep_versions: usize) -> Vec<u64> {
    let newest = catalog.newest(None).await.unwrap().unwrap();
    let mut selectable = Vec::new();
    for version in 1..=last {
        if catalog.is_selectable(&newest, &name("a"), Version(version), keep_versions).await.unwrap() {
            selectable.push(version);
        }
    }
    selectable
}

#[tokio::test]
async fn versions_are_selectable_for_hours_after_they_were_in_force() {
    let store = AgedStore::new(Arc::new(InMemory::new()));
    let catalog = catalog_over(Arc::new(store.clone()));
    let running = announcer(&catalog, None, quick());
    let announce = async |change: Change| running.handle.announce(change).await.map(|_| ()).unwrap();
    let mut entries: Vec<CollectionEntry> = Vec::new();
    for version in 1..=6 {
        let next = entry(version);
        announce(change(&name("a"), entries.last(), &next)).await;
        entries.push(next);
        if version == 3 {
            store.advance_hours(10);
        }
    }
    assert_eq!(selectable(&catalog, 7, 2).await, [1, 2, 3, 4, 5, 6, 7], "the catalog is younger than a day");
    store.advance_hours(5);
    assert_eq!(selectable(&catalog, 6, 1).await, [1, 2, 3, 4, 5, 6], "15 hours after version 3");
    store.advance_hours(2);
    assert_eq!(selectable(&catalog, 6, 1).await, [3, 4, 5, 6], "version 3 was in force 16 hours ago");
    assert_eq!(selectable(&catalog, 6, 2).await, [2, 3, 4, 5, 6]);
    store.advance_hours(10);
    assert_eq!(selectable(&catalog, 6, 1).await, [6]);
    assert_eq!(selectable(&catalog, 6, 3).await, [4, 5, 6]);

    let region = RegionName::new("eu").unwrap();
    let pin = Change::Pin { region, name: name("a"), from: None, entry: entries[1].clone() };
    announce(pin).await;
    assert_eq!(selectable(&catalog, 6, 1).await, [2, 6], "pinned, and the newest");
    let newest = catalog.newest(None).await.unwrap().unwrap();
    assert!(!catalog.is_selectable(&newest, &name("b"), Version(1), 9).await.unwrap(), "it does not exist");
    running.end().await;
}

#[tokio::test]
async fn segments_are_checked_before_their_version_is_announced() {
    let objects = Arc::new(InMemory::new());
    let catalog = catalog_over(Arc::clone(&objects) as Arc<dyn ObjectStore>);
    let root = tempfile::tempdir().unwrap();
    let local = SegmentDirectory::open(root.path(), Clock::default()).unwrap();
    let base = segment(&catalog, &local, &name("a"), SegmentKind::Base, 1, "content of the base").await;
    let own = segment(&catalog, &local, &name("a"), SegmentKind::Changes, 2, "content of the run").await;
    let mut whole = manifest(&name("a"), 2, vec![base.clone(), own.clone()]);
    whole.run_id = own.object.split('/').nth(2).unwrap().parse().unwrap();
    let codes = async || {
        let all = catalog.check_segments(&whole).await.err().map(|error| error.code());
        (all, catalog.check_own_segments(&whole).await.err().map(|error| error.code()))
    };
    let put = async |object: &str, content: &'static str| {
        objects.put(&Path::from(object), content.into()).await.unwrap();
    };
    assert_eq!(codes().await, (None, None));
    let lost = Some("object_missing");
    objects.delete(&Path::from(base.object.as_str())).await.unwrap();
    assert_eq!(codes().await, (lost, None), "the base was checked when it was read");
    put(&base.object, "content of the base").await;
    put(&own.object, "cut").await;
    assert_eq!(codes().await, (Some("object_corrupt"), Some("object_corrupt")));
    objects.delete(&Path::from(own.object.as_str())).await.unwrap();
    assert_eq!(codes().await, (lost, lost));
    whole.run_id = run_id();
    assert_eq!(catalog.check_own_segments(&whole).await.err().map(|error| error.code()), None);
}
