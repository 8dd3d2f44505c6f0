//! A bucket, two databases, and nodes for publishers and replicas around them.

use std::net::SocketAddr;

use serde_json::Value;

use crate::support::{
    deployment::{Deployment, NodeDirectory},
    postgres::{Database, Postgres},
    process::{Process, until},
    s3::{S3, section},
};

/// Short intervals of polls and runs.
const POLL: &str = "100ms";

/// See the module.
pub(super) struct Fixture {
    pub(super) deployment: Deployment,
    pub(super) bucket: String,
    pub(super) warehouse: Database,
    pub(super) books: Database,
}

impl Fixture {
    /// A fixture whose warehouse has `rows` people, each with the note `0`. Metadata is migrated.
    pub(super) async fn new(rows: u32) -> Self {
        let (warehouse, books) = (Postgres::database().await, Postgres::database().await);
        warehouse
            .execute(&format!(
                "create table people (id integer primary key, note integer not null); \
                 insert into people select at, 0 from generate_series(1, {rows}) as at"
            ))
            .await;
        let fixture = Self { deployment: Deployment::new(), bucket: S3::bucket().await, warehouse, books };
        fixture.publisher("migrating", S3::server().await.address(), "manual").output(&["migrate"]).await;
        fixture
    }

    /// Where the store is, without a proxy.
    pub(super) async fn store(&self) -> SocketAddr {
        S3::server().await.address()
    }

    /// The sections that every node has.
    pub(super) fn frame(&self, name: &str, region: &str, role: &str, store: SocketAddr) -> String {
        format!(
            "[node]\nregion = \"{region}\"\nroles = [\"{role}\"]\ndata_dir = \"{name}\"\n\
             [server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\n\
             [storage]\nurl = \"s3://{}/larder\"\npoll_interval = \"{POLL}\"\n{}",
            self.bucket,
            section(store)
        )
    }

    /// A publisher: the sync `person` for all regions, `european` for one.
    pub(super) fn publisher(&self, name: &str, store: SocketAddr, schedule: &str) -> NodeDirectory {
        let sections = format!(
            "[metadata]\nurl = \"{}\"\n[sources.warehouse]\ntype = \"postgres\"\nurl = \"{}\"\n\
             [models.people]\nsource = \"warehouse\"\ntable = \"public.people\"\nprimary_key = \"id\"\n\
             [syncs.person]\nmodel = \"people\"\nschedule = \"{schedule}\"\nindexes = {{ id = \"id\" }}\n\
             [syncs.european]\nmodel = \"people\"\nregions = [\"eu\"]\nindexes = {{ id = \"id\" }}\n",
            self.books.url(),
            self.warehouse.url()
        );
        self.deployment.node_from(name, self.frame(name, "hub", "publisher", store), &sections)
    }

    /// A replica, which knows of the store alone.
    pub(super) fn replica(&self, name: &str, region: &str, store: SocketAddr) -> NodeDirectory {
        self.deployment.node_from(name, self.frame(name, region, "replica", store), "")
    }

    /// Gives every person the note `note`.
    pub(super) async fn note(&self, note: u64) {
        self.warehouse.execute(&format!("update people set note = {note}")).await;
    }

    /// Gives every person the note `note` and announces it; the version.
    pub(super) async fn announce(&self, publisher: &NodeDirectory, note: u64) -> u64 {
        self.note(note).await;
        let text = publisher.output(&["sync", "person", "--json"]).await;
        let run: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(run["status"], "announced", "{run}");
        run["version"].as_u64().unwrap()
    }
}

/// The note of person 1, as a node serves it.
pub(super) async fn note(node: &Process, key: &str) -> Option<u64> {
    let answer = node.get(key, "person", 1).await;
    (answer.status == 200).then(|| answer.json()["note"].as_u64().unwrap())
}

/// Waits until a node serves `expected`.
pub(super) async fn await_note(node: &Process, key: &str, expected: u64) {
    until("a note", async || (note(node, key).await == Some(expected)).then_some(())).await;
}
