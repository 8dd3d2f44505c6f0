//! Segments that are written again: change segments that are merged, and segments that hold duplicate keys.

use std::{collections::BTreeMap, fs};

use larder::{
    domain::{
        manifest::{Manifest, SegmentKind},
        run::RunStatus,
    },
    engine::Trigger,
};
use tempfile::TempDir;

use crate::support::{
    catalog::name,
    deployment::{files, has_suffix},
    node::{Node, Warehouse},
};

const SECTIONS: &str = "[models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
    [syncs.person]\nmodel = \"people\"\nindexes = { id = \"id\" }\n";

async fn node(sql: &str, sections: &str) -> Node {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse.execute(sql).await;
    Node::start(directory, warehouse, sections).await
}

async fn manifest(node: &Node) -> Manifest {
    let catalog = node.publisher().await.catalog;
    let newest = catalog.newest(None).await.unwrap().unwrap();
    catalog.manifest(&name("person"), &newest.collections["person"]).await.unwrap()
}

/// Stops the node, deletes what it has locally except metadata, and starts it again.
async fn restart_empty(node: &mut Node) {
    node.stop().await;
    let data = node.directory.path().join("data");
    for entry in fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("store") {
            fs::remove_dir_all(path).unwrap();
        } else if path.to_str().unwrap().contains("state") {
            fs::remove_file(path).unwrap();
        }
    }
    node.resume().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn merged_changes_are_the_last_ones_of_all_versions_but_the_newest() {
    let mut node = node(
        "create table people (id integer primary key, name text);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000)
         insert into people select i, 'first ' || i from n;",
        SECTIONS,
    )
    .await;
    node.sync("person").await;
    let mut expected: BTreeMap<u64, Option<String>> =
        (1..=1000).map(|id| (id, Some(format!("first {id}")))).collect();
    let engine = node.publisher().await.engine;
    let request = node.run_request("person", Trigger::Operator);
    let mut merged = None;
    for round in 0..80 {
        // Of two records one changes in turn, one comes and goes, and one changes once.
        let (turn, once) = (1 + round % 2, 100 + round);
        node.warehouse
            .execute(&format!("update people set name = 'round {round}' where id in ({turn}, {once})"))
            .await;
        for id in [turn, once] {
            expected.insert(id, Some(format!("round {round}")));
        }
        if round % 3 == 0 {
            node.warehouse.execute("delete from people where id = 5").await;
            expected.insert(5, None);
        } else if round % 3 == 1 {
            node.warehouse.execute(&format!("insert into people values (5, 'back {round}')")).await;
            expected.insert(5, Some(format!("back {round}")));
        }
        let before = manifest(&node).await;
        let record = engine.run(&request).await.unwrap().record;
        assert_eq!(record.status, RunStatus::Announced);
        let after = manifest(&node).await;
        if after.run_id != record.id {
            merged = Some((before, after));
            break;
        }
    }
    let (before, after) = merged.expect("change segments are merged");
    let changes: Vec<_> = after.segments.iter().filter(|it| it.kind == SegmentKind::Changes).collect();
    let [earlier, last] = changes[..] else { panic!("{changes:?}") };
    // A follower that serves the version before finds it here, and need not rebuild.
    assert_eq!((earlier.version, last.version), (before.version, after.version));
    assert_eq!(after.version.0, before.version.0 + 1);
    assert_eq!(after.segments[0], before.segments[0], "the base stays");
    assert!(before.change_segments() >= 64, "it is not merged before there are many");

    restart_empty(&mut node).await;
    node.await_version("person", after.version.0).await;
    let ids: Vec<String> = expected.keys().map(ToString::to_string).collect();
    let answers = node.get_many("person", "id", &ids).await;
    for ((id, name), answer) in expected.iter().zip(answers) {
        match name {
            Some(name) => assert_eq!(answer.json()["name"], **name, "{id}"),
            None => assert_eq!(answer.status, 404, "{id}"),
        }
    }
    assert_eq!(node.sync("person").await.record.status, RunStatus::Unchanged);
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_with_duplicate_keys_are_replaced_one_by_one() {
    // Three segments; rows of the first and of the last one have duplicates at the end.
    let mut node = node(
        "create table people (id text, name text);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 400)
         insert into people select 'key ' || i, hex(randomblob(50000)) from n;
         insert into people values ('key 10', 'again'), ('key 390', 'again'), ('key 391', 'again');",
        &format!("{SECTIONS}compression = \"none\"\n"),
    )
    .await;
    let counts = node.sync("person").await.record.counts;
    assert_eq!((counts.rejected, counts.records), (6, 397));
    let segments = manifest(&node).await.segments;
    assert!(segments.len() >= 3, "{segments:?}");
    assert_eq!(segments.iter().map(|segment| segment.rows).sum::<u64>(), 397);
    let runs = node.directory.path().join("data/store/collections/person");
    let stored: u64 = fs::read_dir(runs)
        .unwrap()
        .flat_map(|run| files(&run.unwrap().path()))
        .filter(|path| has_suffix(path, ".arrow"))
        .map(|path| path.metadata().unwrap().len())
        .sum();
    assert_eq!(stored, segments.iter().map(|segment| segment.bytes).sum::<u64>(), "nothing else is stored");
    restart_empty(&mut node).await;
    node.await_version("person", 1).await;
    for (id, status) in
        [(1, 200), (10, 404), (11, 200), (200, 200), (389, 200), (390, 404), (391, 404), (400, 200)]
    {
        assert_eq!(node.get("person", "id", &format!("key%20{id}")).await.status, status, "{id}");
    }

    // Nothing is left of a segment.
    node.warehouse.execute("insert into people values ('new', 'a'), ('new', 'b')").await;
    let ended = node.sync("person").await.record;
    assert_eq!((ended.status, ended.counts.rejected), (RunStatus::Unchanged, 8));
    assert_eq!(manifest(&node).await.segments, segments);
}
