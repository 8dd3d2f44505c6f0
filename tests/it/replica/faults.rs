//! A replica under faults of the store: it serves its last version and recovers.

use bytes::Bytes;
use larder::{
    catalog::FreshnessByCollection,
    domain::{
        catalog::{CatalogDocument, Head, KeySetReference},
        digest::Digest,
        id::AnnouncementId,
        keyset::KeySetDocument,
        limits::FORMAT,
        manifest::{SegmentKind, Version},
    },
    status::NodeStatus,
    support::random,
};
use object_store::{ObjectStoreExt, path::Path};

use super::fixture::{Fixture, rows};
use crate::support::{
    catalog::{manifest, name},
    faulty_store::{Fault, Request},
};

fn document_path(n: u64) -> Path {
    Path::from(format!("catalog/{n:020}.json"))
}

fn announcement() -> AnnouncementId {
    AnnouncementId::from_uuid(random::uuid())
}

#[tokio::test]
async fn damaged_segment_is_never_applied_and_affects_no_other_collection() {
    for (fault, code) in [
        (Fault::Corrupt, "object_corrupt"),
        (Fault::Truncate, "object_corrupt"),
        (Fault::Hide, "object_missing"),
        (Fault::Fail, "store_unavailable"),
    ] {
        for part in ["segment", "manifest"] {
            let mut fixture = Fixture::in_memory();
            fixture.base("a", &rows(&[("1", Some(1))])).await;
            let node = fixture.node("node");
            node.caught_up(&fixture).await;

            // Everything new of this collection is bad from the start.
            let good = fixture.latest("a").run_id.to_string();
            let base = fixture.latest("a").segments[0].object.clone();
            fixture.faulty.decide(move |request, path| {
                let path = path.as_ref();
                let is_new = path.contains("collections/a/") && !path.contains(&good) && path != base;
                if request == Request::Get && is_new && path.contains(part) { fault } else { Fault::None }
            });
            fixture.change("a", &rows(&[("2", Some(2))])).await;
            let bad = fixture.latest("a");
            let path = match part {
                "segment" => bad.segments[1].object.clone(),
                _ => format!("collections/a/{}/manifest.json", bad.run_id),
            };
            fixture.base("b", &rows(&[("b", Some(1))])).await;
            let applied = node
                .until("failing", |applied| {
                    let failing = applied.collections.get("a").and_then(|status| status.problem.as_ref());
                    let other = applied.collections.get("b").and_then(|status| status.served);
                    failing.is_some_and(|problem| problem.code == code) && other == Some(Version(1))
                })
                .await;
            assert_eq!(applied.collections["a"].served, Some(Version(1)), "{fault:?} {part}");
            assert_eq!(applied.collections["a"].wanted, Version(2));
            assert_eq!(node.shelf.rows("a"), Some(rows(&[("1", Some(1))])));

            // It was tried more than once, and works as soon as the store does.
            let tried = fixture.faulty.count(Request::Get, &path);
            while fixture.faulty.count(Request::Get, &path) < tried + 2 {
                tokio::task::yield_now().await;
            }
            fixture.faulty.heal();
            let applied = node.caught_up(&fixture).await;
            assert_eq!(applied.collections["a"].problem, None);
            assert_eq!(node.shelf.rows("a"), Some(rows(&[("1", Some(1)), ("2", Some(2))])));
        }
    }
}

#[tokio::test]
async fn newer_version_is_applied_when_an_older_one_cannot_be_fetched() {
    let mut fixture = Fixture::in_memory();
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    let node = fixture.node("node");
    node.caught_up(&fixture).await;
    fixture.base("a", &rows(&[("2", Some(2))])).await;
    let gone = Path::from(fixture.latest("a").segments[0].object.clone());
    let data_dir = node.stop().await;
    fixture.objects.delete(&gone).await.unwrap();
    let node = fixture.node(data_dir.file_name().unwrap().to_str().unwrap());
    node.until("failing", |applied| {
        applied.collections.get("a").is_some_and(|status| status.problem.is_some())
    })
    .await;
    fixture.base("a", &rows(&[("3", Some(3))])).await;
    node.caught_up(&fixture).await;
    assert_eq!(node.shelf.rows("a"), Some(rows(&[("3", Some(3))])));
}

#[tokio::test]
async fn collection_that_never_loads_delays_readiness_up_to_the_limit() {
    let mut fixture = Fixture::in_memory();
    fixture.base("bad", &rows(&[("1", Some(1))])).await;
    fixture.base("good", &rows(&[("1", Some(1))])).await;
    fixture.faulty.next(Request::Get, "collections/bad", Fault::Fail, usize::MAX);
    let node = fixture.node("node");
    let applied = node.until("ready", |applied| applied.ready).await;
    assert_eq!(applied.collections["good"].served, Some(Version(1)));
    assert_eq!(applied.collections["bad"].served, None);
    assert!(applied.collections["bad"].problem.is_some(), "status says which");
    assert_eq!(node.shelf.other("bad").as_deref(), Some("loading"));

    // When no collection loads, the node itself may be faulty: it is not ready.
    fixture.faulty.next(Request::Get, "collections/", Fault::Fail, usize::MAX);
    let other = fixture.node("other");
    let head = fixture.faulty.count(Request::Get, "collections/");
    while fixture.faulty.count(Request::Get, "collections/") < head + 60 {
        tokio::task::yield_now().await;
    }
    assert!(!other.board.read().ready);
}

#[tokio::test]
async fn keys_are_applied_during_a_download() {
    let mut fixture = Fixture::in_memory();
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    fixture.keys().await;
    let node = fixture.node("node");
    node.caught_up(&fixture).await;
    fixture.faulty.next(Request::Get, "segment", Fault::Hold, usize::MAX);
    fixture.base("a", &rows(&[("2", Some(2))])).await;
    let held = fixture.faulty.count(Request::Get, "segment");
    while fixture.faulty.count(Request::Get, "segment") == held {
        tokio::task::yield_now().await;
    }
    fixture.keys().await;
    let applied = node.until("new keys", |applied| applied.keys_revision == 2).await;
    assert_eq!(applied.collections["a"].served, Some(Version(1)));
    fixture.faulty.heal();
    fixture.faulty.release().await;
    node.caught_up(&fixture).await;
}

#[tokio::test]
async fn key_set_revision_never_decreases() {
    let mut fixture = Fixture::in_memory();
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    for _ in 0..3 {
        fixture.keys().await;
    }
    let node = fixture.node("node");
    node.caught_up(&fixture).await;

    // A document that names an older set, as a publisher with a restored backup might make.
    let older = fixture.catalog.publish_key_set(&KeySetDocument::new(2, &[])).await.unwrap();
    let newest = fixture.catalog.newest(None).await.unwrap().unwrap();
    let put = |document: CatalogDocument| {
        let objects = fixture.objects.clone();
        async move {
            let text = Bytes::from(serde_json::to_vec(&document).unwrap());
            objects.put(&document_path(document.n), text.into()).await.unwrap();
        }
    };
    let next = |keys: Option<KeySetReference>, above: u64| CatalogDocument {
        n: newest.n + above,
        announced_by: announcement(),
        keys,
        ..newest.clone()
    };
    for (above, keys) in [(1, None), (2, Some(older.clone()))] {
        put(next(keys, above)).await;
        let applied = node.until("the next document", |applied| applied.catalog == newest.n + above).await;
        assert_eq!(applied.keys_revision, 3);
    }

    // Nor after a restart, nor when the last set is damaged locally and missing in the store: until it is back,
    // every key is refused.
    let data_dir = node.stop().await;
    std::fs::write(data_dir.join("state/keys.json"), "torn").unwrap();
    fixture.faulty.next(Request::Get, "keys/00000000000000000003", Fault::Hide, usize::MAX);
    let node = fixture.node(data_dir.file_name().unwrap().to_str().unwrap());
    let applied = node.until("a problem", |applied| applied.problem.is_some()).await;
    assert_eq!((applied.keys_revision, applied.ready), (0, false));
    let asked = fixture.faulty.count(Request::Get, "keys/");
    put(next(Some(older), 3)).await;
    while fixture.faulty.count(Request::Get, "keys/") < asked + 5 {
        tokio::task::yield_now().await;
    }
    assert_eq!(node.board.read().keys_revision, 0);
    fixture.faulty.heal();
    let applied = node.until("ready", |applied| applied.ready).await;
    assert_eq!(applied.keys_revision, 3);

    // When a newer set cannot be read, the last one stays in force.
    let missing = KeySetReference {
        object: format!("keys/{:020}-{}.json", 9, "0".repeat(32)),
        sha256: Digest::of(b"missing"),
        revision: 9,
    };
    put(next(Some(missing), 4)).await;
    let applied = node.until("a problem", |applied| applied.problem.is_some()).await;
    assert_eq!(applied.problem.unwrap().code, "object_missing");
    assert_eq!(
        (applied.catalog, applied.keys_revision),
        (newest.n + 4, 3),
        "the document is followed all the same"
    );
    // The status has the age of the keys in force.
    let confirmed = applied.keys_at;
    let later = applied.polled_at;
    let applied = node.until("polled again", |applied| applied.polled_at > later).await;
    assert_eq!(applied.keys_at, confirmed);
}

#[tokio::test]
async fn documents_are_found_without_a_usable_head() {
    let mut fixture = Fixture::in_directory();
    let head = Path::from("catalog/head");
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    fixture.rest().await;
    let stale = fixture.objects.get(&head).await.unwrap().bytes().await.unwrap();
    let node = fixture.node("node");
    node.caught_up(&fixture).await;
    for (version, text) in [(2, Some(stale)), (3, Some(Bytes::from_static(b"{\"torn"))), (4, None)] {
        fixture.change("a", &rows(&[(&version.to_string(), Some(version))])).await;
        fixture.rest().await;
        match text {
            Some(text) => drop(fixture.objects.put(&head, text.into()).await.unwrap()),
            None => fixture.objects.delete(&head).await.unwrap(),
        }
        node.caught_up(&fixture).await;
        // A fresh node finds it too.
        let fresh = fixture.node(&format!("fresh-{version}"));
        fresh.caught_up(&fixture).await;
    }
    // A head that names a missing document is a problem, but changes nothing that is served.
    let deployment = fixture.catalog.newest(None).await.unwrap().unwrap().deployment;
    let promise = Head { format: FORMAT, deployment, n: 99, data_as_of: FreshnessByCollection::new() };
    fixture.objects.put(&head, serde_json::to_vec(&promise).unwrap().into()).await.unwrap();
    node.until("a problem", |applied| {
        applied.problem.as_ref().is_some_and(|problem| problem.code == "object_missing")
    })
    .await;
    assert_eq!(node.shelf.rows("a").unwrap().len(), 4);
}

/// The newest document is missing, empty, truncated or replaced.
#[tokio::test]
async fn missing_or_damaged_newest_document_is_a_problem_on_nodes_that_have_it() {
    let mut fixture = Fixture::in_directory();
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    fixture.keys().await;
    let newest = document_path(fixture.catalog.newest(None).await.unwrap().unwrap().n);
    let good = fixture.objects.get(&newest).await.unwrap().bytes().await.unwrap();
    let mut other: CatalogDocument = serde_json::from_slice(&good).unwrap();
    other.announced_by = announcement();
    let other = Bytes::from(serde_json::to_vec(&other).unwrap());
    let saved = fixture.node("saved");
    saved.caught_up(&fixture).await;
    let saved = saved.stop().await;
    let node = fixture.node("node");
    node.caught_up(&fixture).await;
    let damages = [
        (None, "object_missing"),
        (Some(Bytes::new()), "document_malformed"),
        (Some(good.slice(..good.len() / 2)), "document_malformed"),
        (Some(other), "catalog_forked"),
    ];
    for (number, (damaged, code)) in damages.into_iter().enumerate() {
        match damaged {
            Some(damaged) => drop(fixture.objects.put(&newest, damaged.into()).await.unwrap()),
            None => fixture.objects.delete(&newest).await.unwrap(),
        }
        let has = |applied: &NodeStatus| applied.problem.as_ref().is_some_and(|problem| problem.code == code);
        let applied = node.until(code, has).await;
        assert!(applied.ready, "it serves on");
        // The problem and the time of the last successful poll stay until the document is restored.
        let asked = fixture.faulty.count(Request::Get, "head");
        while fixture.faulty.count(Request::Get, "head") < asked + 5 {
            tokio::task::yield_now().await;
        }
        let later = node.board.read();
        assert_eq!((later.polled_at, later.problem), (applied.polled_at, applied.problem), "{code}");

        // After a restart the node serves its local state with the same problem.
        let warm = format!("warm-{number}");
        copy(&saved, &fixture.root.path().join(&warm));
        let warm = fixture.node(&warm);
        warm.until("ready", |applied| applied.ready && has(applied)).await;
        assert_eq!(warm.shelf.rows("a"), Some(rows(&[("1", Some(1))])));
        // A node without state is not ready and reports why. It accepts another valid document.
        if code != "catalog_forked" {
            let cold = fixture.node(&format!("cold-{number}"));
            assert!(!cold.until("a problem", has).await.ready);
            cold.stop().await;
        }

        fixture.objects.put(&newest, good.clone().into()).await.unwrap();
        for node in [&node, &warm] {
            node.until("health", |applied| applied.problem.is_none()).await;
        }
        warm.stop().await;
    }
    // The next version is applied as usual.
    fixture.base("a", &rows(&[("2", Some(2))])).await;
    node.caught_up(&fixture).await;
}

/// A directory of directories of files.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    for directory in ["segments", "manifests", "state"] {
        std::fs::create_dir_all(to.join(directory)).unwrap();
        for file in std::fs::read_dir(from.join(directory)).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), to.join(directory).join(file.file_name())).unwrap();
        }
    }
}

#[tokio::test]
async fn newer_format_is_reported_and_last_version_served() {
    let mut fixture = Fixture::in_memory();
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    let node = fixture.node("node");
    node.caught_up(&fixture).await;
    let newer = format!("{{\"format\":{}}}", FORMAT + 1);
    fixture.objects.put(&document_path(2), newer.into()).await.unwrap();
    let applied = node.until("a problem", |applied| applied.problem.is_some()).await;
    assert_eq!(applied.problem.unwrap().code, "newer_format");
    assert_eq!((applied.catalog, applied.ready), (1, true));
    assert_eq!(node.shelf.rows("a"), Some(rows(&[("1", Some(1))])));
}

#[tokio::test]
async fn unservable_content_keeps_last_good_version() {
    let mut fixture = Fixture::in_memory();
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    let node = fixture.node("node");
    node.caught_up(&fixture).await;
    node.shelf.take_log();

    // Changes that cannot be applied: the collection is rebuilt.
    *node.shelf.refuses.lock().unwrap() = true;
    fixture.change("a", &rows(&[("2", Some(2))])).await;
    node.caught_up(&fixture).await;
    assert_eq!(node.shelf.take_log(), ["apply", "build"]);

    // A base that cannot be read though its SHA-256 is right.
    let publisher = &fixture.segments;
    let catalog = &fixture.catalog;
    let poison =
        crate::support::catalog::segment(catalog, publisher, &name("a"), SegmentKind::Base, 3, "poison")
            .await;
    fixture.announce(manifest(&name("a"), 3, vec![poison])).await;
    let applied = node.until("failing", |applied| applied.collections["a"].problem.is_some()).await;
    assert_eq!(applied.collections["a"].problem.as_ref().unwrap().code, "refused");
    assert_eq!(node.shelf.rows("a"), Some(rows(&[("1", Some(1)), ("2", Some(2))])));
    fixture.base("a", &rows(&[("4", Some(4))])).await;
    node.caught_up(&fixture).await;
}

/// A recreated catalog, past the number that a node follows, names lower versions.
#[tokio::test]
async fn recreated_catalog_is_refused() {
    let mut fixture = Fixture::in_memory();
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    let first = fixture.catalog.newest(None).await.unwrap().unwrap();
    fixture.change("a", &rows(&[("1", Some(2))])).await;
    let node = fixture.node("node");
    node.caught_up(&fixture).await;
    let own = fixture.catalog.newest(None).await.unwrap().unwrap();
    let anew = CatalogDocument { n: own.n + 1, announced_by: announcement(), ..first };
    let text = Bytes::from(serde_json::to_vec(&anew).unwrap());
    fixture.objects.put(&document_path(anew.n), text.into()).await.unwrap();
    let applied = node.until("a problem", |applied| applied.problem.is_some()).await;
    assert_eq!((applied.problem.unwrap().code.as_str(), applied.catalog), ("catalog_forked", own.n));
    assert_eq!(node.shelf.rows("a"), Some(rows(&[("1", Some(2))])));
}

/// Head names a document that is lost, or is that of another deployment: what was announced before, and a revocation
/// above all, arrives all the same.
#[tokio::test]
async fn announcements_arrive_although_head_is_of_no_use() {
    for code in ["object_missing", "foreign_catalog"] {
        let mut fixture = Fixture::in_memory();
        fixture.base("a", &rows(&[("1", Some(1))])).await;
        fixture.keys().await;
        let node = fixture.node("node");
        let before = node.caught_up(&fixture).await.keys_revision;
        let head = Path::from("catalog/head");
        if code == "object_missing" {
            fixture.faulty.next(Request::Get, "catalog/head", Fault::Fail, usize::MAX);
            fixture.keys().await;
            fixture.change("a", &rows(&[("2", Some(2))])).await;
            fixture.faulty.next(Request::Get, "0004.json", Fault::Hide, usize::MAX);
        } else {
            let text = fixture.objects.get(&head).await.unwrap().bytes().await.unwrap();
            let mut foreign: Head = serde_json::from_slice(&text).unwrap();
            foreign.deployment = crate::support::catalog::deployment();
            let foreign = serde_json::to_vec(&foreign).unwrap();
            fixture.objects.put(&head, foreign.into()).await.unwrap();
            fixture.keys().await;
        }
        let applied = node
            .until("the keys and the problem", |applied| {
                let problem = applied.problem.as_ref().map(|problem| problem.code.as_str());
                applied.keys_revision > before && problem == Some(code)
            })
            .await;
        assert!(applied.ready);
        assert_eq!(node.shelf.rows("a"), Some(rows(&[("1", Some(1))])));
        fixture.faulty.heal();
        if code == "object_missing" {
            assert_eq!(node.caught_up(&fixture).await.problem, None);
        }
    }
}
