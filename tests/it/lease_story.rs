//! Leases of syncs in Postgres, where no lock of the operating system helps: renewed, lost, confirmed, released.

use std::collections::BTreeSet;

use larder::{
    admin::Publisher,
    catalog::Change,
    domain::{manifest::Manifest, run::RunStatus},
    engine::{Error, RunOutcome, Trigger},
    metadata,
};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::support::{
    catalog::{name, publish, run_id},
    http::soon,
    node::{Node, Warehouse},
    postgres::{Database, Postgres, metadata_settings},
    process::{until, wait_until},
};

const SECTIONS: &str = "[models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
    [syncs.person]\nmodel = \"people\"\nindexes = { id = \"id\" }\n";
const LEASE: &str = "sync:person";

/// A node whose metadata is in Postgres, with the connection that stands in for another process.
async fn node() -> (Node, Database, PgConnection) {
    let database = Postgres::database().await;
    let settings = metadata_settings(&database.url());
    metadata::Metadata::migrate(&settings).await.unwrap();
    let other = PgConnection::connect(&database.url()).await.unwrap();
    let warehouse = Warehouse::postgres().await;
    warehouse
        .execute(
            "create table people (id integer primary key, name text); insert into people values (1, 'Ann')",
        )
        .await;
    let sections = format!("[metadata]\nurl = \"{}\"\n{SECTIONS}", database.url());
    let node = Node::start(TempDir::new().unwrap(), warehouse, &sections).await;
    (node, database, other)
}

async fn expires_at(other: &mut PgConnection) -> i64 {
    let select = sqlx::query_scalar("select expires_at from leases where name = $1").bind(LEASE);
    select.fetch_one(other).await.unwrap()
}

/// Takes the lease as another process does after its expiry.
async fn take(other: &mut PgConnection) {
    let take = "update leases set holder = 'other', fencing = fencing + 1 where name = $1";
    assert_eq!(sqlx::query(take).bind(LEASE).execute(other).await.unwrap().rows_affected(), 1);
}

type Running = JoinHandle<Result<RunOutcome, Error>>;

/// A run that waits for its rows until the connection unlocks them.
async fn blocked_run(node: &Node) -> (PgConnection, Running) {
    let Warehouse::Postgres(database) = &node.warehouse else { panic!("Postgres") };
    let mut locked = PgConnection::connect(&database.url()).await.unwrap();
    let lock = "begin; lock table people in access exclusive mode; update people set name = 'Bob'";
    sqlx::raw_sql(lock).execute(&mut locked).await.unwrap();
    let Publisher { engine, metadata, .. } = node.publisher().await;
    let request = node.run_request("person", Trigger::Operator);
    let running = tokio::spawn(async move { engine.run(&request).await });
    until("a run under way", async || metadata.open_runs(&name("person")).await.unwrap().pop()).await;
    (locked, running)
}

async fn ends_without_its_lease(running: Running) {
    let record = soon("end of the run", running).await.unwrap().unwrap().record;
    assert_eq!((record.status, record.version), (RunStatus::Failed, None));
    assert_eq!(record.error.unwrap().code, "lease_lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn lease_is_renewed_while_it_is_held_and_released_when_it_is_dropped() {
    let (node, _database, mut other) = node().await;
    let engine = node.publisher().await.engine;
    let lease = engine.acquire_lease(&name("person")).await.unwrap();
    let first = expires_at(&mut other).await;
    until("renewal", async || (expires_at(&mut other).await > first).then_some(())).await;
    lease.confirm().await.unwrap();
    // As when its task panics.
    let panics = tokio::spawn(async move {
        let _held = lease;
        panic!("a fault injected by a test");
    });
    assert!(panics.await.unwrap_err().is_panic());
    until("release", async || (expires_at(&mut other).await == 0).then_some(())).await;
    let lease = engine.acquire_lease(&name("person")).await.unwrap();
    lease.release().await;
    assert_eq!(expires_at(&mut other).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_lease_ends_a_run_and_confirms_nothing() {
    let (node, _database, mut other) = node().await;
    let publisher = node.publisher().await;
    node.sync("person").await;
    let lease = publisher.engine.acquire_lease(&name("person")).await.unwrap();
    lease.confirm().await.unwrap();
    take(&mut other).await;
    assert_eq!(lease.confirm().await.unwrap_err().code(), "lease_lost");
    lease.release().await;
    assert!(expires_at(&mut other).await > 0, "that of the other holder stays");

    for unlocks_at_once in [false, true] {
        sqlx::query("update leases set expires_at = 0").execute(&mut other).await.unwrap();
        let (mut locked, running) = blocked_run(&node).await;
        take(&mut other).await;
        // The run notices the loss while it waits for its rows, or before it announces.
        if unlocks_at_once {
            sqlx::raw_sql("commit").execute(&mut locked).await.unwrap();
        }
        ends_without_its_lease(running).await;
        assert_eq!(node.version("person").await, Some(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lease_that_cannot_be_renewed_ends_a_run() {
    let (node, _database, mut other) = node().await;
    node.sync("person").await;
    let (_locked, running) = blocked_run(&node).await;
    sqlx::raw_sql("alter table leases rename to mislaid").execute(&mut other).await.unwrap();
    ends_without_its_lease(running).await;
    assert_eq!(node.version("person").await, Some(1));
}

/// Announces the present manifest again, as a merge of another publisher would.
async fn announce_other(publisher: &Publisher) {
    let newest = publisher.catalog.newest(None).await.unwrap().unwrap();
    let present = &newest.collections[&name("person")];
    let manifest = publisher.catalog.manifest(&name("person"), present).await.unwrap();
    let manifest = Manifest { run_id: run_id(), ..manifest };
    let change = Change::Collection {
        name: name("person"),
        from: Some(present.sha256),
        entry: publish(&publisher.catalog, &manifest).await,
        data_as_of: manifest.data_as_of,
        pause: None,
    };
    publisher.announcer.announce(change).await.unwrap();
}

/// The table is locked at every moment of the run but while it reads, so that each attempt can be overtaken.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_overtaken_three_times_is_given_up() {
    let (node, _metadata, _other) = node().await;
    node.sync("person").await;
    let publisher = node.publisher().await;
    let Warehouse::Postgres(database) = &node.warehouse else { panic!("Postgres") };
    database.execute("update people set name = 'Bob'").await;
    let waiting = async |count: usize| {
        let sql = "select count(*)::text from pg_locks where relation = 'people'::regclass and not granted";
        let is_so = async || database.value(sql).await == Some(count.to_string());
        wait_until("queries that wait for the lock", is_so).await;
    };
    let mut locked = database.lock("people").await;
    let (engine, request) = (publisher.engine.clone(), node.run_request("person", Trigger::Operator));
    let mut running = tokio::spawn(async move { engine.run(&request).await });
    let mut overtaken = BTreeSet::new();
    let ended = loop {
        tokio::select! {
            ended = &mut running => break ended.unwrap().unwrap(),
            () = waiting(1) => {}
        }
        let attempt = publisher.metadata.last_run(&name("person")).await.unwrap().unwrap();
        if overtaken.insert(attempt.id) {
            announce_other(&publisher).await;
        }
        // The next lock is first in the queue behind the query that waits.
        let mut next = Box::pin(database.lock("people"));
        tokio::select! {
            _ = &mut next => panic!("the table is locked"),
            () = waiting(2) => {}
        }
        drop(locked);
        locked = next.await;
    };
    assert_eq!((ended.record.status, overtaken.len()), (RunStatus::Superseded, 3), "{ended:?}");
    drop(locked);
    // Nothing is lost: the next run announces the change.
    assert_eq!(node.sync("person").await.record.status, RunStatus::Announced);
}
