//! A healthy replica follows every kind of announcement.

use std::{collections::BTreeSet, fs, sync::Arc, time::Duration};

use chrono::TimeDelta;
use larder::{
    catalog::Change,
    domain::{
        manifest::{OnMiss, SegmentKind, Version},
        name::RegionName,
    },
    replica::{Pace, Target},
    support::clock::Clock,
};
use object_store::{ObjectStore, ObjectStoreExt};

use super::fixture::{Fixture, Node, fast, rows};
use crate::support::{
    catalog::{DEADLINE, at, catalog_over, manifest, name, run_id},
    faulty_store::{Fault, Request},
};

#[tokio::test]
async fn node_with_empty_catalog_is_ready() {
    for fixture in [Fixture::in_memory(), Fixture::in_directory()] {
        let node = fixture.node("node");
        let applied = node.until("ready", |applied| applied.ready).await;
        assert_eq!((applied.catalog, applied.keys_revision), (0, 0));
        assert!(applied.polled_at.is_some() && applied.problem.is_none());
    }
}

#[tokio::test]
async fn served_content_follows_every_announcement() {
    for mut fixture in [Fixture::in_memory(), Fixture::in_directory()] {
        fixture.base("a", &rows(&[("1", Some(1)), ("2", Some(2))])).await;
        fixture.keys().await;
        let node = fixture.node("node");
        let applied = node.caught_up(&fixture).await;
        assert_eq!(applied.keys_revision, 1);
        assert_eq!(node.shelf.rows("a"), Some(rows(&[("1", Some(1)), ("2", Some(2))])));
        node.until("ready", |applied| applied.ready).await;
        assert_eq!(node.shelf.take_log(), ["build"]);

        fixture.change("a", &rows(&[("1", None), ("3", Some(3))])).await;
        node.caught_up(&fixture).await;
        assert_eq!(node.shelf.rows("a"), Some(rows(&[("2", Some(2)), ("3", Some(3))])));
        assert_eq!(node.shelf.take_log(), ["apply"]);

        // Only settings changed.
        let mut settings = fixture.latest("a");
        settings.version = Version(settings.version.0 + 1);
        settings.run_id = run_id();
        settings.serving.on_miss = OnMiss::Empty;
        fixture.announce(settings).await;
        node.caught_up(&fixture).await;
        assert_eq!(node.shelf.take_log(), ["adopt"]);

        // Change segments merged: nothing to apply.
        let before = fixture.latest("a");
        let merged =
            fixture.segment(&name("a"), SegmentKind::Changes, 2, &rows(&[("1", None), ("3", Some(3))])).await;
        fixture
            .announce(manifest(&name("a"), before.version.0, vec![before.segments[0].clone(), merged]))
            .await;
        node.caught_up(&fixture).await;
        assert_eq!(node.shelf.take_log(), ["adopt"]);

        // Rolled back to the first version.
        let first = vec![before.segments[0].clone()];
        fixture.announce(manifest(&name("a"), before.version.0 + 1, first)).await;
        node.caught_up(&fixture).await;
        assert_eq!(node.shelf.rows("a"), Some(rows(&[("1", Some(1)), ("2", Some(2))])));
        assert_eq!(node.shelf.take_log(), ["build"]);

        // Dropped and created again.
        fixture.remove("a").await;
        node.until("removed", |applied| !applied.collections.contains_key("a")).await;
        assert_eq!((node.shelf.rows("a"), node.shelf.other("a")), (None, None));
        fixture.base("a", &rows(&[("9", Some(9))])).await;
        let applied = node.caught_up(&fixture).await;
        assert_eq!(applied.collections["a"].served, Some(Version(5)));
        assert_eq!(applied.collections["a"].data_as_of, Some(at(5)));
    }
}

#[tokio::test]
async fn pinned_region_keeps_its_version_while_others_follow() {
    let mut fixture = Fixture::in_memory();
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    let first = fixture.entry("a");
    fixture.change("a", &rows(&[("2", Some(2))])).await;
    let node = fixture.node("here");
    let other = fixture.node_in("elsewhere", "there");
    let serves = async |node: &Node, version: u64| {
        let applied = node
            .until("the version", |applied| {
                applied.collections.get("a").is_some_and(|status| status.served == Some(Version(version)))
            })
            .await;
        (applied.collections["a"].data_as_of, node.shelf.rows("a").unwrap().len())
    };
    serves(&node, 2).await;
    fixture.pin("local", None, &first).await;
    assert_eq!(serves(&node, 1).await, (Some(at(1)), 1), "back in content and in time");
    fixture.change("a", &rows(&[("3", Some(3))])).await;
    assert_eq!(serves(&other, 3).await, (Some(at(3)), 3));
    // The freshness in head is about the newest version, not about this one.
    let fresh = Change::Freshness { name: name("a"), version: Version(3), data_as_of: at(50) };
    fixture.running.handle.announce(fresh).await.unwrap();
    other.until("freshness", |applied| applied.collections["a"].data_as_of == Some(at(50))).await;
    let newest = fixture.catalog.newest(None).await.unwrap().unwrap().n;
    node.until("the newest document", |applied| applied.catalog == newest).await;
    assert_eq!(serves(&node, 1).await, (Some(at(1)), 1));

    // Also after a restart, and for a node that never saw another version.
    let data_dir = node.stop().await;
    let node = fixture.node(data_dir.file_name().unwrap().to_str().unwrap());
    assert_eq!(serves(&node, 1).await, (Some(at(1)), 1));
    let new = fixture.node("new");
    new.until("ready", |applied| applied.ready).await;
    assert_eq!(serves(&new, 1).await, (Some(at(1)), 1));

    node.shelf.take_log();
    fixture.unpin("local", &first).await;
    assert_eq!(serves(&node, 3).await, (Some(at(50)), 3));
    assert_eq!(node.shelf.take_log(), ["apply"], "what is here leads to the newest");
}

#[tokio::test]
async fn node_pinned_during_its_start_becomes_ready() {
    let mut fixture = Fixture::in_memory();
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    let first = fixture.entry("a");
    fixture.base("a", &rows(&[("2", Some(2))])).await;
    // The newest version cannot be loaded; the earlier one can.
    let newest = fixture.latest("a").segments[0].object.clone();
    fixture.objects.delete(&newest.as_str().into()).await.unwrap();
    let node = fixture.node("node");
    node.until("a problem", |applied| {
        applied.collections.get("a").is_some_and(|status| status.problem.is_some())
    })
    .await;
    fixture.pin("local", None, &first).await;
    let applied = node.until("ready", |applied| applied.ready).await;
    assert_eq!(applied.collections["a"].served, Some(Version(1)));
}

#[tokio::test]
async fn node_that_is_behind_goes_directly_to_newest_version() {
    let mut fixture = Fixture::in_memory();
    fixture.base("a", &rows(&[("0", Some(0))])).await;
    let node = fixture.node("node");
    node.caught_up(&fixture).await;
    let data_dir = node.stop().await;
    for version in 1..30 {
        fixture.change("a", &rows(&[(&version.to_string(), Some(version))])).await;
    }
    let node = fixture.node(data_dir.file_name().unwrap().to_str().unwrap());
    node.caught_up(&fixture).await;
    assert_eq!(node.shelf.rows("a").unwrap().len(), 30);
    assert_eq!(node.shelf.take_log(), ["build", "apply"], "its last state, then all changes at once");
    for n in 5..25 {
        let path = format!("catalog/{n:020}.json");
        assert_eq!(fixture.faulty.count(Request::Get, &path), 0, "{path} was read");
    }
}

#[tokio::test]
async fn node_serves_only_collections_of_its_region() {
    let mut fixture = Fixture::in_memory();
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    let node = fixture.node("node");
    node.caught_up(&fixture).await;

    let with_regions = |fixture: &Fixture, regions: &[&str]| {
        let mut next = fixture.latest("a");
        next.version = Version(next.version.0 + 1);
        next.run_id = run_id();
        next.serving.regions = Some(regions.iter().map(|region| RegionName::new(region).unwrap()).collect());
        next
    };
    let elsewhere = with_regions(&fixture, &["mars", "venus"]);
    fixture.announce(elsewhere).await;
    let applied = node
        .until("elsewhere", |applied| applied.collections.get("a").is_some_and(|status| !status.is_here()))
        .await;
    assert_eq!(applied.collections["a"].served, None);
    assert_eq!((node.shelf.rows("a"), node.shelf.other("a").as_deref()), (None, Some("mars,venus")));

    let back = with_regions(&fixture, &["venus", "local"]);
    fixture.announce(back).await;
    node.caught_up(&fixture).await;
    assert_eq!(node.shelf.rows("a"), Some(rows(&[("1", Some(1))])));
    assert_eq!(node.shelf.other("a"), None);

    // A starting node without local data of it is ready too.
    let elsewhere = with_regions(&fixture, &["mars"]);
    fixture.announce(elsewhere).await;
    let other = fixture.node("other");
    other.until("ready", |applied| applied.ready && applied.catalog == 4).await;
    assert_eq!(other.shelf.other("a").as_deref(), Some("mars"));
}

#[tokio::test]
async fn data_as_of_rises_without_a_new_version() {
    let mut fixture = Fixture::in_memory();
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    let node = fixture.node("node");
    node.caught_up(&fixture).await;
    assert_eq!(node.shelf.data_as_of("a"), Some(at(1)));
    for (seconds, expected) in [(50, 50), (40, 50), (60, 60)] {
        let fresh = Change::Freshness { name: name("a"), version: Version(1), data_as_of: at(seconds) };
        fixture.running.handle.announce(fresh).await.unwrap();
        node.until("fresh", |applied| applied.collections["a"].data_as_of == Some(at(expected))).await;
        assert_eq!(node.shelf.data_as_of("a"), Some(at(expected)));
    }
    // Merging changes nothing about it; a new version begins with its own.
    let base = fixture.latest("a").segments;
    fixture.announce(manifest(&name("a"), 1, base)).await;
    node.caught_up(&fixture).await;
    assert_eq!(node.shelf.data_as_of("a"), Some(at(60)));
    // Nor does a new base of the same content.
    let rewritten = rows(&[("1", Some(1)), ("2", None)]);
    let base = fixture.segment(&name("a"), SegmentKind::Base, 1, &rewritten).await;
    fixture.announce(manifest(&name("a"), 1, vec![base])).await;
    let run = fixture.latest("a").run_id;
    node.until("as fresh as before", |_| {
        let is_new = node.shelf.served(&name("a")).is_some_and(|manifest| manifest.run_id == run);
        is_new && node.shelf.data_as_of("a") == Some(at(60))
    })
    .await;
    fixture.change("a", &rows(&[("2", Some(2))])).await;
    node.caught_up(&fixture).await;
    assert_eq!(node.shelf.data_as_of("a"), Some(at(2)));
}

#[tokio::test]
async fn data_dated_in_the_future_counts_from_its_arrival() {
    let mut fixture = Fixture::in_memory();
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    let (directory, clock) = (tempfile::tempdir().unwrap(), Clock::fixed(at(1000)));
    let node = Node::start(directory.path(), fixture.catalog.clone(), fast(), clock.clone());
    node.caught_up(&fixture).await;
    let fresh = |seconds| Change::Freshness { name: name("a"), version: Version(1), data_as_of: at(seconds) };
    fixture.running.handle.announce(fresh(5000)).await.unwrap();
    let applied = node.until("fresh", |applied| applied.collections["a"].data_as_of > Some(at(1))).await;
    let one = &applied.collections["a"];
    assert_eq!((one.data_as_of, node.shelf.data_as_of("a")), (Some(at(1000)), Some(at(1000))));
    assert_eq!(one.problem.as_ref().unwrap().code.as_str(), "clock_ahead");
    // It is read again with every change of head, also when its time has come.
    for (seconds, other) in [(3000, "b"), (6000, "c")] {
        clock.set(at(seconds));
        fixture.base(other, &rows(&[("1", Some(1))])).await;
        node.caught_up(&fixture).await;
        assert_eq!(node.shelf.data_as_of("a"), Some(at(1000)), "{seconds}");
    }
    fixture.running.handle.announce(fresh(5500)).await.unwrap();
    node.until("a time that is right", |applied| {
        let one = &applied.collections["a"];
        one.data_as_of == Some(at(5500)) && one.problem.is_none()
    })
    .await;
    // The same of a new version.
    let mut next = fixture.latest("a");
    (next.version, next.run_id, next.data_as_of) = (Version(2), run_id(), at(90_000));
    fixture.announce(next).await;
    node.caught_up(&fixture).await;
    assert_eq!(node.shelf.data_as_of("a"), Some(at(6000)));
    node.until("dated ahead", |applied| applied.collections["a"].problem.is_some()).await;

    // A restart does not make it younger, whether the store answers or not.
    let data_dir = node.stop().await;
    for fault in [Fault::Fail, Fault::None] {
        clock.set(clock.now() + TimeDelta::seconds(1000));
        fixture.faulty.decide(move |_, _| fault);
        let catalog = catalog_over(Arc::clone(&fixture.faulty) as Arc<dyn ObjectStore>);
        let node = Node::start(&data_dir, catalog, fast(), clock.clone());
        let applied = node.until("ready", |applied| applied.ready).await;
        let one = &applied.collections["a"];
        assert_eq!((one.data_as_of, node.shelf.data_as_of("a")), (Some(at(6000)), Some(at(6000))));
        assert_eq!(one.problem.as_ref().unwrap().code.as_str(), "clock_ahead");
        node.stop().await;
    }
}

#[tokio::test]
async fn local_files_stay_while_a_collection_is_not_loaded() {
    let mut fixture = Fixture::in_memory();
    // Equal segments would be one local file.
    let of_b = rows(&[("2", Some(2))]);
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    fixture.base("b", &of_b).await;
    let clock = Clock::fixed(Clock::default().now());
    let pace = Pace { cleanup_interval: Duration::from_millis(20), ..fast() };
    let catalog = || catalog_over(Arc::clone(&fixture.faulty) as Arc<dyn ObjectStore>);
    let node = Node::start(&fixture.root.path().join("node"), catalog(), pace.clone(), clock.clone());
    node.caught_up(&fixture).await;
    let data_dir = node.stop().await;
    // The segments are old, and the manifest of b is neither here nor can it be fetched.
    clock.set(clock.now() + TimeDelta::hours(2));
    fs::remove_dir_all(data_dir.join("manifests")).unwrap();
    fixture.faulty.decide(|request, path| {
        let is_hidden = request == Request::Get && path.as_ref().starts_with("collections/b/");
        if is_hidden { Fault::Fail } else { Fault::None }
    });
    let node = Node::start(&data_dir, catalog(), pace, clock);
    node.until("a problem", |applied| {
        let one = |name: &str| applied.collections.get(name);
        one("a").is_some_and(|a| a.served.is_some()) && one("b").is_some_and(|b| b.problem.is_some())
    })
    .await;
    // Every cleanup saves the state.
    let saved = || {
        let files = fs::read_dir(data_dir.join("state")).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().modified().unwrap()).max()
    };
    tokio::time::timeout(DEADLINE, async {
        for _ in 0..4 {
            let before = saved();
            while saved() == before {
                tokio::task::yield_now().await;
            }
        }
    })
    .await
    .expect("cleanups");
    for collection in ["a", "b"] {
        let segment = fixture.latest(collection).segments[0].sha256;
        assert!(data_dir.join(format!("segments/{segment}.arrow")).exists(), "{collection}");
    }
    fixture.faulty.heal();
    node.caught_up(&fixture).await;
    assert_eq!(node.shelf.rows("b"), Some(of_b));
}

#[tokio::test]
async fn nudge_polls_at_once() {
    let mut fixture = Fixture::in_memory();
    let catalog = catalog_over(Arc::clone(&fixture.faulty) as Arc<dyn ObjectStore>);
    let pace = Pace { poll: Duration::from_hours(1), probe: Duration::from_hours(1), ..fast() };
    let node = Node::start(&fixture.root.path().join("node"), catalog, pace, Clock::default());
    node.until("ready", |applied| applied.ready).await;
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    node.handle.nudge();
    node.caught_up(&fixture).await;
}

#[tokio::test]
async fn unreferenced_local_files_are_deleted() {
    let mut fixture = Fixture::in_memory();
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    fixture.keys().await;
    let clock = Clock::fixed(Clock::default().now());
    let pace = Pace { cleanup_interval: Duration::from_millis(20), ..fast() };
    let faulty = Arc::clone(&fixture.faulty);
    let catalog = || catalog_over(Arc::clone(&faulty) as Arc<dyn ObjectStore>);
    let node = Node::start(&fixture.root.path().join("node"), catalog(), pace.clone(), clock.clone());
    node.caught_up(&fixture).await;
    let old = fixture.latest("a").segments[0].sha256;
    fixture.base("a", &rows(&[("2", Some(2))])).await;
    fixture.keys().await;
    node.caught_up(&fixture).await;
    clock.set(clock.now() + TimeDelta::hours(2));
    let files = |directory: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(node.data_dir.join(directory)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    tokio::time::timeout(DEADLINE, async {
        while ["segments", "manifests"].iter().any(|directory| files(directory).len() != 1) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("old files go");
    assert!(!files("segments").contains(&format!("{old}.arrow")));

    // The remaining files are enough to start without the catalog.
    let data_dir = node.stop().await;
    fixture.faulty.decide(|_, _| Fault::Fail);
    let node = Node::start(&data_dir, catalog(), pace, clock);
    let applied = node.until("ready", |applied| applied.ready).await;
    assert_eq!(applied.keys_revision, 2);
    assert_eq!(node.shelf.rows("a"), Some(rows(&[("2", Some(2))])));
}
