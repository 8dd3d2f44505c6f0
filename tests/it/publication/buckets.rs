//! The same over a network: an S3-compatible server, behind a proxy that hurts.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::TimeDelta;
use larder::{
    catalog::{HeadAnswer, retention},
    disk::SegmentDirectory,
    domain::manifest::{SegmentKind, SegmentReference},
    store::{Error, Store},
    support::clock::Clock,
};
use object_store::memory::InMemory;
use tempfile::TempDir;

use crate::support::{
    catalog::{announcer, change, deployment, entry, manifest, name, publish, quick, segment},
    faulty_store::{Fault, FaultyStore, Request},
    http::soon,
    proxy::{INTERNAL_ERROR, NetworkFault, Proxy, SLOW_DOWN},
    s3::{S3, location},
};

async fn bucket(prefix: &str) -> Store {
    let address = S3::server().await.address();
    Store::open(&location(address, &S3::bucket().await, prefix)).unwrap()
}

fn directory() -> (TempDir, SegmentDirectory) {
    let root = tempfile::tempdir().unwrap();
    let directory = SegmentDirectory::open(&root.path().join("segments"), Clock::default()).unwrap();
    (root, directory)
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_travel_in_ranges_and_are_verified() {
    // Three ranges, the last one short.
    let content: Bytes = (0..9_000_001_u32).map(|at| (at / 7) as u8).collect::<Vec<_>>().into();
    for prefix in ["", "larder/eu"] {
        let store = bucket(prefix).await;
        let (_publisher_root, publisher) = directory();
        let reference = segment(&store, &publisher, &name("a"), SegmentKind::Base, 1, content.clone()).await;
        let (_root, follower) = directory();
        follower.fetch(&store, &reference).await.unwrap();
        assert!(follower.read(&reference).await.unwrap().as_slice() == content);
        let (_root, other) = directory();
        assert!(other.load(&store, &reference).await.unwrap().as_slice() == content);

        for wrong in [reference.bytes - 1, reference.bytes + 1] {
            let wrong = SegmentReference { bytes: wrong, ..reference.clone() };
            let (_root, other) = directory();
            assert_eq!(other.load(&store, &wrong).await.unwrap_err().code(), "object_corrupt");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_in_parts_comes_back_whole() {
    let store = bucket("").await;
    let (_root, publisher) = directory();
    // Over the bound of one request.
    let content: Bytes = (0..70_u8).collect::<Vec<_>>().repeat(1024 * 1024).into();
    let reference = segment(&store, &publisher, &name("a"), SegmentKind::Base, 1, content.clone()).await;
    let (_root, follower) = directory();
    assert!(follower.load(&store, &reference).await.unwrap().as_slice() == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_is_one_conditional_request() {
    let store = bucket("p").await;
    assert!(matches!(store.head_if_changed(None).await.unwrap(), HeadAnswer::Missing));
    let running = announcer(&store, None, quick());
    let first = entry(1);
    running.handle.announce(change(&name("a"), None, &first)).await.unwrap();
    running.end().await;
    let HeadAnswer::Found { head, etag } = store.head_if_changed(None).await.unwrap() else {
        panic!("there is a head")
    };
    assert_eq!(head.n, 1);
    let again = store.head_if_changed(etag.as_deref()).await.unwrap();
    assert!(matches!(again, HeadAnswer::Unchanged), "{again:?}");
    let running = announcer(&store, None, quick());
    running.handle.announce(change(&name("a"), Some(&first), &entry(2))).await.unwrap();
    running.end().await;
    let changed = store.head_if_changed(etag.as_deref()).await.unwrap();
    assert!(matches!(changed, HeadAnswer::Found { head, .. } if head.n == 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_overwrites_is_found_out() {
    bucket("").await.check_conditional_create().await.unwrap();
    bucket("prefix").await.check_conditional_create().await.unwrap();

    let careless = FaultyStore::new(Arc::new(InMemory::new()));
    careless.decide(|request, _| if request == Request::Put { Fault::Overwrite } else { Fault::None });
    let store = Store::from_object_store(careless);
    let error = store.check_conditional_create().await.unwrap_err();
    assert_eq!(error.code(), "store_overwrites");
    assert!(error.to_string().contains("9 of 9 writers"), "{error}");

    // One that answers nothing is not called careless.
    let failing = FaultyStore::new(Arc::new(InMemory::new()));
    failing.decide(|_, _| Fault::Fail);
    let error = Store::from_object_store(failing).check_conditional_create().await.unwrap_err();
    assert_eq!(error.code(), "store_unavailable");
}

/// Each announcer has connections of its own, as two processes have.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_publishers_racing_for_200_announcements_none_is_lost() {
    let (address, bucket) = (S3::server().await.address(), S3::bucket().await);
    let stores = [(); 2].map(|()| Store::open(&location(address, &bucket, "race")).unwrap());
    let ours = deployment();
    let race = async |publisher: usize| {
        let running = announcer(&stores[publisher], Some(ours), quick());
        let mut numbers = Vec::new();
        let own = name(&format!("own-{publisher}"));
        let mut last = None;
        for version in 1..=100 {
            let next = entry(version);
            let announced = running.handle.announce(change(&own, last.as_ref(), &next)).await.unwrap();
            numbers.push(announced.n);
            last = Some(next);
        }
        running.end().await;
        numbers
    };
    let (one, other) = tokio::join!(race(0), race(1));
    let mut numbers: Vec<u64> = one.into_iter().chain(other).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=200).collect::<Vec<_>>(), "each announcement has a document of its own");
    let newest = stores[0].newest(None).await.unwrap().unwrap();
    assert_eq!(newest.n, 200);
    for publisher in 0..2 {
        assert_eq!(newest.collections[&name(&format!("own-{publisher}"))].version.0, 100);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_bad_weather_requests_fail_in_time_and_nothing_half_stays() {
    let proxy = Proxy::start(S3::server().await.address()).await;
    let store = Store::open(&location(proxy.address(), &S3::bucket().await, "")).unwrap();
    let (_root, publisher) = directory();
    let content = Bytes::from(vec![7; 5_000_000]);
    let reference = segment(&store, &publisher, &name("a"), SegmentKind::Base, 1, content.clone()).await;
    for weather in [NetworkFault::Refuse, NetworkFault::Cut(1000), SLOW_DOWN, INTERNAL_ERROR] {
        let (root, follower) = directory();
        proxy.set(weather);
        let error = soon("error", follower.fetch(&store, &reference)).await.unwrap_err();
        assert_eq!(error.code(), "store_unavailable", "{weather:?}: {error}");
        let left = std::fs::read_dir(root.path().join("segments")).unwrap().count();
        assert_eq!(left, 0, "{weather:?} leaves nothing behind");
        proxy.set(NetworkFault::None);
        assert!(follower.load(&store, &reference).await.unwrap().as_slice() == content);
    }
    // Slow is not broken.
    proxy.set(NetworkFault::Throttle(5_000_000));
    let (_root, follower) = directory();
    assert!(soon("bytes", follower.load(&store, &reference)).await.unwrap().as_slice() == content);
    proxy.set(NetworkFault::Delay(Duration::from_millis(20)));
    assert!(store.newest(None).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_names_is_deleted_from_a_bucket() {
    let store = bucket("larder").await;
    let (_root, local) = directory();
    let clock = Clock::fixed(Clock::default().now());
    let a = name("a");
    let one = segment(&store, &local, &a, SegmentKind::Base, 1, "one").await;
    let first = publish(&store, &manifest(&a, 1, vec![one.clone()])).await;
    let two = segment(&store, &local, &a, SegmentKind::Base, 2, "two").await;
    let second = publish(&store, &manifest(&a, 2, vec![two.clone()])).await;
    let running = announcer(&store, None, quick());
    running.handle.announce(change(&a, None, &first)).await.unwrap();
    running.handle.announce(change(&a, Some(&first), &second)).await.unwrap();
    running.end().await;
    clock.set(clock.now() + TimeDelta::hours(25));
    let kept = retention::Kept { keep_versions: 1, ..retention::Kept::default() };
    let collected = retention::collect(&store, &clock, None, &kept).await.unwrap();
    assert_eq!((collected.deleted, collected.complete), (2, true), "manifest and segment of version 1");
    let (_root, follower) = directory();
    assert!(follower.load(&store, &two).await.is_ok());
    assert!(matches!(follower.load(&store, &one).await, Err(Error::Missing { .. })));
}
