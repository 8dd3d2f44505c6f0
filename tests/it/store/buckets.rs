//! The same over a network: an S3-compatible server, behind a proxy that hurts.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::TimeDelta;
use larder::{
    catalog::{Catalog, HeadAnswer, Retention, RetentionRules},
    disk::{Error, SegmentDirectory},
    domain::manifest::{SegmentKind, SegmentReference},
    store,
    support::clock::Clock,
};
use object_store::memory::InMemory;
use tempfile::TempDir;

use crate::support::{
    catalog::{
        announcer, catalog_over, change, deployment, entry, manifest, name, open_catalog, publish, quick,
        segment,
    },
    faulty_store::{Fault, FaultyStore, Request},
    http::soon,
    proxy::{INTERNAL_ERROR, NetworkFault, Proxy, SLOW_DOWN},
    s3::{S3, location},
};

async fn bucket(prefix: &str) -> Catalog {
    let address = S3::server().await.address();
    open_catalog(&location(address, &S3::bucket().await, prefix))
}

fn directory() -> (TempDir, SegmentDirectory) {
    let root = tempfile::tempdir().unwrap();
    let directory = SegmentDirectory::open(&root.path().join("segments"), Clock::default()).unwrap();
    (root, directory)
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_are_fetched_in_ranges_and_verified() {
    // Three ranges, the last one short.
    let content: Bytes = (0..9_000_001_u32).map(|at| (at / 7) as u8).collect::<Vec<_>>().into();
    for prefix in ["", "larder/eu"] {
        let catalog = bucket(prefix).await;
        let (_publisher_root, publisher) = directory();
        let reference =
            segment(&catalog, &publisher, &name("a"), SegmentKind::Base, 1, content.clone()).await;
        let (_root, follower) = directory();
        follower.fetch(catalog.store(), &reference).await.unwrap();
        assert!(follower.read(&reference).await.unwrap().as_slice() == content);
        let (_root, other) = directory();
        assert!(other.load(catalog.store(), &reference).await.unwrap().as_slice() == content);

        for wrong in [reference.bytes - 1, reference.bytes + 1] {
            let wrong = SegmentReference { bytes: wrong, ..reference.clone() };
            let (_root, other) = directory();
            assert_eq!(other.load(catalog.store(), &wrong).await.unwrap_err().code(), "object_corrupt");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn multipart_upload_reads_back_whole() {
    let catalog = bucket("").await;
    let (_root, publisher) = directory();
    // Over the bound of one request.
    let content: Bytes = (0..70_u8).collect::<Vec<_>>().repeat(1024 * 1024).into();
    let reference = segment(&catalog, &publisher, &name("a"), SegmentKind::Base, 1, content.clone()).await;
    let (_root, follower) = directory();
    assert!(follower.load(catalog.store(), &reference).await.unwrap().as_slice() == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn poll_is_one_conditional_request() {
    let catalog = bucket("p").await;
    assert!(matches!(catalog.head_if_changed(None).await.unwrap(), HeadAnswer::Missing));
    let running = announcer(&catalog, None, quick());
    let first = entry(1);
    running.handle.announce(change(&name("a"), None, &first)).await.unwrap();
    running.end().await;
    let HeadAnswer::Found { head, etag } = catalog.head_if_changed(None).await.unwrap() else {
        panic!("there is a head")
    };
    assert_eq!(head.n, 1);
    let again = catalog.head_if_changed(etag.as_deref()).await.unwrap();
    assert!(matches!(again, HeadAnswer::Unchanged), "{again:?}");
    let running = announcer(&catalog, None, quick());
    running.handle.announce(change(&name("a"), Some(&first), &entry(2))).await.unwrap();
    running.end().await;
    let changed = catalog.head_if_changed(etag.as_deref()).await.unwrap();
    assert!(matches!(changed, HeadAnswer::Found { head, .. } if head.n == 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn store_that_overwrites_is_detected() {
    bucket("").await.check_conditional_create().await.unwrap();
    bucket("prefix").await.check_conditional_create().await.unwrap();

    let careless = FaultyStore::new(Arc::new(InMemory::new()));
    careless.decide(|request, _| if request == Request::Put { Fault::Overwrite } else { Fault::None });
    let catalog = catalog_over(careless);
    let error = catalog.check_conditional_create().await.unwrap_err();
    assert_eq!(error.code(), "store_overwrites");
    assert!(error.to_string().contains("9 of 9 writers"), "{error}");

    // One that answers nothing is not called careless.
    let failing = FaultyStore::new(Arc::new(InMemory::new()));
    failing.decide(|_, _| Fault::Fail);
    let error = catalog_over(failing).check_conditional_create().await.unwrap_err();
    assert_eq!(error.code(), "store_unavailable");
}

/// Each announcer has connections of its own, as two processes have.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_publishers_racing_for_200_announcements_none_is_lost() {
    let (address, bucket) = (S3::server().await.address(), S3::bucket().await);
    let stores = [(); 2].map(|()| open_catalog(&location(address, &bucket, "race")));
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
async fn requests_fail_in_time_under_faults_and_leave_no_partial_object() {
    let proxy = Proxy::start(S3::server().await.address()).await;
    let catalog = open_catalog(&location(proxy.address(), &S3::bucket().await, ""));
    let (_root, publisher) = directory();
    let content = Bytes::from(vec![7; 5_000_000]);
    let reference = segment(&catalog, &publisher, &name("a"), SegmentKind::Base, 1, content.clone()).await;
    for fault in [NetworkFault::Refuse, NetworkFault::Cut(1000), SLOW_DOWN, INTERNAL_ERROR] {
        let (root, follower) = directory();
        proxy.set(fault);
        let error = soon("error", follower.fetch(catalog.store(), &reference)).await.unwrap_err();
        assert_eq!(error.code(), "store_unavailable", "{fault:?}: {error}");
        let left = std::fs::read_dir(root.path().join("segments")).unwrap().count();
        assert_eq!(left, 0, "{fault:?} leaves nothing behind");
        proxy.set(NetworkFault::None);
        assert!(follower.load(catalog.store(), &reference).await.unwrap().as_slice() == content);
    }
    // Slow is not broken.
    proxy.set(NetworkFault::Throttle(5_000_000));
    let (_root, follower) = directory();
    assert!(soon("bytes", follower.load(catalog.store(), &reference)).await.unwrap().as_slice() == content);
    proxy.set(NetworkFault::Delay(Duration::from_millis(20)));
    assert!(catalog.newest(None).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn unreferenced_objects_are_deleted_from_a_bucket() {
    let catalog = bucket("larder").await;
    let (_root, local) = directory();
    let a = name("a");
    let one = segment(&catalog, &local, &a, SegmentKind::Base, 1, "one").await;
    let first = publish(&catalog, &manifest(&a, 1, vec![one.clone()])).await;
    let two = segment(&catalog, &local, &a, SegmentKind::Base, 2, "two").await;
    let second = publish(&catalog, &manifest(&a, 2, vec![two.clone()])).await;
    let running = announcer(&catalog, None, quick());
    running.handle.announce(change(&a, None, &first)).await.unwrap();
    running.handle.announce(change(&a, Some(&first), &second)).await.unwrap();
    running.end().await;
    let rules = RetentionRules { keep_versions: 1, grace: TimeDelta::zero(), ..RetentionRules::default() };
    let mut retention = Retention::new(catalog.clone());
    let deleted = retention.run(None, &rules, Duration::from_mins(1)).await.unwrap();
    assert_eq!((deleted.objects, deleted.collections_left), (2, 0), "manifest and segment of version 1");
    let (_root, follower) = directory();
    assert!(follower.load(catalog.store(), &two).await.is_ok());
    assert!(matches!(
        follower.load(catalog.store(), &one).await,
        Err(Error::Store(store::Error::Missing(_)))
    ));
}
