//! The network between nodes and the store fails in every way, while readers read.

use std::{collections::BTreeMap, time::Duration};

use rustix::process::Signal;

use super::world::{World, await_note, note};
use crate::support::{
    http::Client,
    process::{Process, until, version},
    proxy::{INTERNAL_ERROR, NetworkFault, Proxy, SLOW_DOWN},
    reader::Reader,
};

/// Everything that may happen to a replica's requests. Each is told apart from fair weather by what
/// the node says of itself.
const BAD: [NetworkFault; 5] =
    [NetworkFault::Refuse, NetworkFault::Cut(200), SLOW_DOWN, INTERNAL_ERROR, NetworkFault::Silent];

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_serves_on_in_any_weather_and_catches_up() {
    let world = World::new(50).await;
    let (store, proxy) = (world.store().await, Proxy::start(world.store().await).await);
    let hub = world.publisher("hub", store, "manual");
    let key = hub.key().await;
    let mut announced = BTreeMap::from([(world.announce(&hub, 1).await, 1)]);
    let mut eu = world.replica("eu", "eu", proxy.address()).serve().await;
    let us = world.replica("us", "us", store).serve().await;
    await_note(&eu, &key, 1).await;
    let readers = [Reader::start(&eu, &key), Reader::start(&us, &key)];
    for (at, weather) in BAD.into_iter().enumerate() {
        let (before, next) = (at as u64 + 1, at as u64 + 2);
        proxy.set(weather);
        announced.insert(world.announce(&hub, next).await, next);
        await_note(&us, &key, next).await;
        // The node has noticed, and says how old its catalog is; it serves what it has.
        let status = until("trouble", async || {
            let status = eu.status().await;
            status["problem"]["code"].is_string().then_some(status)
        });
        let status = status.await;
        assert_eq!(eu.ask("/readyz").await.status, 200, "{weather:?}: {status}");
        assert_eq!(note(&eu, &key).await, Some(before), "{weather:?}");
        proxy.set(NetworkFault::None);
        await_note(&eu, &key, next).await;
    }
    // Slow is not broken.
    for (at, weather) in [NetworkFault::Throttle(200_000), NetworkFault::Delay(Duration::from_millis(30))]
        .into_iter()
        .enumerate()
    {
        let next = (BAD.len() + at) as u64 + 2;
        proxy.set(weather);
        announced.insert(world.announce(&hub, next).await, next);
        await_note(&eu, &key, next).await;
    }
    for reader in readers {
        reader.end(&announced).await;
    }
}

/// The first request after a start finds what it would have found before; a node with nothing, and without a
/// store, does not call a good key unknown.
#[tokio::test(flavor = "multi_thread")]
async fn a_starting_node_answers_what_it_knows() {
    let world = World::new(50).await;
    let (store, proxy) = (world.store().await, Proxy::start(world.store().await).await);
    let hub = world.publisher("hub", store, "manual");
    let key = hub.key().await;
    world.announce(&hub, 1).await;
    let node = world.replica("eu", "eu", proxy.address());
    let eu = node.serve().await;
    await_note(&eu, &key, 1).await;
    eu.signal(Signal::TERM);
    assert_eq!(eu.wait().await.code, Some(0));
    for weather in [NetworkFault::None, NetworkFault::Refuse] {
        proxy.set(weather);
        let mut eu = node.spawn(&["serve"]);
        eu.logged("larder serves").await;
        assert_eq!(note(&eu, &key).await, Some(1), "{weather:?}");
        eu.signal(Signal::TERM);
        assert_eq!(eu.wait().await.code, Some(0));
    }
    let mut us = world.replica("us", "us", proxy.address()).spawn(&["serve"]);
    us.logged("larder serves").await;
    let answer = us.get(&key, "person", 1).await;
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (503, Some("node_starting")));
    proxy.set(NetworkFault::None);
    await_note(&us, &key, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_in_bad_weather_announces_once_or_not_at_all() {
    let world = World::new(50).await;
    let (store, proxy) = (world.store().await, Proxy::start(world.store().await).await);
    let hub = world.publisher("hub", proxy.address(), "manual");
    let key = hub.key().await;
    let mut announced = BTreeMap::from([(world.announce(&hub, 1).await, 1)]);
    let us = world.replica("us", "us", store).serve().await;
    await_note(&us, &key, 1).await;
    let reader = Reader::start(&us, &key);
    for (at, weather) in [NetworkFault::Refuse, SLOW_DOWN, INTERNAL_ERROR].into_iter().enumerate() {
        let next = at as u64 + 2;
        world.note(next).await;
        proxy.set(weather);
        let done = hub.spawn(&["sync", "person", "--json"]).wait().await;
        assert_eq!(done.code, Some(1), "{weather:?}: {done:?}");
        assert!(done.stderr.contains("the object store"), "{weather:?}: {done:?}");
        proxy.set(NetworkFault::None);
        announced.insert(world.announce(&hub, next).await, next);
        await_note(&us, &key, next).await;
    }
    assert_eq!(announced.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4], "no version was lost");
    reader.end(&announced).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_is_cut_off_restarts_from_its_disk_and_jumps_to_the_newest() {
    let world = World::new(200).await;
    let (store, proxy) = (world.store().await, Proxy::start(world.store().await).await);
    let hub = world.publisher("hub", store, "manual");
    let (key, revoked) = (hub.key().await, hub.key().await);
    let mut announced = BTreeMap::from([(world.announce(&hub, 1).await, 1)]);
    let node = world.replica("eu", "eu", proxy.address());
    let mut eu = node.serve().await;
    await_note(&eu, &key, 1).await;
    let reader = Reader::start(&eu, &key);
    proxy.set(NetworkFault::Refuse);
    for note in 2..=4 {
        announced.insert(world.announce(&hub, note).await, note);
    }
    hub.output(&["keys", "revoke", &revoked[4..16]]).await;
    assert_eq!(note(&eu, &key).await, Some(1));
    // It cannot know of the revocation, and says since when it may have missed one.
    let age = keys_age(&mut eu).await;
    until("older keys", async || (keys_age(&mut eu).await > age).then_some(())).await;
    assert_eq!(note(&eu, &revoked).await, Some(1));
    reader.end(&announced).await;
    eu.kill();
    // Neither store nor network: what it had, it serves, and knows its keys.
    let mut eu = node.serve().await;
    let reader = Reader::start(&eu, &key);
    assert_eq!(note(&eu, &key).await, Some(1));
    assert!(keys_age(&mut eu).await > age);
    let answer = eu.get(&key, "person", 1).await;
    assert_eq!(version(&answer), 1);
    assert!(answer.header("x-data-as-of").is_some());
    assert!(eu.status().await["problem"]["code"].is_string());
    // A node without anything is not ready, and does not call records missing.
    let empty = world.replica("new", "eu", proxy.address());
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
