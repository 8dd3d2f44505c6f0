//! The disk budget of local segments: unneeded segments are evicted first, then a new version is refused.

use std::{fs, path::Path, sync::Arc};

use chrono::TimeDelta;
use larder::{
    catalog::Catalog,
    domain::{
        digest::Digest,
        manifest::{SegmentKind, Version},
    },
    status::NodeStatus,
    support::clock::Clock,
};
use object_store::ObjectStore;

use super::fixture::{Fixture, Node, Rows, fast, rows};
use crate::support::{
    catalog::{catalog_over, manifest, name},
    faulty_store::Fault,
    process::wait_until,
};

/// Rows that take about `bytes` bytes in a segment of these tests.
fn sized(bytes: usize) -> Rows {
    rows(&[(&"x".repeat(bytes), Some(1))])
}

fn bytes_in(data_dir: &Path) -> u64 {
    let files = fs::read_dir(data_dir.join("segments")).unwrap();
    // A temporary file may be renamed meanwhile.
    files.filter_map(|file| Some(file.unwrap().metadata().ok()?.len())).sum()
}

/// Starts a node with a disk budget of 2,000 bytes.
fn bounded(fixture: &Fixture, catalog: Catalog, clock: &Clock) -> Node {
    let pace = (fast(), clock.clone());
    Node::start_bounded("local", &fixture.root.path().join("node"), catalog, pace, 2000)
}

fn is_full(applied: &NodeStatus) -> bool {
    let problem = applied.collections.get("a").and_then(|one| one.problem.as_ref());
    problem.is_some_and(|problem| problem.code == "segments_full")
}

#[tokio::test]
async fn version_beyond_disk_budget_is_refused_and_current_one_survives_a_restart() {
    // Objects of a remote store are stored when fetched, those of a directory once they are served.
    for mut fixture in [Fixture::in_memory(), Fixture::in_directory()] {
        let clock = Clock::fixed(Clock::default().now());
        let far = catalog_over(Arc::clone(&fixture.faulty) as Arc<dyn ObjectStore>);
        let catalog = if fixture.catalog.store().is_local() { fixture.catalog.clone() } else { far };
        fixture.base("a", &sized(1200)).await;
        let node = bounded(&fixture, catalog.clone(), &clock);
        node.caught_up(&fixture).await;
        // A save copies the segments of a directory.
        wait_until("its state saved", async || {
            node.data_dir.join("state/catalog.json").exists() && bytes_in(&node.data_dir) >= 1200
        })
        .await;

        // The served and the new version do not fit together. The served one is never evicted, whatever its age.
        clock.set(clock.now() + TimeDelta::hours(2));
        fixture.base("a", &sized(1300)).await;
        let applied = node.until("full", is_full).await;
        assert_eq!((applied.collections["a"].served, applied.ready), (Some(Version(1)), true));
        let message = applied.collections["a"].problem.as_ref().unwrap().message.clone();
        assert!(message.contains("2000 bytes ([node] segments_bytes_max)"), "{message}");
        let data_dir = node.stop().await;
        assert!(bytes_in(&data_dir) <= 2000);

        // The next start serves it without the catalog.
        fixture.faulty.decide(|_, _| Fault::Fail);
        let cut = catalog_over(Arc::clone(&fixture.faulty) as Arc<dyn ObjectStore>);
        let node = bounded(&fixture, cut, &clock);
        node.until("ready", |applied| applied.ready).await;
        assert_eq!(node.shelf.rows("a"), Some(sized(1200)));
        node.stop().await;
        fixture.faulty.heal();

        // A version that fits is applied. Segments that are then unneeded make space for the next.
        fixture.base("a", &sized(300)).await;
        let node = bounded(&fixture, catalog, &clock);
        node.caught_up(&fixture).await;
        clock.set(clock.now() + TimeDelta::minutes(2));
        fixture.base("a", &sized(1500)).await;
        node.caught_up(&fixture).await;
        assert_eq!(node.shelf.rows("a"), Some(sized(1500)));
        let data_dir = node.stop().await;
        assert!(bytes_in(&data_dir) <= 2000, "{}", bytes_in(&data_dir));
    }
}

#[tokio::test]
async fn unneeded_segments_are_evicted_first() {
    let mut fixture = Fixture::in_memory();
    let clock = Clock::default();
    fixture.base("a", &sized(1200)).await;
    let directory = fixture.root.path().join("node/segments");
    fs::create_dir_all(&directory).unwrap();
    let old = clock.now() - TimeDelta::minutes(5);
    let leave = |name: &str, bytes: usize, modified: chrono::DateTime<chrono::Utc>| {
        let path = directory.join(name);
        fs::write(&path, vec![0; bytes]).unwrap();
        fs::File::open(&path).unwrap().set_modified(modified.into()).unwrap();
        path
    };
    let named = |number: u8| format!("{}.arrow", Digest::of(&[number]));
    let oldest = leave(&named(1), 900, old - TimeDelta::minutes(1));
    let older = leave(&named(2), 500, old);
    // The first was fetched recently and may be about to be read; the second is not a segment.
    let fresh = leave(&named(3), 100, clock.now());
    let foreign = leave("notes.txt", 5000, old);
    let catalog = catalog_over(Arc::clone(&fixture.faulty) as Arc<dyn ObjectStore>);
    let node = bounded(&fixture, catalog, &clock);
    node.caught_up(&fixture).await;
    assert_eq!([&oldest, &older, &fresh, &foreign].map(|path| path.exists()), [false, true, true, true]);
    node.stop().await;
}

fn local(node: &Node, fixture: &Fixture) -> std::path::PathBuf {
    node.data_dir.join(format!("segments/{}.arrow", fixture.latest("a").segments[0].sha256))
}

/// What a node serves stays, also while its state cannot be saved.
#[tokio::test]
async fn served_segments_are_not_evicted_before_they_are_in_the_saved_state() {
    let mut fixture = Fixture::in_memory();
    let clock = Clock::fixed(Clock::default().now());
    fs::create_dir_all(fixture.root.path().join("node/state/catalog.json.tmp")).unwrap();
    fixture.base("a", &sized(1200)).await;
    let catalog = catalog_over(Arc::clone(&fixture.faulty) as Arc<dyn ObjectStore>);
    let node = bounded(&fixture, catalog, &clock);
    node.caught_up(&fixture).await;
    let served = local(&node, &fixture);
    clock.set(clock.now() + TimeDelta::hours(2));
    fixture.base("a", &sized(1300)).await;
    node.until("full", is_full).await;
    assert!(served.exists());
    node.stop().await;
}

#[tokio::test]
async fn segments_that_a_new_version_takes_over_are_not_evicted_for_its_others() {
    let mut fixture = Fixture::in_memory();
    let clock = Clock::fixed(Clock::default().now());
    fixture.base("a", &sized(900)).await;
    let first = fixture.latest("a").segments[0].clone();
    let catalog = catalog_over(Arc::clone(&fixture.faulty) as Arc<dyn ObjectStore>);
    let node = bounded(&fixture, catalog, &clock);
    node.caught_up(&fixture).await;
    let kept = local(&node, &fixture);
    fixture.base("a", &sized(800)).await;
    node.caught_up(&fixture).await;
    // The second one is served, and the first one is needed again.
    clock.set(clock.now() + TimeDelta::minutes(2));
    let a = name("a");
    let changes = fixture.segment(&a, SegmentKind::Changes, 3, &sized(400)).await;
    fixture.announce(manifest(&a, 3, vec![first, changes])).await;
    node.until("full", is_full).await;
    assert!(kept.exists());
    node.stop().await;
}

#[tokio::test]
async fn segments_of_a_dropped_collection_make_space() {
    let mut fixture = Fixture::in_memory();
    let clock = Clock::fixed(Clock::default().now());
    fixture.base("a", &sized(1200)).await;
    let catalog = catalog_over(Arc::clone(&fixture.faulty) as Arc<dyn ObjectStore>);
    let node = bounded(&fixture, catalog, &clock);
    node.caught_up(&fixture).await;
    let dropped = local(&node, &fixture);
    fixture.remove("a").await;
    node.until("dropped", |applied| applied.collections.is_empty()).await;
    clock.set(clock.now() + TimeDelta::minutes(2));
    fixture.base("b", &sized(1300)).await;
    node.caught_up(&fixture).await;
    assert!(!dropped.exists());
    node.stop().await;
}
