//! Two regions on one catalog: statuses, `sync --wait`, and silent nodes.

use std::time::Duration;

use chrono::TimeDelta;
use larder::{
    admin::{Error, fleet::await_version},
    catalog::{Ages, Fleet, StatusStore},
    domain::{manifest::Version, name::CollectionName},
    store::Location,
    support::clock::Clock,
};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    catalog::open_catalog,
    deployment::{Deployment, NodeDirectory},
    process::{Process, until},
};

const ROWS: &str = "create table people (id integer, name text); insert into people values (1, 'Ann')";
const PERSON: &str = "
[sources.warehouse]
type = \"sqlite\"
path = \"warehouse.db\"
[models.people]
source = \"warehouse\"
sql = \"select id, name from people\"
primary_key = \"id\"
[syncs.person]
model = \"people\"
indexes = { id = \"id\" }
";
const EU: [(&str, &str); 2] = [("LARDER_REGION", "eu"), ("LARDER_ROLES", "replica")];

async fn served(server: &mut Process) -> Option<u64> {
    server.status().await["collections"]["person"]["served_version"].as_u64()
}

/// The fleet as `larder status --json` shows it.
async fn fleet(node: &NodeDirectory) -> Vec<Value> {
    let status: Value = serde_json::from_str(&node.output(&["status", "--json"]).await).unwrap();
    status["fleet"]["nodes"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_wait_covers_every_region() {
    let deployment = Deployment::new();
    deployment.execute("warehouse.db", ROWS).await;
    let (us_node, eu_node) = (deployment.node("us", PERSON), deployment.node("eu", PERSON));
    let mut us = us_node.serve_with(&[("LARDER_REGION", "us")]).await;
    let mut eu = eu_node.serve_with(&EU).await;
    // Both have written their first status, so both are waited for.
    until("both nodes", async || (fleet(&us_node).await.len() == 2).then_some(())).await;
    for version in 1..=2 {
        deployment.execute("warehouse.db", &format!("update people set name = 'Ann {version}'")).await;
        let reported = us_node.output(&["sync", "person", "--wait", "30s"]).await;
        let line = format!("person: version {version} is served by 2 nodes in 2 regions\n");
        assert!(reported.ends_with(&line), "{reported}");
        assert_eq!((served(&mut us).await, served(&mut eu).await), (Some(version), Some(version)));
    }
    // A run without changes has a version to wait for, too.
    let reported = us_node.output(&["sync", "person", "--wait", "30s"]).await;
    assert!(
        reported.contains("unchanged") && reported.contains("version 2 is served by 2 nodes"),
        "{reported}"
    );

    let nodes = fleet(&us_node).await;
    for (node, region, roles) in [(&nodes[0], "eu", 1), (&nodes[1], "us", 2)] {
        assert_eq!(
            (node["region"].as_str(), node["state"].as_str()),
            (Some(region), Some("ready")),
            "{node}"
        );
        assert_eq!(node["roles"].as_array().unwrap().len(), roles);
        let one = &node["collections"]["person"];
        assert_eq!((one["served_version"].as_u64(), one["records"].as_u64()), (Some(2), Some(1)), "{one}");
        assert_eq!((one["versions_behind"].as_u64(), one["seconds_behind"].as_f64()), (Some(0), Some(0.0)));
        assert!(one["bytes"].as_u64() > Some(0) && node["catalog"].as_u64() > Some(0), "{node}");
    }
    let id = std::fs::read_to_string(deployment.path("eu/node-id")).unwrap();
    assert_eq!(nodes[0]["node"], id.trim());
    let table = us_node.output(&["status"]).await;
    for heading in ["REGION  NODE", "STATE", "BEHIND"] {
        assert!(table.contains(heading), "{table}");
    }
    // The admin listener shows the same, beside what it shows of itself.
    let shown = us.status().await;
    assert_eq!(
        (shown["region"].as_str(), shown["collections"]["person"]["served_version"].as_u64()),
        (Some("us"), Some(2))
    );
    let regions: Vec<_> =
        shown["fleet"]["nodes"].as_array().unwrap().iter().map(|node| &node["region"]).collect();
    assert_eq!(regions, ["eu", "us"], "{shown}");
    assert!(shown["fleet"]["problem"].is_null(), "{shown}");

    // A killed node is waited for until it is silent.
    eu.kill();
    deployment.execute("warehouse.db", "update people set name = 'Bob'").await;
    let done = us_node.spawn(&["sync", "person", "--wait", "1s"]).wait().await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stdout.contains("announced version 3"), "{done:?}");
    assert!(done.stderr.contains("eu/") && done.stderr.contains("serves version 2"), "{done:?}");
    assert!(!done.stderr.contains("us/") && done.stderr.contains("code: nodes_behind"), "{done:?}");
    silent_nodes_are_not_waited_for(&deployment).await;

    // A node that shuts down is shown as draining and is no longer waited for.
    us.signal(Signal::TERM);
    assert_eq!(us.wait().await.code, Some(0));
    let nodes = fleet(&us_node).await;
    assert_eq!(nodes[1]["state"], "draining", "{nodes:?}");
}

/// Moves the threshold between the age of the dead node and that of the living one.
async fn silent_nodes_are_not_waited_for(deployment: &Deployment) {
    let location = Location::Directory(deployment.path("store"));
    let catalog = open_catalog(&location);
    let statuses = StatusStore::within(catalog.store().clone());
    let person = CollectionName::new("person").unwrap();
    // The living node has written since the dead one did: version 3.
    let (now, ages) = until("the status of version 3", async || {
        let now = Clock::default().now();
        let nodes = Fleet::read(&statuses, now, Ages::default()).await.unwrap().nodes;
        let us = nodes[1].status.as_ref().unwrap();
        let is_new = us.collections[&person].served == Some(Version(3));
        let silent = (nodes[0].age + nodes[1].age) / 2;
        is_new.then_some((now, Ages { silent, shown: TimeDelta::hours(1) }))
    })
    .await;
    let fixed = Clock::fixed(now);
    let patience = Duration::from_secs(30);
    let served =
        await_version(&catalog, &statuses, &fixed, ages, &person, Version(3), patience).await.unwrap();
    assert_eq!((served.nodes, served.regions, served.silent.len()), (1, 1, 1), "{served:?}");
    assert!(served.silent[0].starts_with("eu/"), "{served:?}");

    let all_silent = Ages { silent: TimeDelta::zero(), ..ages };
    let later = Clock::fixed(now + TimeDelta::seconds(1));
    let error = await_version(&catalog, &statuses, &later, all_silent, &person, Version(3), Duration::ZERO)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NoLiveNode { .. }), "{error}");
    assert!(error.to_string().contains("eu/") && error.to_string().contains("us/"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_wait_without_a_live_node_fails() {
    let deployment = Deployment::new();
    deployment.execute("warehouse.db", ROWS).await;
    let node = deployment.node("us", PERSON);
    let done = node.spawn(&["sync", "person", "--wait", "100ms"]).wait().await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stdout.contains("announced version 1"), "{done:?}");
    assert!(done.stderr.contains("no live node") && done.stderr.contains("code: no_live_node"), "{done:?}");
    let table = node.output(&["status"]).await;
    assert!(table.contains("no node has written a status within 24 hours"), "{table}");
    for arguments in
        [&["sync", "person", "--wait", "5"][..], &["sync", "person", "--wait", "5s", "--dry-run"]]
    {
        assert_eq!(node.spawn(arguments).wait().await.code, Some(2), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn node_whose_status_cannot_be_written_keeps_serving() {
    let deployment = Deployment::new();
    deployment.execute("warehouse.db", ROWS).await;
    let node = deployment.node("us", PERSON);
    let text = std::fs::read_to_string(deployment.path("us.toml")).unwrap();
    let text = text.replace("[storage]\n", "[storage]\nstatus_url = \"file:./blocked/status\"\n");
    std::fs::write(deployment.path("us.toml"), text).unwrap();
    // A file in place of the directory also stops root.
    std::fs::write(deployment.path("blocked"), "").unwrap();
    let mut server = node.serve().await;
    let failing =
        "cannot write the node's status; the node keeps serving, and `larder status` shows it as silent";
    server.logged(failing).await;
    node.output(&["sync", "person"]).await;
    until("the version", async || (served(&mut server).await == Some(1)).then_some(())).await;
    assert_eq!(server.ask("/readyz").await.status, 200);
    // The local part is shown, with the reason why the fleet is not.
    let shown = server.status().await;
    assert_eq!(shown["fleet"]["problem"]["code"], "local_file", "{shown}");
    assert_eq!(shown["fleet"]["nodes"], Value::Array(Vec::new()));
    let done = node.spawn(&["status"]).wait().await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stderr.contains("nodes are not shown") && done.stdout.contains("person"), "{done:?}");

    std::fs::remove_file(deployment.path("blocked")).unwrap();
    server.logged("writing the node's status works again").await;
    assert_eq!(server.log().matches(failing).count(), 1, "{}", server.log());
    assert_eq!(fleet(&node).await.len(), 1);
}
