//! A thousand collections that are synced every minute for an hour, in simulated time: `cargo bench --bench scale`.
//!
//! Announcer, retention and replica are the real ones, on an object store in memory whose clock is simulated. The
//! clock advances when every task waits, so that an hour takes minutes. Each run changes one record of its collection:
//! an unchanged run writes no object. `COLLECTIONS` and `MINUTES` are variables.

// Code of the tests, which use more of it.
#[allow(dead_code, clippy::unwrap_used)]
#[path = "../../tests/it/support/aged_store.rs"]
mod aged_store;
mod counted;
mod lanes;

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Arc, atomic::AtomicU64, atomic::Ordering},
    time::{Duration, Instant as RealInstant},
};

use aged_store::AgedStore;
use counted::{Counted, Counts};
use lanes::{Lane, Publishing};
use larder::{
    cache::Cache,
    catalog::{Announcer, AnnouncerPace, Catalog, Retention, RetentionRules, SigningKeys},
    disk::SegmentDirectory,
    domain::{id::NodeId, label::Label, name::RegionName},
    replica::{CacheTarget, Pace, Replica, Settings},
    status::{Board, Identity},
    store::Store,
    support::{clock::Clock, random, shutdown::Shutdown},
};
use object_store::memory::InMemory;
use tokio::time::{Instant, sleep};

/// Time between two runs of a sync.
const EVERY: Duration = Duration::from_mins(1);
/// The default of `[storage] poll_interval`.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The default of `[storage] keep_versions`.
const KEEP_VERSIONS: usize = 10;
/// A round trip to the store, for the time of housekeeping.
const ROUND_TRIP: Duration = Duration::from_millis(20);
/// Longest round of housekeeping.
const ROUND_MAX: Duration = Duration::from_mins(8);
/// Steps of the simulated clock.
const STEP: Duration = Duration::from_millis(100);

fn variable(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

fn catalog(store: &Arc<Counted>) -> Catalog {
    Catalog::new(Store::from_object_store(Arc::clone(store) as _), SigningKeys::default())
}

fn main() {
    let (collections, minutes) = (variable("COLLECTIONS", 1000), variable("MINUTES", 60));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(simulate(collections, minutes));
}

async fn simulate(collections: usize, minutes: usize) {
    let began = RealInstant::now();
    let root = tempfile::tempdir().expect("a directory");
    let store = AgedStore::new(Arc::new(InMemory::new()));
    let clock = store.clock.clone();
    let (publisher, follower) = (Counted::new(store.clone()), Counted::new(store.clone()));
    let stop = Shutdown::new();
    tokio::spawn(advance(clock.clone(), stop.clone()));

    let (announcer, handle) =
        Announcer::new(catalog(&publisher), clock.clone(), None, AnnouncerPace::default());
    let announcing = tokio::spawn(announcer.run(stop.clone()));
    let node = root.path().join("node");
    let (replica, board) = replica(&follower, &node, &clock);
    let following = tokio::spawn(replica.run(stop.clone()));
    let saves = Arc::new(AtomicU64::new(0));
    tokio::spawn(count_saves(node.join("state/catalog.json"), Arc::clone(&saves), stop.clone()));

    let directory = SegmentDirectory::open(&root.path().join("publisher"), clock.clone());
    let publishing = Arc::new(Publishing {
        catalog: catalog(&publisher),
        directory: directory.expect("a directory"),
        handle,
        clock: clock.clone(),
    });
    let first = Instant::now();
    let lanes: Vec<_> = (0..collections)
        .map(|number| {
            let begin = first
                + EVERY * u32::try_from(number).expect("few") / u32::try_from(collections).expect("few");
            let lane = Lane::new(&publishing, number);
            tokio::spawn(lane.run(begin, EVERY, u32::try_from(minutes).expect("few")))
        })
        .collect();
    for lane in lanes {
        lane.await.expect("a lane");
    }
    let newest = publishing.catalog.newest(None).await.expect("a catalog").expect("a document");
    let is_caught_up = |status: &larder::status::NodeStatus| status.catalog == newest.n;
    board.subscribe().wait_for(is_caught_up).await.expect("a replica");
    let state_bytes = fs::metadata(node.join("state/catalog.json")).map_or(0, |file| file.len());
    stop.cancel();
    announcing.await.expect("the announcer");
    following.await.expect("the replica");

    println!(
        "## {collections} collections, {minutes} minutes, simulated in {} s, of which this process took {} s\n",
        began.elapsed().as_secs(),
        processor_seconds()
    );
    print_counts("publisher", &publisher.take());
    print_counts("replica", &follower.take());
    let document = serde_json::to_vec(&newest).expect("JSON").len();
    println!("| announcement document | {document} bytes, number {} |", newest.n);
    println!("| replica state writes | {} of {state_bytes} bytes |\n", saves.load(Ordering::Relaxed));
    // The documents are all the announcements of an hour.
    keep_house(&store, &clock, "at the end").await;
    store.advance_hours(25);
    keep_house(&store, &clock, "25 hours later").await;
}

/// Lets the clock of store and processes follow the simulated time.
async fn advance(clock: Clock, stop: Shutdown) {
    let (from, began) = (clock.now(), Instant::now());
    while !stop.is_cancelled() {
        clock.set(from + began.elapsed());
        sleep(STEP).await;
    }
}

fn replica(store: &Arc<Counted>, data_dir: &Path, clock: &Clock) -> (Replica<CacheTarget>, Board) {
    let region = RegionName::new("local").expect("a name");
    let settings =
        Settings { region: region.clone(), data_dir: data_dir.to_owned(), poll_interval: POLL_INTERVAL };
    let segments = SegmentDirectory::open(&data_dir.join("segments"), clock.clone()).expect("a directory");
    let identity = Identity {
        node: NodeId::from_uuid(random::uuid()),
        name: Label::fitted("node"),
        region,
        roles: vec![Label::fitted("replica")],
    };
    let board = Board::new(identity, clock.now());
    let target = Arc::new(CacheTarget::new(Cache::new()));
    let pace = Pace::new(POLL_INTERVAL);
    let (replica, _) =
        Replica::open(&settings, pace, catalog(store), segments, target, clock.clone(), board.clone())
            .expect("a replica");
    (replica, board)
}

/// Counts how often the file is replaced, as far as a look at every step of the clock tells.
async fn count_saves(path: std::path::PathBuf, saves: Arc<AtomicU64>, stop: Shutdown) {
    let mut last = 0;
    while !stop.is_cancelled() {
        let inode = fs::metadata(&path).map_or(0, |file| file.ino());
        if inode != last {
            last = inode;
            saves.fetch_add(1, Ordering::Relaxed);
        }
        sleep(STEP / 4).await;
    }
}

/// Runs rounds of retention until nothing is left, and prints each.
async fn keep_house(store: &AgedStore, clock: &Clock, when: &str) {
    let counted = Counted::new(store.clone().with_latency(ROUND_TRIP));
    let mut retention = Retention::new(catalog(&counted));
    let rules = RetentionRules { keep_versions: KEEP_VERSIONS, ..RetentionRules::default() };
    for round in 1.. {
        let (simulated, real, from) = (Instant::now(), processor_seconds(), clock.now());
        let done = retention.run(None, &rules, ROUND_MAX).await.expect("a round");
        clock.set(from + simulated.elapsed());
        println!(
            "### housekeeping {when}, round {round}: {} s with {ROUND_TRIP:?} a request, {:.1} s of a core; {} objects of \
             {} bytes deleted, {} collections left\n",
            simulated.elapsed().as_secs(),
            processor_seconds() - real,
            done.objects,
            done.bytes,
            done.collections_left
        );
        print_counts("housekeeping", &counted.take());
        if done.collections_left == 0 {
            break;
        }
    }
}

fn print_counts(who: &str, counts: &Counts) {
    println!("| {who} | requests | MB |\n|---|---|---|");
    for ((request, kind), (requests, bytes)) in counts {
        println!("| {request} {kind} | {requests} | {:.1} |", *bytes as f64 / 1e6);
    }
    println!();
}

/// Processor time of this process.
fn processor_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
