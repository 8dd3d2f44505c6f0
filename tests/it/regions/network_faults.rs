//! Faults of the network between nodes and the store, while readers read.

use std::{collections::BTreeMap, time::Duration};

use rustix::process::Signal;

use super::fixture::{Fixture, await_note, note};
use crate::support::{
    http::Client,
    process::{Process, until, version},
    proxy::{INTERNAL_ERROR, NetworkFault, Proxy, SLOW_DOWN},
    reader::Reader,
};

/// Faults of a replica's requests. Each of them shows in the node's status.
const FAULTS: [NetworkFault; 5] =
    [NetworkFault::Refuse, NetworkFault::Cut(200), SLOW_DOWN, INTERNAL_ERROR, NetworkFault::Silent];

#[tokio::test(flavor = "multi_thread")]
async fn replica_keeps_serving_under_network_faults_and_catches_up() {
    let fixture = Fixture::new(50).await;
    let (store, proxy) = (fixture.store().await, Proxy::start(fixture.store().await).await);
    let hub = fixture.publisher("hub", store, "manual");
    let key = hub.key().await;
    let mut announced = BTreeMap::from([(fixture.announce(&hub, 1).await, 1)]);
    let mut eu = fixture.replica("eu", "eu", proxy.address()).serve().await;
    let us = fixture.replica("us", "us", store).serve().await;
    await_note(&eu, &key, 1).await;
    let readers = [Reader::start(&eu, &key), Reader::start(&us, &key)];
    for (at, fault) in FAULTS.into_iter().enumerate() {
        let (before, next) = (at as u64 + 1, at as u64 + 2);
        proxy.set(fault);
        announced.insert(fixture.announce(&hub, next).await, next);
        await_note(&us, &key, next).await;
        // The node reports the problem and serves the last version.
        let status = until("trouble", async || {
            let status = eu.status().await;
            status["problem"]["code"].is_string().then_some(status)
        });
        let status = status.await;
        assert_eq!(eu.ask("/readyz").await.status, 200, "{fault:?}: {status}");
        assert_eq!(note(&eu, &key).await, Some(before), "{fault:?}");
        proxy.set(NetworkFault::None);
        await_note(&eu, &key, next).await;
    }
    // A slow network is not a fault.
    for (at, fault) in [NetworkFault::Throttle(200_000), NetworkFault::Delay(Duration::from_millis(30))]
        .into_iter()
        .enumerate()
    {
        let next = (FAULTS.len() + at) as u64 + 2;
        proxy.set(fault);
        announced.insert(fixture.announce(&hub, next).await, next);
        await_note(&eu, &key, next).await;
    }
    for reader in readers {
        reader.end(&announced).await;
    }
}

/// The first request after a start gets the same record as before. A node without state and store does not refuse a
/// valid key as unknown.
#[tokio::test(flavor = "multi_thread")]
async fn starting_node_serves_its_local_records() {
    let fixture = Fixture::new(50).await;
    let (store, proxy) = (fixture.store().await, Proxy::start(fixture.store().await).await);
    let hub = fixture.publisher("hub", store, "manual");
    let key = hub.key().await;
    fixture.announce(&hub, 1).await;
    let node = fixture.replica("eu", "eu", proxy.address());
    let eu = node.serve().await;
    await_note(&eu, &key, 1).await;
    eu.signal(Signal::TERM);
    assert_eq!(eu.wait().await.code, Some(0));
    for fault in [NetworkFault::None, NetworkFault::Refuse] {
        proxy.set(fault);
        let mut eu = node.spawn(&["serve"]);
        eu.logged("larder serves").await;
        assert_eq!(note(&eu, &key).await, Some(1), "{fault:?}");
        eu.signal(Signal::TERM);
        assert_eq!(eu.wait().await.code, Some(0));
    }
    let mut us = fixture.replica("us", "us", proxy.address()).spawn(&["serve"]);
    us.logged("larder serves").await;
    let answer = us.get(&key, "person", 1).await;
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (503, Some("node_starting")));
    proxy.set(NetworkFault::None);
    await_note(&us, &key, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publisher_under_network_faults_announces_once_or_not_at_all() {
    let fixture = Fixture::new(50).await;
    let (store, proxy) = (fixture.store().await, Proxy::start(fixture.store().await).await);
    let hub = fixture.publisher("hub", proxy.address(), "manual");
    let key = hub.key().await;
    let mut announced = BTreeMap::from([(fixture.announce(&hub, 1).await, 1)]);
    let us = fixture.replica("us", "us", store).serve().await;
    await_note(&us, &key, 1).await;
    let reader = Reader::start(&us, &key);
    for (at, fault) in [NetworkFault::Refuse, SLOW_DOWN, INTERNAL_ERROR].into_iter().enumerate() {
        let next = at as u64 + 2;
        fixture.note(next).await;
        proxy.set(fault);
        let done = hub.spawn(&["sync", "person", "--json"]).wait().await;
        assert_eq!(done.code, Some(1), "{fault:?}: {done:?}");
        assert!(done.stderr.contains("the object store"), "{fault:?}: {done:?}");
        proxy.set(NetworkFault::None);
        announced.insert(fixture.announce(&hub, next).await, next);
        await_note(&us, &key, next).await;
    }
    assert_eq!(announced.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4], "no version was lost");
    reader.end(&announced).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_off_region_restarts_from_disk_and_goes_to_newest_version() {
    let fixture = Fixture::new(200).await;
    let (store, proxy) = (fixture.store().await, Proxy::start(fixture.store().await).await);
    let hub = fixture.publisher("hub", store, "manual");
    let (key, revoked) = (hub.key().await, hub.key().await);
    let mut announced = BTreeMap::from([(fixture.announce(&hub, 1).await, 1)]);
    let node = fixture.replica("eu", "eu", proxy.address());
    let mut eu = node.serve().await;
    await_note(&eu, &key, 1).await;
    let reader = Reader::start(&eu, &key);
    proxy.set(NetworkFault::Refuse);
    for note in 2..=4 {
        announced.insert(fixture.announce(&hub, note).await, note);
    }
    hub.output(&["keys", "revoke", &revoked[4..16]]).await;
    assert_eq!(note(&eu, &key).await, Some(1));
    // It cannot know of the revocation. Its metrics show the age of its keys.
    let age = keys_age(&mut eu).await;
    until("older keys", async || (keys_age(&mut eu).await > age).then_some(())).await;
    assert_eq!(note(&eu, &revoked).await, Some(1));
    reader.end(&announced).await;
    eu.kill();
    // Without the network, it serves its local state with its keys.
    let mut eu = node.serve().await;
    let reader = Reader::start(&eu, &key);
    assert_eq!(note(&eu, &key).await, Some(1));
    assert!(keys_age(&mut eu).await > age);
    let answer = eu.get(&key, "person", 1).await;
    assert_eq!(version(&answer), 1);
    assert!(answer.header("x-data-as-of").is_some());
    assert!(eu.status().await["problem"]["code"].is_string());
    // A node without state is not ready, and does not answer that records are missing.
    let empty = fixture.replica("new", "eu", proxy.address());
    let mut empty = empty.spawn(&["serve"]);
    empty.logged("larder serves").await;

    proxy.set(NetworkFault::None);
    await_note(&eu, &key, 4).await;
    assert_eq!(version(&eu.get(&key, "person", 1).await), 4);
    until("the refusal", async || (eu.get(&revoked, "person", 1).await.status == 401).then_some(())).await;
    empty.ready().await;
    await_note(&empty, &key, 4).await;
    reader.end(&announced).await;
}

/// Seconds since a node's keys were the newest for sure, as its metrics say.
async fn keys_age(node: &mut Process) -> f64 {
    let metrics = Client::connect(node.admin().await).await.ask("GET", "/metrics", "").await;
    let mut lines = metrics.text().lines();
    lines.find_map(|line| line.strip_prefix("larder_keys_age_seconds ")?.parse().ok()).unwrap()
}
