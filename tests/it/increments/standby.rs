//! Publishers of one sync that take over from each other: the cursor is part of what is announced.

use super::sections;
use crate::support::{
    deployment::{Deployment, NodeDirectory},
    postgres::{Database, Postgres},
    process::{Process, until},
};

const ROWS: u64 = 100;

/// The name of a record, as a server serves it.
async fn name(server: &Process, key: &str, id: u64) -> Option<String> {
    let answer = server.get(key, "person", id).await;
    (answer.status == 200).then(|| answer.json()["name"].as_str().unwrap().to_owned())
}

async fn await_name(server: &Process, key: &str, id: u64, expected: &str) {
    until("a name", async || (name(server, key, id).await? == expected).then_some(())).await;
}

/// Waits until the newest run that announced a version has read `rows` rows, and no other one.
async fn await_increment(node: &NodeDirectory, rows: u64) {
    until("an increment", async || {
        let runs = node.runs().await;
        let run = runs.iter().find(|run| run["status"] == "announced")?;
        let counts = ["rows", "unread"].map(|name| run["counts"][name].as_u64().unwrap());
        (counts == [rows, ROWS - rows]).then_some(())
    })
    .await;
}

/// Two publishers that run the sync every second.
async fn publishers(warehouse: &Database, books: &Database) -> [NodeDirectory; 2] {
    warehouse
        .execute(&format!(
            "create table people (id integer primary key, name text, mail text, seq integer, gone boolean); \
             insert into people select i, 'name ' || i, 'mail' || i, i, false from generate_series(1, {ROWS}) i"
        ))
        .await;
    let deployment = Deployment::new();
    let syncs = sections("column = \"seq\", overlap = 0, full = \"manual\", deleted = \"gone\"", "")
        .replace("\"manual\"\nincremental", "\"every 1s\"\nincremental");
    let source = format!("[sources.warehouse]\ntype = \"postgres\"\nurl = {:?}\n{syncs}", warehouse.url());
    let nodes = ["a", "b"].map(|name| deployment.node_with_metadata(name, &books.url(), &source));
    nodes[0].output(&["migrate"]).await;
    nodes
}

/// The lease of a killed holder ends within 12 s; then the other publisher takes over.
#[tokio::test(flavor = "multi_thread")]
async fn standby_continues_from_the_announced_cursor() {
    let (warehouse, books) = (Postgres::database().await, Postgres::database().await);
    let nodes = publishers(&warehouse, &books).await;
    let key = nodes[0].key().await;
    let mut servers = vec![nodes[0].serve().await, nodes[1].serve().await];
    for server in &servers {
        await_name(server, &key, 1, "name 1").await;
    }
    warehouse.execute("update people set name = 'first', seq = 101 where id = 2").await;
    await_name(&servers[0], &key, 2, "first").await;
    // The row at the cursor, and the new one.
    await_increment(&nodes[0], 2).await;

    // The holder dies in the middle of an increment.
    let lock = warehouse.lock("people").await;
    let holder = until("a run under way", async || {
        books.value("select holder from leases where name = 'sync:person'").await
    })
    .await;
    let of = |id: u32| holder.starts_with(&format!("pid-{id}-"));
    let killed = servers.iter().position(|server| of(server.id())).unwrap();
    servers.remove(killed).kill();
    drop(lock);
    // No increment sees the second of these.
    warehouse
        .execute("update people set name = 'second', seq = 102 where id = 3; update people set name = 'unseen' where id = 4")
        .await;
    let standby = servers.remove(0);
    await_name(&standby, &key, 3, "second").await;
    await_increment(&nodes[0], 2).await;
    assert_eq!(name(&standby, &key, 4).await.unwrap(), "name 4");

    // A publisher that begins after a rollback reads from the cursor of the version that is served again.
    let (old, new) = (&nodes[1 - killed], &nodes[killed]);
    old.output(&["rollback", "person", "--to", "1"]).await;
    await_name(&standby, &key, 3, "name 3").await;
    standby.kill();
    let server = new.serve().await;
    assert_eq!(name(&server, &key, 2).await.unwrap(), "name 2");
    new.output(&["resume", "person"]).await;
    await_name(&server, &key, 3, "second").await;
    assert_eq!(name(&server, &key, 2).await.unwrap(), "first");
    // Both changes are read again.
    await_increment(new, 3).await;
    assert_eq!(name(&server, &key, 4).await.unwrap(), "name 4");
}
