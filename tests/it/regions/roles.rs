//! Publishers and replicas on separate nodes, and collections of some regions.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::fixture::{Fixture, await_note};
use crate::support::{
    deployment::NodeDirectory,
    http::Client,
    process::{Process, until},
    proxy::{NetworkFault, Proxy},
    reader::Reader,
};

#[tokio::test(flavor = "multi_thread")]
async fn rows_reach_only_the_regions_of_their_sync() {
    let fixture = Fixture::new(20).await;
    let store = fixture.store().await;
    let hub = fixture.publisher("hub", store, "manual");
    let (key, revoked) = (hub.key().await, hub.key().await);
    let mut announced = BTreeMap::from([(fixture.announce(&hub, 1).await, 1)]);
    hub.output(&["sync", "european"]).await;
    let (eu, us) =
        (fixture.replica("eu", "eu", store).serve().await, fixture.replica("us", "us", store).serve().await);
    for node in [&eu, &us] {
        await_note(node, &key, 1).await;
    }
    let readers = [Reader::start(&eu, &key), Reader::start(&us, &key)];
    assert_eq!(eu.get(&key, "european", 7).await.json()["id"], 7);
    let elsewhere = us.get(&key, "european", 7).await;
    assert_eq!((elsewhere.status, elsewhere.code().as_str()), (404, "collection_in_other_region"));
    let reported = elsewhere.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(reported.contains("eu"), "{reported}");

    announced.insert(fixture.announce(&hub, 2).await, 2);
    for node in [&eu, &us] {
        await_note(node, &key, 2).await;
    }
    // A revoked key is refused in every region, and no other one.
    hub.output(&["keys", "revoke", &revoked[4..16]]).await;
    for node in [&eu, &us] {
        until("the refusal", async || (node.get(&revoked, "person", 1).await.status == 401).then_some(()))
            .await;
    }
    for reader in readers {
        reader.end(&announced).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_command_on_a_replica_is_refused() {
    let fixture = Fixture::new(1).await;
    let replica = fixture.replica("eu", "eu", fixture.store().await);
    assert!(replica.output(&["check", "--connect"]).await.contains("ok    store: reachable"));
    let create = ["keys", "create", "--name", "x", "--all-collections"];
    for arguments in [&["sync", "person"][..], &["keys", "list"], &create, &["runs"]] {
        let done = replica.spawn(arguments).wait().await;
        assert!(matches!(done.code, Some(1 | 2)), "{arguments:?}: {done:?}");
        assert!(done.stderr.contains("has no metadata database"), "{arguments:?}: {done:?}");
    }
}

/// The lease of a killed holder ends within 12 s; then another publisher takes over.
#[tokio::test(flavor = "multi_thread")]
async fn standby_takes_over_when_the_publisher_dies() {
    let fixture = Fixture::new(5).await;
    let store = fixture.store().await;
    let nodes = ["a", "b"].map(|name| fixture.publisher(name, store, "every 1s"));
    let key = nodes[0].key().await;
    let mut publishers = vec![nodes[0].serve().await, nodes[1].serve().await];
    let replica = fixture.replica("eu", "eu", store).serve().await;
    await_note(&replica, &key, 0).await;

    // The holder dies in the middle of a run.
    let lock = fixture.warehouse.lock("people").await;
    let holder = until("a run under way", async || {
        fixture.books.value("select holder from leases where name = 'sync:person'").await
    })
    .await;
    let of = |id: u32| holder.starts_with(&format!("pid-{id}-"));
    let position = publishers.iter().position(|publisher| of(publisher.id())).unwrap();
    publishers.remove(position).kill();
    drop(lock);
    fixture.note(1).await;
    let taken_over = tokio::time::timeout(Duration::from_mins(1), async {
        while super::fixture::note(&replica, &key).await != Some(1) {
            tokio::task::yield_now().await;
        }
    });
    taken_over.await.expect("the standby announces");
}

/// The node of region `hub`, as `larder status --json` shows it from `node`.
async fn hub_of(node: &NodeDirectory) -> Option<Value> {
    let status: Value = serde_json::from_str(&node.output(&["status", "--json"]).await).unwrap();
    let nodes = status["fleet"]["nodes"].as_array().unwrap();
    nodes.iter().find(|node| node["region"] == "hub").cloned()
}

/// The lines of a node's metrics that tell of problems.
async fn problems(node: &mut Process) -> String {
    let mut client = Client::connect(node.admin().await).await;
    let answer = client.ask("GET", "/metrics", "").await;
    answer.text().lines().filter(|line| line.starts_with("larder_problem{")).collect()
}

/// A store that ignores conditional writes is refused, and the status shows why.
#[tokio::test(flavor = "multi_thread")]
async fn publisher_only_node_reports_its_state_and_is_not_waited_for() {
    let fixture = Fixture::new(3).await;
    let store = fixture.store().await;
    let proxy = Proxy::start(store).await;
    let hub = fixture.publisher("hub", proxy.address(), "manual");
    let key = hub.key().await;
    fixture.announce(&hub, 1).await;
    let eu_node = fixture.replica("eu", "eu", store);
    let eu = eu_node.serve().await;
    await_note(&eu, &key, 1).await;

    proxy.set(NetworkFault::DropCondition);
    let mut publisher = hub.serve().await;
    let status = until("a problem", async || {
        let status = publisher.status().await;
        status["publisher"]["problem"].is_object().then_some(status)
    })
    .await;
    assert_eq!(status["publisher"]["problem"]["code"], "store_overwrites", "{status}");
    assert_eq!((&status["state"], &status["ready"]), (&"starting".into(), &false.into()), "{status}");
    assert_eq!(publisher.ask("/readyz").await.status, 200, "the process runs");
    assert!(problems(&mut publisher).await.contains(r#"part="publisher",code="store_overwrites"} 1"#));
    let node = until("its status", async || {
        hub_of(&eu_node).await.filter(|node| node["publisher"]["problem"].is_object())
    })
    .await;
    assert_eq!(node["publisher"]["problem"]["code"], "store_overwrites", "{node}");
    assert_eq!(
        (&node["state"], &node["last_error"]["code"]),
        (&"starting".into(), &"store_overwrites".into())
    );
    await_note(&eu, &key, 1).await;

    // The store now honours conditions: the server continues by itself.
    proxy.set(NetworkFault::None);
    let node =
        until("the publisher", async || hub_of(&eu_node).await.filter(|node| node["state"] == "publisher"))
            .await;
    let table = eu_node.output(&["status"]).await;
    let row: Vec<&str> =
        table.lines().find(|line| line.starts_with("hub ")).unwrap().split_whitespace().collect();
    assert_eq!(
        row[5..10],
        ["ago", "-", "-", "-", "-"],
        "catalog and keys, which it does not follow: {table}"
    );
    assert!(!table.contains("orphaned"), "a replica knows no sync: {table}");
    assert!(node["publisher"]["problem"].is_null() && node["collections"] == serde_json::json!({}), "{node}");
    assert_eq!(
        (&node["roles"], node["build"].is_string()),
        (&serde_json::json!(["publisher"]), true),
        "{node}"
    );
    assert_eq!(problems(&mut publisher).await, "");
    let status = publisher.status().await;
    assert_eq!((&status["publisher"]["up"], &status["problem"]), (&true.into(), &Value::Null), "{status}");
    let readyz = publisher.ask("/readyz").await;
    assert_eq!((readyz.status, readyz.json()), (200, serde_json::json!({ "status": "publisher" })));
    fixture.note(2).await;
    let reported = hub.output(&["sync", "person", "--wait", "30s"]).await;
    assert!(reported.ends_with("is served by 1 node in 1 region\n"), "{reported}");
}
