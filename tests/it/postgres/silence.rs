//! Connections that went silent are given up, and slow queries are not.

use std::fs;

use larder::{metadata::Metadata, support::clock::Clock};

use super::{metadata, source};
use crate::support::{
    postgres::{Database, Postgres},
    process::wait_until,
    proxy::{NetworkFault, Proxy},
    source::{open_within, read},
};

/// The URL of `database` at another port.
fn through(proxy: &Proxy, database: &Database, parameters: &str) -> String {
    let url = database.url().replace(&database.port().to_string(), &proxy.address().port().to_string());
    format!("{url}?sslmode=disable&{parameters}")
}

#[tokio::test]
async fn a_connection_that_went_silent_is_lost_whatever_the_statement_timeout() {
    let database = Postgres::database().await;
    database
        .execute("create table t as select i as id, repeat('x', 100) as v from generate_series(1, 200000) i")
        .await;
    let proxy = Proxy::start(format!("127.0.0.1:{}", database.port()).parse().unwrap()).await;
    let url = through(&proxy, &database, "keepalives_idle=1&keepalives_interval=1");
    let section = format!("type = \"postgres\"\nurl = {url:?}\n");
    // In the middle of rows, and before the first row.
    for bytes in [500_000, 1_600] {
        proxy.set(NetworkFault::Swallow(bytes));
        let error = read(&open_within(&section, "1h", "5s"), "select * from t").await.unwrap_err();
        assert_eq!(error.code(), "source_connection_lost", "{bytes}: {error}");
    }
    // A query that waits for a lock is not lost.
    proxy.set(NetworkFault::None);
    let locked = database.lock("t").await;
    let slow = open_within(&section, "1h", "5s");
    let run = tokio::spawn(async move { read(&slow, "select * from t").await.map(|_| ()) });
    let waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    wait_until("a query that waits", async || database.value(waits).await.as_deref() == Some("1")).await;
    assert!(!run.is_finished());
    drop(locked);
    run.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_servers_own_timeout_is_distinguished_from_a_lost_connection() {
    let database = Postgres::database().await;
    database
        .execute("create table t as select i as id, repeat('x', 100) as v from generate_series(1, 200000) i")
        .await;
    let proxy = Proxy::start(format!("127.0.0.1:{}", database.port()).parse().unwrap()).await;
    let url = through(&proxy, &database, "keepalives=0");
    proxy.set(NetworkFault::Swallow(500_000));
    let section = format!("type = \"postgres\"\nurl = {url:?}\n");
    let error = read(&open_within(&section, "1s", "5s"), "select * from t").await.unwrap_err();
    assert_eq!(error.code(), "source_connection_lost", "{error}");
}

#[tokio::test]
async fn a_slow_query_is_waited_for() {
    let database = Postgres::database().await;
    let url = format!("{}?keepalives_idle=1&keepalives_interval=1", database.url());
    let rows = read(&source(&url), "select 1 as id from pg_sleep(6)").await.unwrap().rows();
    assert_eq!(rows.len(), 1);
}

/// The number of this process's connections to `port` with a keepalive timer (`tr` 2 in `/proc/net/tcp`).
fn with_keepalive(port: u16) -> (usize, usize) {
    let connections = fs::read_to_string("/proc/self/net/tcp").unwrap();
    let remote = format!(":{port:04X}");
    let established = connections.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let own =
        established.filter(|fields| fields.len() > 5 && fields[2].ends_with(&remote) && fields[3] == "01");
    let own: Vec<_> = own.collect();
    (own.len(), own.iter().filter(|fields| fields[5].starts_with("02:")).count())
}

#[tokio::test]
async fn connections_have_keepalives_unless_the_url_says_no() {
    let database = Postgres::own_server().await;
    Metadata::migrate(&metadata(&database.url())).await.unwrap();
    let handle = Metadata::open(&metadata(&database.url()), Clock::default()).await.unwrap();
    handle.deployment().await.unwrap();
    wait_until("a keepalive", async || with_keepalive(database.port()) == (1, 1)).await;
    let without = format!("{}?keepalives=0", database.url());
    let second = Metadata::open(&metadata(&without), Clock::default()).await.unwrap();
    second.deployment().await.unwrap();
    wait_until("one more", async || with_keepalive(database.port()) == (2, 1)).await;
}
