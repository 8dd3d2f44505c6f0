//! Every way from one version to another: a cache that stands at any version, and is shown any
//! other by a rollback, a pin, or the end of one, serves what was announced there.

use std::{collections::BTreeMap, sync::Arc};

use larder::{
    cache::{Cache, Lookup, Slot},
    disk::{SegmentBuffer, SegmentDirectory},
    domain::manifest::{Manifest, SegmentKind, Version},
    replica::{CacheTarget, Plan, Target, plan},
    support::clock::Clock,
};
use serde_json::Value;
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use crate::support::{
    catalog::name,
    node::{Node, Warehouse, tester},
};

const SECTIONS: &str = "[models.people]\nsource = \"warehouse\"\nsql = \"select * from people\"\nprimary_key = \"id\"\n\
    [syncs.person]\nmodel = \"people\"\nindexes = { id = \"id\", email = \"email\" }\nmax_removed = \"100%\"\n";

type Names = BTreeMap<i64, String>;

/// Versions with what they serve.
struct History {
    node: Node,
    versions: Vec<(Manifest, Names)>,
}

impl History {
    async fn note(&mut self, names: Names) {
        let catalog = self.node.publisher().await.catalog;
        let entry = catalog.newest(None).await.unwrap().unwrap().collections.remove("person").unwrap();
        let manifest = catalog.manifest(&name("person"), &entry).await.unwrap();
        assert_eq!(manifest.version.0, self.versions.len() as u64 + 1);
        self.versions.push((manifest, names));
    }

    async fn sync(&mut self, sql: &str) {
        self.node.warehouse.execute(sql).await;
        self.node.sync("person").await;
        self.note(self.rows().await).await;
    }

    async fn rollback(&mut self, to: usize) {
        let publisher = self.node.publisher().await;
        let done = publisher.rollback(&name("person"), Version(to as u64), &tester()).await.unwrap();
        assert_eq!((done.from.0, done.version.0), (self.versions.len() as u64, done.from.0 + 1));
        let (target, names) = self.versions[to - 1].clone();
        assert_eq!(done.data_as_of, target.data_as_of);
        self.node.await_version("person", done.version.0).await;
        self.note(names).await;
    }

    /// What the model has: the test's own reading of it.
    async fn rows(&self) -> Names {
        let Warehouse::Sqlite(path) = &self.node.warehouse else { panic!("a file") };
        let options = SqliteConnectOptions::new().filename(path);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let rows: Vec<(i64, String)> =
            sqlx::query_as("select id, name from people").fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        rows.into_iter().collect()
    }
}

/// What `cache` serves, found by both indexes.
fn served(cache: &Cache) -> Names {
    let Slot::Loaded(collection) = cache.collection("person") else { panic!("it is served") };
    let mut names = Names::new();
    let mut out = Vec::new();
    for id in 0..20 {
        if let Lookup::Hit { .. } = collection.lookup("id", &id.to_string(), &mut out) {
            let record: Value = serde_json::from_slice(&out).unwrap();
            names.insert(id, record["name"].as_str().unwrap().to_owned());
            let by_email = collection.lookup("email", record["email"].as_str().unwrap(), &mut out);
            assert!(matches!(by_email, Lookup::Hit { .. }));
        }
    }
    assert_eq!(collection.records(), names.len() as u64);
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_can_be_reached_from_every_other() {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse
        .execute(
            "create table people (id integer primary key, email text, name text);
             with recursive n(i) as (select 1 union all select i + 1 from n where i < 12)
             insert into people select i, 'p' || i || '@example.com', 'First ' || i from n;",
        )
        .await;
    let mut history =
        History { node: Node::start(directory, warehouse, SECTIONS).await, versions: Vec::new() };
    history.sync("select 1").await;
    history.sync("update people set name = 'Second 1' where id = 1; delete from people where id = 2").await;
    history.sync("insert into people values (13, 'p13@example.com', 'Third 13')").await;
    history.rollback(1).await;
    // The model still has the rolled-back rows, so the next run brings them back as other changes.
    history.sync("update people set name = 'Fifth 3', email = 'fifth@example.com' where id = 3").await;
    history.sync("delete from people where id = 1").await;
    history.rollback(2).await;
    history.rollback(5).await;
    history.sync("update people set name = 'Ninth 4' where id in (4, 13)").await;
    history.rollback(7).await;
    history.rollback(9).await;

    let publisher = history.node.publisher().await;
    let segments =
        SegmentDirectory::open(&history.node.directory.path().join("other"), Clock::default()).unwrap();
    let mut labels = BTreeMap::new();
    let mut ways = BTreeMap::new();
    for (from, before) in &history.versions {
        // One name, one set of records, on one base.
        let base: Vec<_> = from.segments.iter().filter(|it| it.kind == SegmentKind::Base).collect();
        let base: Vec<_> = base.iter().map(|segment| segment.sha256.to_string()).collect();
        let label = (base, from.segments.last().unwrap().version);
        assert_eq!(labels.entry(label).or_insert_with(|| before.clone()), before);

        for (to, after) in &history.versions {
            let cache = Cache::new();
            let target = CacheTarget::new(cache.clone());
            let load = async |wanted: &[larder::domain::manifest::SegmentReference]| {
                let mut buffers: Vec<SegmentBuffer> = Vec::new();
                for segment in wanted {
                    buffers.push(segments.load(publisher.catalog.store(), segment).await.unwrap());
                }
                buffers
            };
            target.build(Arc::new(from.clone()), load(&from.segments).await).unwrap();
            assert_eq!(&served(&cache), before, "version {}", from.version);
            let to = Arc::new(to.clone());
            let way = match plan(Some(from), &to) {
                Plan::Nothing => "nothing",
                Plan::Adopt => {
                    target.adopt(Arc::clone(&to)).unwrap();
                    "adopt"
                }
                Plan::Changes(changes) => {
                    target.apply(Arc::clone(&to), load(&changes).await).unwrap();
                    "apply"
                }
                // A base of that many segments is not among these.
                Plan::Base | Plan::Relocate => {
                    target.build(Arc::clone(&to), load(&to.segments).await).unwrap();
                    "build"
                }
            };
            *ways.entry(way).or_insert(0) += 1;
            assert_eq!(&served(&cache), after, "{way} from {} to {}", from.version, to.version);
            assert_eq!(target.served(&name("person")).unwrap().version, to.version);
        }
    }
    assert_eq!(ways.len(), 4, "every way was gone: {ways:?}");
}
