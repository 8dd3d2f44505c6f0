//! A new base with the served records is exchanged for the old one in place, by the real cache.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use larder::{
    cache::{Cache, Collection, Lookup, Slot},
    catalog::{Catalog, SegmentDraft},
    disk::SegmentDirectory,
    domain::{
        manifest::{Manifest, SegmentKind, SegmentReference, Version},
        record::{IndexValues, RecordFlags},
    },
    replica::{CacheTarget, Replica, Settings},
    segment::{self, Codec, Entry, SegmentBuilder, SegmentHeader},
    status::Board,
    support::{clock::Clock, shutdown::Shutdown},
};
use tokio::time::timeout;

use super::fixture::{Fixture, fast};
use crate::support::{
    board::board,
    catalog::{DEADLINE, catalog_over, manifest, name, run_id},
    faulty_store::{Fault, Request},
};

type People = BTreeMap<String, String>;

/// Publishes a segment of these records.
async fn publish(
    catalog: &Catalog,
    directory: &SegmentDirectory,
    kind: SegmentKind,
    version: u64,
    records: &[(&String, &String)],
) -> SegmentReference {
    let header = SegmentHeader {
        collection: name("a"),
        kind,
        secondary: Vec::new(),
        codec: Codec::Plain,
        embed_dictionary: false,
    };
    let mut builder = SegmentBuilder::new(header);
    let (values, flags) = (IndexValues::default(), RecordFlags::default());
    for (key, body) in records {
        let fingerprint = segment::fingerprint(7, body.as_bytes(), key, &values, flags);
        let body = Some(body.as_bytes());
        builder.push(Entry { key, fingerprint, flags, body, values: &values }).unwrap();
    }
    let mut file = Vec::new();
    builder.finish(&mut file).unwrap();
    let draft = SegmentDraft {
        collection: name("a"),
        run_id: run_id(),
        number: 0,
        rows: records.len() as u64,
        deletes: 0,
        kind,
        version: Version(version),
    };
    catalog.publish_segment(directory, &draft, file.into()).await.unwrap()
}

/// A base of `people` in `parts` segments.
async fn base(fixture: &Fixture, version: u64, people: &People, parts: usize) -> Manifest {
    let records: Vec<_> = people.iter().collect();
    let mut segments = Vec::new();
    for records in records.chunks(records.len().div_ceil(parts)) {
        let published =
            publish(&fixture.catalog, &fixture.segments, SegmentKind::Base, version, records).await;
        segments.push(published);
    }
    manifest(&name("a"), version, segments)
}

struct Node {
    cache: Cache,
    board: Board,
    shutdown: Shutdown,
}

impl Node {
    fn start(fixture: &Fixture) -> Self {
        let (pace, clock, data_dir) = (fast(), Clock::default(), fixture.root.path().join("node"));
        let region = larder::domain::name::RegionName::new("local").unwrap();
        let settings = Settings { region, data_dir: data_dir.clone(), poll_interval: pace.poll };
        let segments = SegmentDirectory::open(&data_dir.join("segments"), clock.clone()).unwrap();
        let cache = Cache::new();
        let target = Arc::new(CacheTarget::new(cache.clone()));
        let catalog = catalog_over(fixture.faulty.clone());
        let board = board("local", clock.now());
        let opened = Replica::open(&settings, pace, catalog, segments, target, clock, board.clone());
        let (replica, _) = opened.unwrap();
        let shutdown = Shutdown::new();
        tokio::spawn(replica.run(shutdown.clone()));
        Self { cache, board, shutdown }
    }

    /// The collection, once it serves `manifest`.
    async fn serves(&self, manifest: &Manifest) -> Arc<Collection> {
        let mut status = self.board.subscribe();
        let is_served = || match self.cache.collection("a") {
            Slot::Loaded(collection) => {
                (collection.state().manifest.run_id == manifest.run_id).then_some(collection)
            }
            _ => None,
        };
        let wait = async {
            loop {
                if let Some(collection) = is_served() {
                    return collection;
                }
                status.changed().await.unwrap();
            }
        };
        timeout(DEADLINE, wait).await.expect("the manifest is served")
    }
}

fn check(collection: &Collection, people: &People) {
    let mut out = Vec::new();
    for (key, body) in people {
        assert!(matches!(collection.lookup("id", key, &mut out), Lookup::Hit { .. }), "{key}");
        assert_eq!(out, body.as_bytes());
    }
    assert_eq!(collection.records(), people.len() as u64);
}

fn people(count: usize) -> People {
    (0..count).map(|n| (n.to_string(), format!("{{\"name\":\"{n}\"}}"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rewritten_base_is_exchanged_in_place_and_other_bases_are_built() {
    let mut fixture = Fixture::in_memory();
    let mut people = people(100);
    let first = base(&fixture, 1, &people, 6).await;
    fixture.announce(first.clone()).await;
    let node = Node::start(&fixture);
    let built = node.serves(&first).await;
    check(&built, &people);

    let rewritten = base(&fixture, 1, &people, 7).await;
    fixture.announce(rewritten.clone()).await;
    let exchanged = node.serves(&rewritten).await;
    assert!(Arc::ptr_eq(&built, &exchanged), "the same collection serves from other segments");
    assert_eq!(exchanged.segments().len(), 7);
    check(&exchanged, &people);

    // The catalog states that the records are the served ones, and they are not.
    people.insert("99".to_owned(), "{\"name\":\"another\"}".to_owned());
    let other = base(&fixture, 1, &people, 7).await;
    fixture.announce(other.clone()).await;
    let rebuilt = node.serves(&other).await;
    assert!(!Arc::ptr_eq(&exchanged, &rebuilt));
    check(&rebuilt, &people);

    // A new version is another content.
    people.remove("5");
    let next = base(&fixture, 2, &people, 7).await;
    fixture.announce(next.clone()).await;
    let swapped = node.serves(&next).await;
    check(&swapped, &people);
    node.shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_exchange_is_finished_later_and_readers_miss_nothing() {
    let mut fixture = Fixture::in_memory();
    let people = people(100);
    let first = base(&fixture, 1, &people, 6).await;
    fixture.announce(first.clone()).await;
    let node = Node::start(&fixture);
    let built = node.serves(&first).await;

    let rewritten = base(&fixture, 1, &people, 8).await;
    let fifth = rewritten.segments[4].object.clone();
    let refused = Arc::new(Mutex::new(0));
    let count = Arc::clone(&refused);
    fixture.faulty.decide(move |request, path| {
        if request == Request::Get && path.as_ref() == fifth {
            *count.lock().unwrap() += 1;
            return Fault::Fail;
        }
        Fault::None
    });
    fixture.announce(rewritten.clone()).await;
    let mut status = node.board.subscribe();
    let is_refused = status.wait_for(|_| *refused.lock().unwrap() > 1);
    drop(timeout(DEADLINE, is_refused).await.expect("the store refuses a segment"));
    check(&built, &people);
    assert_eq!(built.state().manifest.run_id, first.run_id);

    fixture.faulty.decide(|_, _| Fault::None);
    let exchanged = node.serves(&rewritten).await;
    assert!(Arc::ptr_eq(&built, &exchanged));
    assert_eq!(exchanged.segments().len(), 8, "what an earlier attempt took is gone");
    check(&exchanged, &people);
    node.shutdown.cancel();
}
