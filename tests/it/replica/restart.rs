//! Starts from local files: without the catalog, after a kill, with damaged files.

use std::{fs, path::Path, sync::Arc, time::Duration};

use larder::{
    domain::manifest::Version, replica::Pace, status::NodeStatus, store::Location, support::clock::Clock,
};
use object_store::ObjectStore;

use super::fixture::{Fixture, Node, fast, rows};
use crate::support::{
    catalog::{catalog_over, open_catalog},
    faulty_store::{Fault, Request},
};

/// The only files of these names, for damaging them.
fn damage(data_dir: &Path, directory: &str, edit: impl Fn(&mut Vec<u8>)) {
    let mut found = 0;
    for entry in fs::read_dir(data_dir.join(directory)).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        edit(&mut bytes);
        fs::write(&path, bytes).unwrap();
        found += 1;
    }
    assert!(found > 0, "{directory} has files");
}

#[tokio::test]
async fn collection_recreated_during_a_start_does_not_delay_readiness() {
    let mut fixture = Fixture::in_memory();
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    fixture.change("a", &rows(&[("2", Some(2))])).await;
    fixture
        .faulty
        .decide(|_, path| if path.as_ref().contains("segment") { Fault::Hide } else { Fault::None });
    let node = fixture.node("node");
    node.until("asked for version 2", |applied| applied.catalog == 2).await;
    fixture.remove("a").await;
    fixture.base("a", &rows(&[("9", Some(9))])).await;
    fixture.faulty.heal();
    node.caught_up(&fixture).await;
    node.until("ready", |applied| applied.ready).await;
}

#[tokio::test]
async fn node_starts_from_local_state_without_its_store() {
    let mut fixture = Fixture::in_directory();
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    fixture.change("a", &rows(&[("2", Some(2))])).await;
    fixture.base("b", &rows(&[("b", Some(7))])).await;
    fixture.keys().await;
    let node = fixture.node("node");
    let before = node.caught_up(&fixture).await;
    let keys = node.shelf.keys();
    let data_dir = node.stop().await;
    fs::remove_dir_all(fixture.root.path().join("store")).unwrap();

    for _ in 0..2 {
        // The directory is missing, and the node does not create it.
        fixture.faulty.decide(|_, _| Fault::Fail);
        let node = fixture.node(data_dir.file_name().unwrap().to_str().unwrap());
        let applied = node.until("ready", |applied| applied.ready).await;
        assert_eq!((applied.catalog, applied.deployment), (before.catalog, before.deployment));
        assert_eq!(node.shelf.keys(), keys);
        assert!(applied.keys_at.is_some(), "it says how old its keys are");
        assert_eq!(applied.polled_at, None);
        assert_eq!(node.shelf.rows("a"), Some(rows(&[("1", Some(1)), ("2", Some(2))])));
        assert_eq!(node.shelf.rows("b"), Some(rows(&[("b", Some(7))])));
        node.stop().await;
    }

    // An emptied store is not a new catalog: the node serves its local state and reports the missing object.
    let path = fixture.root.path().join("store");
    let location = Location::Directory(path);
    let empty = open_catalog(&location);
    let node = Node::start(&data_dir, empty, fast(), Clock::default());
    let applied = node.until("ready", |applied| applied.ready && applied.problem.is_some()).await;
    assert_eq!((applied.catalog, applied.problem.unwrap().code.as_str()), (before.catalog, "object_missing"));
    assert_eq!(node.shelf.rows("b"), Some(rows(&[("b", Some(7))])));
}

/// The time limit is longer than any test, so only the order of events is asserted.
#[tokio::test]
async fn failing_store_is_not_waited_for_and_silent_one_only_up_to_the_limit() {
    let mut fixture = Fixture::in_memory();
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    let node = fixture.node("node");
    node.caught_up(&fixture).await;
    let data_dir = node.stop().await;
    let start = |store_wait_max| {
        let catalog = catalog_over(Arc::clone(&fixture.faulty) as Arc<dyn ObjectStore>);
        Node::start(&data_dir, catalog, Pace { store_wait_max, ..fast() }, Clock::default())
    };
    let never = Duration::from_hours(1);
    fixture.faulty.decide(|_, _| Fault::Fail);
    let node = start(never);
    node.until("ready", |applied| applied.ready).await;
    assert_eq!(node.shelf.rows("a"), Some(rows(&[("1", Some(1))])));
    node.stop().await;

    // While the node waits for the store, it loads all local collections.
    fixture.faulty.decide(|_, _| Fault::Hold);
    let node = start(never);
    let is_served = |applied: &NodeStatus| applied.collections.values().any(|one| one.served.is_some());
    let applied = node.until("loaded", is_served).await;
    assert!(!applied.ready && node.shelf.rows("a").is_some());
    node.stop().await;
    // The poll is never answered and delays nothing.
    let asked = fixture.faulty.count(Request::Get, "head");
    let node = start(Duration::from_millis(10));
    node.until("ready", |applied| applied.ready).await;
    assert_eq!(fixture.faulty.count(Request::Get, "head"), asked + 1);
    node.stop().await;
}

#[tokio::test]
async fn node_without_state_waits_for_its_store() {
    let mut fixture = Fixture::in_memory();
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    fixture.faulty.decide(|_, _| Fault::Fail);
    let node = fixture.node("node");
    // Well past the time limit of a node with local state.
    let problem = node.until("trying", |applied| applied.problem.is_some()).await;
    assert_eq!(problem.problem.unwrap().code, "store_unavailable");
    let asked = fixture.faulty.count(Request::Get, "head");
    while fixture.faulty.count(Request::Get, "head") < asked + 30 {
        tokio::task::yield_now().await;
    }
    assert!(!node.board.read().ready);
    fixture.faulty.heal();
    node.until("ready", |applied| applied.ready).await;
    assert_eq!(node.shelf.rows("a"), Some(rows(&[("1", Some(1))])));
}

/// It would answer every look-up as if there were no record.
#[tokio::test]
async fn node_that_has_lost_its_segments_is_not_ready_without_its_store() {
    let mut fixture = Fixture::in_memory();
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    let node = fixture.node("node");
    node.caught_up(&fixture).await;
    node.stop().await;
    fs::remove_dir_all(fixture.root.path().join("node/segments")).unwrap();
    fixture.faulty.decide(|_, _| Fault::Fail);
    let node = fixture.node("node");
    node.until("trying", |applied| applied.problem.is_some()).await;
    let asked = fixture.faulty.count(Request::Get, "head");
    while fixture.faulty.count(Request::Get, "head") < asked + 30 {
        tokio::task::yield_now().await;
    }
    assert!(!node.board.read().ready && node.shelf.rows("a").is_none());
    fixture.faulty.heal();
    node.until("ready", |applied| applied.ready).await;
    assert_eq!(node.shelf.rows("a"), Some(rows(&[("1", Some(1))])));
}

#[tokio::test]
async fn starting_node_catches_up_before_it_is_ready() {
    let mut fixture = Fixture::in_memory();
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    fixture.keys().await;
    let node = fixture.node("node");
    node.caught_up(&fixture).await;
    let data_dir = node.stop().await;
    fixture.change("a", &rows(&[("2", Some(2))])).await;
    fixture.keys().await;
    let node = fixture.node(data_dir.file_name().unwrap().to_str().unwrap());
    let applied = node.until("ready", |applied| applied.ready).await;
    assert_eq!(applied.keys_revision, 2);
    assert_eq!(applied.collections["a"].served, Some(Version(2)));
    assert_eq!(node.shelf.rows("a"), Some(rows(&[("1", Some(1)), ("2", Some(2))])));
}

#[tokio::test]
async fn damaged_local_files_are_fetched_again() {
    type Damage = fn(&mut Vec<u8>);
    let flip: Damage = |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    };
    let tear: Damage = |bytes| bytes.truncate(bytes.len() / 2);
    let empty: Damage = Vec::clear;
    let mut fixture = Fixture::in_memory();
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    fixture.change("a", &rows(&[("2", Some(2))])).await;
    fixture.keys().await;
    for directory in ["segments", "manifests", "state"] {
        for edit in [flip, tear, empty] {
            let node = fixture.node("node");
            node.caught_up(&fixture).await;
            let data_dir = node.stop().await;
            damage(&data_dir, directory, edit);
            let node = fixture.node("node");
            node.until("ready", |applied| applied.ready).await;
            node.caught_up(&fixture).await;
            assert_eq!(node.shelf.rows("a"), Some(rows(&[("1", Some(1)), ("2", Some(2))])), "{directory}");
            let data_dir = node.stop().await;

            // The repaired files are complete: the node starts without the store again.
            fixture.faulty.decide(|_, _| Fault::Fail);
            let node = fixture.node(data_dir.file_name().unwrap().to_str().unwrap());
            let applied = node.until("ready", |applied| applied.ready).await;
            assert_eq!(applied.keys_revision, 1, "{directory}");
            assert_eq!(node.shelf.rows("a"), Some(rows(&[("1", Some(1)), ("2", Some(2))])));
            node.stop().await;
            fixture.faulty.heal();
        }
    }
}

#[tokio::test]
async fn killed_node_starts_from_its_saved_state() {
    let mut fixture = Fixture::in_memory();
    fixture.base("a", &rows(&[("0", Some(0))])).await;
    let mut expected = rows(&[("0", Some(0))]);
    for round in 1..15_u32 {
        let node = fixture.node("node");
        node.caught_up(&fixture).await;
        let change = rows(&[(&round.to_string(), Some(round))]);
        fixture.change("a", &change).await;
        expected.extend(change);
        // Killed between the poll and the end of the save.
        for _ in 0..round * 3 {
            tokio::task::yield_now().await;
        }
        node.kill().await;
        let state = fixture.root.path().join("node/state/catalog.json");
        if !state.exists() {
            continue;
        }
        fixture.faulty.decide(|_, _| Fault::Fail);
        let node = fixture.node("node");
        node.until("ready", |applied| applied.ready).await;
        let served = node.shelf.rows("a").expect("what was saved is served");
        assert!(served.iter().all(|(key, value)| expected.get(key) == Some(value)));
        node.stop().await;
        fixture.faulty.heal();
    }
    let node = fixture.node("node");
    node.caught_up(&fixture).await;
    assert_eq!(node.shelf.rows("a"), Some(expected));
}

/// A key that was revoked since would be accepted again.
#[tokio::test]
async fn older_key_set_on_disk_is_not_used() {
    let mut fixture = Fixture::in_memory();
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    fixture.keys().await;
    let keys_file = fixture.root.path().join("node/state/keys.json");
    let node = fixture.node("node");
    node.until("keys", |applied| applied.keys_revision == 1).await;
    node.stop().await;
    let older = fs::read(&keys_file).unwrap();
    fixture.keys().await;
    let node = fixture.node("node");
    node.until("keys", |applied| applied.keys_revision == 2).await;
    node.stop().await;

    fixture.faulty.decide(|_, _| Fault::Fail);
    for (file, revision) in [(fs::read(&keys_file).unwrap(), 2), (older, 0)] {
        fs::write(&keys_file, file).unwrap();
        let node = fixture.node("node");
        let applied = node.until("ready", |applied| applied.ready || applied.problem.is_some()).await;
        assert_eq!(applied.keys_revision, revision);
        node.stop().await;
    }
    fixture.faulty.heal();
    let node = fixture.node("node");
    node.until("keys", |applied| applied.keys_revision == 2).await;
}

#[tokio::test]
async fn stop_saves_what_is_served() {
    let mut fixture = Fixture::in_memory();
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    let node = fixture.node("node");
    node.caught_up(&fixture).await;
    // Sooner after the last save than the next one may be.
    fixture.change("a", &rows(&[("2", Some(2))])).await;
    node.caught_up(&fixture).await;
    node.stop().await;
    fixture.faulty.decide(|_, _| Fault::Fail);
    let node = fixture.node("node");
    node.until("ready", |applied| applied.ready).await;
    assert_eq!(node.shelf.rows("a"), Some(rows(&[("1", Some(1)), ("2", Some(2))])));
}

#[tokio::test]
async fn store_of_another_deployment_is_refused_and_last_state_served() {
    let mut fixture = Fixture::in_memory();
    fixture.base("a", &rows(&[("1", Some(1))])).await;
    let node = fixture.node("node");
    node.caught_up(&fixture).await;
    let data_dir = node.stop().await;

    let mut other = Fixture::in_memory();
    for _ in 0..3 {
        other.base("a", &rows(&[("stranger", Some(1))])).await;
    }
    other.keys().await;
    let catalog = catalog_over(Arc::clone(&other.faulty) as Arc<dyn ObjectStore>);
    let node = Node::start(&data_dir, catalog, fast(), Clock::default());
    let applied =
        node.until("ready, and says so", |applied| applied.ready && applied.problem.is_some()).await;
    assert_eq!(applied.problem.unwrap().code, "foreign_catalog");
    assert_eq!((applied.catalog, applied.keys_revision), (1, 0));
    assert_eq!(node.shelf.rows("a"), Some(rows(&[("1", Some(1))])));
}
