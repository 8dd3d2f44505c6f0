//! Segments, manifests and key sets: written, read back, fetched, verified.

use std::{fs, os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use bytes::Bytes;
use larder::{
    catalog::{Catalog, Retention, RetentionRules, RunAnnouncement, SegmentDraft},
    disk::{Error, SegmentDirectory},
    domain::{
        digest::Digest,
        manifest::{SegmentKind, SegmentReference, Version},
    },
    store::Location,
    support::clock::Clock,
};
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};
use tempfile::TempDir;

use crate::support::{
    catalog::{catalog_over, manifest, name, open_catalog, publish, run_id, segment},
    faulty_store::{Fault, FaultyStore, Request},
};

fn directory() -> (TempDir, SegmentDirectory) {
    let root = tempfile::tempdir().unwrap();
    let directory = SegmentDirectory::open(&root.path().join("segments"), Clock::default()).unwrap();
    (root, directory)
}

fn draft() -> SegmentDraft {
    SegmentDraft {
        collection: name("a"),
        run_id: run_id(),
        number: 3,
        rows: 10,
        deletes: 2,
        kind: SegmentKind::Base,
        version: Version(1),
    }
}

fn stores() -> (TempDir, Vec<Catalog>) {
    let root = tempfile::tempdir().unwrap();
    let location = Location::Directory(root.path().join("a/store"));
    let real = open_catalog(&location);
    let mode = fs::metadata(root.path().join("a/store")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    (root, vec![real, catalog_over(Arc::new(InMemory::new()))])
}

#[tokio::test]
async fn segments_reach_the_follower_unchanged() {
    let (_root, stores) = stores();
    // Over the bound of one request: sent in parts.
    let large: Bytes = (0..70_u8).collect::<Vec<_>>().repeat(1024 * 1024).into();
    for catalog in stores {
        for expected in [Bytes::from_static(b"small"), Bytes::new(), large.clone()] {
            let (_publisher_root, publisher) = directory();
            let reference = catalog.publish_segment(&publisher, &draft(), expected.clone()).await.unwrap();
            assert_eq!((reference.bytes, reference.sha256), (expected.len() as u64, Digest::of(&expected)));
            // A copy from a remote store is kept. A local store is copied only on request.
            assert_eq!(publisher.has(&reference), !catalog.store().is_local());

            let (_follower_root, follower) = directory();
            assert!(matches!(follower.read(&reference).await, Err(Error::Missing(_))));
            let path = follower.fetch(catalog.store(), &reference).await.unwrap();
            assert_eq!(path, follower.path(&reference.sha256));
            follower.sync(vec![reference.sha256, Digest::of(b"gone")]).await.unwrap();
            assert!(follower.read(&reference).await.unwrap().as_slice() == expected);
            let (_other_root, other) = directory();
            assert!(other.load(catalog.store(), &reference).await.unwrap().as_slice() == expected);
            assert_eq!(other.has(&reference), !catalog.store().is_local());
        }
    }
}

#[tokio::test]
async fn damaged_object_is_never_accepted() {
    let faulty = FaultyStore::new(Arc::new(InMemory::new()));
    let catalog = catalog_over(Arc::clone(&faulty) as Arc<dyn ObjectStore>);
    let (_root, publisher) = directory();
    let content = Bytes::from(vec![1; 300_000]);
    let reference = segment(&catalog, &publisher, &name("a"), SegmentKind::Base, 1, content.clone()).await;
    for (fault, code) in [
        (Fault::Corrupt, "object_corrupt"),
        (Fault::Truncate, "object_corrupt"),
        (Fault::Hide, "object_missing"),
        (Fault::Fail, "store_unavailable"),
    ] {
        let (root, follower) = directory();
        faulty.next(Request::Get, "segment", fault, 2);
        assert_eq!(follower.fetch(catalog.store(), &reference).await.unwrap_err().code(), code);
        assert_eq!(follower.load(catalog.store(), &reference).await.unwrap_err().code(), code);
        let left = fs::read_dir(root.path().join("segments")).unwrap().count();
        assert_eq!(left, 0, "{fault:?} leaves nothing behind");
        // Once the store is well, all is well.
        assert!(follower.load(catalog.store(), &reference).await.unwrap().as_slice() == content);
    }
}

#[tokio::test]
async fn damaged_local_file_is_fetched_again() {
    let catalog = catalog_over(Arc::new(InMemory::new()));
    let (_root, local) = directory();
    let reference = segment(&catalog, &local, &name("a"), SegmentKind::Base, 1, "content").await;
    fs::write(local.path(&reference.sha256), "contenT").unwrap();
    assert!(local.has(&reference), "its length is right");
    assert!(matches!(local.read(&reference).await, Err(Error::Corrupt { .. })));
    assert!(
        local.load(catalog.store(), &reference).await.unwrap().as_slice() == Bytes::from_static(b"content")
    );
    fs::write(local.path(&reference.sha256), "torn").unwrap();
    assert!(
        local.load(catalog.store(), &reference).await.unwrap().as_slice() == Bytes::from_static(b"content")
    );
}

#[tokio::test]
async fn publishing_succeeds_while_the_store_fails_or_returns_garbage() {
    for fault in [Fault::Fail, Fault::Corrupt, Fault::Truncate, Fault::Hide, Fault::LoseAnswer] {
        let faulty = FaultyStore::new(Arc::new(InMemory::new()));
        let catalog = catalog_over(Arc::clone(&faulty) as Arc<dyn ObjectStore>);
        let (_root, local) = directory();
        let request = if fault == Fault::LoseAnswer { Request::Put } else { Request::Get };
        faulty.next(request, "collections/", fault, 1);
        let reference = segment(&catalog, &local, &name("a"), SegmentKind::Base, 1, "content").await;
        faulty.next(request, "collections/", fault, 1);
        let published = manifest(&name("a"), 1, vec![reference]);
        let entry = publish(&catalog, &published).await;
        faulty.heal();
        assert_eq!(catalog.manifest(&name("a"), &entry).await.unwrap(), published, "{fault:?}");
    }
}

#[tokio::test]
async fn manifest_is_accepted_only_for_its_collection_and_version() {
    let memory = Arc::new(InMemory::new());
    let catalog = catalog_over(Arc::clone(&memory) as Arc<dyn ObjectStore>);
    let (_root, local) = directory();
    let reference = segment(&catalog, &local, &name("a"), SegmentKind::Base, 1, "content").await;
    let good = manifest(&name("a"), 1, vec![reference.clone()]);
    let entry = publish(&catalog, &good).await;

    // The catalog names it as another collection's, as another version's, or somewhere else.
    assert_eq!(catalog.manifest(&name("b"), &entry).await.unwrap_err().code(), "object_path_refused");
    let mut other = entry.clone();
    other.version = Version(2);
    assert_eq!(catalog.manifest(&name("a"), &other).await.unwrap_err().code(), "object_corrupt");
    for object in ["../../etc/passwd", "http://example.com/x", "catalog/head"] {
        let mut other = entry.clone();
        other.manifest = object.into();
        assert_eq!(catalog.manifest(&name("a"), &other).await.unwrap_err().code(), "object_path_refused");
    }

    // A manifest that names what it may not is refused before it is published, and by its readers.
    let stranger = SegmentReference { object: reference.object.replace("/a/", "/b/"), ..reference.clone() };
    let endless = SegmentReference { bytes: u64::MAX, ..reference.clone() };
    let early = SegmentReference { version: Version(0), ..reference.clone() };
    for (segments, code) in [
        (vec![stranger], "object_path_refused"),
        (vec![endless], "object_too_large"),
        (vec![reference, early], "object_corrupt"),
    ] {
        let bad = manifest(&name("a"), 1, segments);
        let text = serde_json::to_vec(&bad).unwrap();
        let mut other = entry.clone();
        other.sha256 = Digest::of(&text);
        memory.put(&Path::from(entry.manifest.as_str()), text.into()).await.unwrap();
        assert_eq!(catalog.manifest(&name("a"), &other).await.unwrap_err().code(), code);
        let refused = catalog.publish_manifest(&bad).await.unwrap_err();
        assert_eq!(refused.code(), code);
    }
    // Changed by one byte after it was announced.
    assert_eq!(catalog.manifest(&name("a"), &entry).await.unwrap_err().code(), "object_corrupt");
}

/// A manifest grows with each version since the base; a large one is stored compressed, and its digest is of its text.
#[tokio::test]
async fn large_manifest_is_stored_compressed() {
    let memory = Arc::new(InMemory::new());
    let catalog = catalog_over(Arc::clone(&memory) as Arc<dyn ObjectStore>);
    let (_root, local) = directory();
    let mut segments = vec![segment(&catalog, &local, &name("a"), SegmentKind::Base, 1, "content").await];
    let mut stored = Vec::new();
    for version in 2..=64 {
        let content = format!("content {version}");
        segments.push(segment(&catalog, &local, &name("a"), SegmentKind::Changes, version, content).await);
        let published = manifest(&name("a"), version, segments.clone());
        let entry = publish(&catalog, &published).await;
        let text = serde_json::to_vec(&published).unwrap();
        assert_eq!(entry.sha256, Digest::of(&text));
        let (read, bytes) = catalog.manifest_object(&name("a"), &entry).await.unwrap();
        assert_eq!((&read, bytes.as_ref()), (&published, text.as_slice()));
        let found = memory.get(&Path::from(entry.manifest.as_str())).await.unwrap().bytes().await.unwrap();
        stored.push((text.len(), found.len()));
    }
    assert!(stored.iter().all(|(text, bytes)| bytes == text || *text >= 4096), "{stored:?}");
    let (text, bytes) = stored.pop().unwrap();
    assert!(bytes * 5 < text * 2, "{bytes} of {text} bytes");
    let (texts, bytes) = stored.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert!(bytes * 2 < texts, "{bytes} of {texts} bytes");
    println!("{bytes} of {texts} bytes in the mean of 64 versions");
}

#[tokio::test]
async fn catalog_futures_are_send() {
    let catalog = catalog_over(Arc::new(InMemory::new()));
    let (_root, local) = directory();
    let task = tokio::spawn(async move {
        let content = Bytes::from_static(b"x");
        let reference = catalog.publish_segment(&local, &draft(), content).await.unwrap();
        local.fetch(catalog.store(), &reference).await.unwrap();
        let time_max = Duration::from_mins(1);
        Retention::new(catalog.clone()).run(None, &RetentionRules::default(), time_max).await.unwrap();
        catalog.find_announced(&name("a"), run_id(), None).await.unwrap()
    });
    assert_eq!(task.await.unwrap(), RunAnnouncement::NotFound { complete: true });
}
