//! Held runs: what a guard compares with, and what a run does while an earlier one is held.

use std::path::PathBuf;

use larder::{
    domain::{id::RunId, run::RunStatus},
    engine::{RunOutcome, Trigger},
};
use tempfile::TempDir;

use crate::support::{
    catalog::name,
    deployment::files,
    node::{Node, Warehouse},
};

const ROWS: &str = "create table people (id integer primary key, other text, tags json);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 100)
    insert into people select i, 'other ' || i, '[]' from n;";

fn sections(key: &str, on_delete: &str, sql: &str) -> String {
    format!(
        "[models.people]\nsource = \"warehouse\"\nsql = \"{sql}\"\nprimary_key = \"{key}\"\n\
         [syncs.person]\nmodel = \"people\"\non_delete = \"{on_delete}\"\n\
         [syncs.person.indexes]\nid = \"{key}\"\ntag = {{ column = \"tags\", each = true }}\n"
    )
}

const ALL: &str = "select * from people";

/// A node that serves the hundred records.
async fn node(on_delete: &str) -> Node {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse.execute(ROWS).await;
    let node = Node::start(directory, warehouse, &sections("id", on_delete, ALL)).await;
    assert_eq!(node.sync("person").await.record.counts.records, 100);
    node
}

/// The objects of the collection in the store.
fn objects(node: &Node) -> Vec<PathBuf> {
    let runs = std::fs::read_dir(node.directory.path().join("data/store/collections/person")).unwrap();
    let mut objects: Vec<_> = runs.flat_map(|run| files(&run.unwrap().path())).collect();
    objects.sort();
    objects
}

/// A run as the schedule starts it.
async fn scheduled(node: &Node) -> RunOutcome {
    let engine = node.publisher().await.engine;
    engine.run(&node.run_request("person", Trigger::Schedule)).await.unwrap()
}

fn held(outcome: &RunOutcome, code: &str) -> RunId {
    let RunOutcome { record, .. } = outcome;
    assert_eq!(record.status, RunStatus::Held, "{record:?}");
    assert_eq!(record.error.as_ref().unwrap().code, code);
    record.id
}

#[tokio::test(flavor = "multi_thread")]
async fn run_that_is_held_before_is_compared_without_writing() {
    for (change, code, rows, other) in [
        ("delete from people where id > 50", "max_removed", 50, "delete from people"),
        ("delete from people", "no_rows", 0, "insert into people select i, '', '[]' from (select 1 as i)"),
        ("update people set tags = '[broken'", "max_rejected", 100, "delete from people"),
        // The columns alone decide: no row is read.
        (
            "alter table people add column extra text",
            "fields_changed",
            0,
            "alter table people add column more text",
        ),
    ] {
        let node = node("delete").await;
        let metadata = node.publisher().await.metadata;
        node.warehouse.execute("create table backup as select * from people").await;
        node.warehouse.execute(change).await;
        let id = held(&node.sync("person").await, code);
        let (written, result) = (objects(&node), metadata.held_run(&name("person")).await.unwrap());
        for round in 0..2 {
            assert_eq!(held(&scheduled(&node).await, code), id, "{code} {round}");
            assert_eq!(objects(&node), written, "{code} {round}");
            assert_eq!(metadata.held_run(&name("person")).await.unwrap(), result, "{code} {round}");
            let last = metadata.last_run(&name("person")).await.unwrap().unwrap();
            assert_eq!((last.status, last.counts.rows), (RunStatus::StillHeld, rows), "{code} {round}");
        }
        // An operator's run comes to the same result, and leaves the id that somebody has written down.
        assert_eq!(held(&node.sync("person").await, code), id, "{code}");
        assert_eq!(objects(&node), written, "{code}");
        assert_eq!(metadata.held_run(&name("person")).await.unwrap(), result, "{code}");
        // Another reason, or other changed fields: a result of its own.
        node.warehouse.execute(other).await;
        let ended = scheduled(&node).await;
        assert_eq!(ended.record.status, RunStatus::Held, "{code}");
        assert_ne!(ended.record.id, id, "{code}");
        assert_eq!(metadata.run(id).await.unwrap().unwrap().status, RunStatus::Superseded, "{code}");
        assert_ne!(objects(&node), written, "{code}");

        // The model is right again, with one change.
        node.warehouse
            .execute(
                "drop table people; create table people (id integer primary key, other text, tags json);
                 insert into people select * from backup; update people set other = 'new' where id = 7",
            )
            .await;
        let ended = node.sync("person").await;
        assert_eq!((ended.record.status, ended.record.counts.changed), (RunStatus::Announced, 1), "{code}");
        assert_eq!(metadata.held_run(&name("person")).await.unwrap(), None, "{code}");
        assert_eq!(node.record("person", "id", "7").await.unwrap()["other"], "new");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_run_takes_the_place_of_a_held_one_when_its_result_is_another() {
    let node = node("delete").await;
    let metadata = node.publisher().await.metadata;
    node.warehouse
        .execute("delete from people where id > 50; update people set other = 'a' where id < 9")
        .await;
    let mut id = held(&node.sync("person").await, "max_removed");
    for (change, code, is_same) in [
        // All counts stay.
        ("update people set other = 'b' where id = 1", "max_removed", false),
        ("update people set other = 'a' where id = 1", "max_removed", false),
        ("update people set other = 'a' where id = 1", "max_removed", true),
        ("update people set tags = '[\"new\"]' where id = 1", "max_removed", false),
        (
            "update people set other = 'other 1', tags = '[]' where id = 1; update people set other = 'a' where id = 9",
            "max_removed",
            false,
        ),
        ("delete from people where id = 50", "max_removed", false),
        ("insert into people select 51, 'other 51', '[]'", "max_removed", false),
        // Rejected rows alone: the same number of others.
        ("update people set tags = '[broken' where id between 11 and 30", "max_removed", false),
        (
            "update people set tags = '[]' where id = 11; update people set tags = '[broken' where id = 31",
            "max_removed",
            false,
        ),
        ("select 1", "max_removed", true),
    ] {
        node.warehouse.execute(change).await;
        let own = held(&node.sync("person").await, code);
        assert_eq!(own == id, is_same, "{change}");
        let present = metadata.held_run(&name("person")).await.unwrap().unwrap();
        assert_eq!(present.record.id, own, "{change}");
        id = own;
    }
    // What is approved is what was shown.
    node.warehouse.execute("delete from people").await;
    held(&scheduled(&node).await, "no_rows");
    assert_eq!(metadata.run(id).await.unwrap().unwrap().status, RunStatus::Superseded);
}

/// The rows of a new base arrive in any order, and each run has a dictionary and a seed of its own.
#[tokio::test(flavor = "multi_thread")]
async fn held_run_of_many_rows_is_recognized_in_any_order() {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse.execute(&ROWS.replace("i < 100", "i < 30000")).await;
    warehouse.execute("update people set tags = '[broken' where id % 5 = 0").await;
    let node = Node::start(directory, warehouse, &sections("id", "delete", ALL)).await;
    // A first run.
    let id = held(&node.sync("person").await, "max_rejected");
    assert_eq!(held(&node.sync("person").await, "max_rejected"), id);
    node.warehouse.execute("update people set other = 'x' where id = 1").await;
    let id_of_other = held(&node.sync("person").await, "max_rejected");
    assert_ne!(id_of_other, id);
    node.sync_with("person", true, false).await;
    // Another primary key.
    node.configure(&sections("other", "delete", ALL));
    let id = held(&node.sync("person").await, "max_rejected");
    assert_eq!(held(&node.sync("person").await, "max_rejected"), id);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_configuration_or_collection_makes_a_held_run_of_its_own() {
    let node = node("delete").await;
    let publisher = node.publisher().await;
    node.warehouse.execute("delete from people where id > 50").await;
    let first = held(&scheduled(&node).await, "max_removed");
    // Another mapping: the result that is held is not what would be announced.
    let fields =
        format!("{}[syncs.person.fields]\nid = \"id\"\ntags = \"tags\"\n", sections("id", "delete", ALL));
    node.configure(&fields);
    let second = held(&scheduled(&node).await, "max_removed");
    assert_ne!(second, first);
    // The same fields, from other columns.
    node.configure(&fields.replace("tags = \"tags\"\n", "tags = \"other\"\n"));
    let swapped = held(&scheduled(&node).await, "max_removed");
    assert_ne!(swapped, second);
    node.configure(&fields);
    let mut second = held(&scheduled(&node).await, "max_removed");
    assert_ne!(second, swapped);
    // The manifest of the held run is damaged or lost.
    for damage in [Some("{"), None] {
        let result = publisher.metadata.held_run(&name("person")).await.unwrap().unwrap();
        let file = node.directory.path().join("data/store").join(&result.manifest);
        match damage {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let again = held(&scheduled(&node).await, "max_removed");
        assert_ne!(again, second, "{damage:?}");
        second = again;
    }
    // Another base.
    let spec = node.run_request("person", Trigger::Schedule).spec;
    let serving = larder::domain::manifest::ServingSettings {
        cache_control: Some("private, max-age=9".to_owned()),
        ..spec.serving.clone()
    };
    let changed = larder::engine::SyncSpec { serving, ..spec };
    assert!(publisher.engine.announce_settings(&changed).await.unwrap());
    let third = held(&scheduled(&node).await, "max_removed");
    assert_ne!(third, second);
    assert_eq!(held(&scheduled(&node).await, "max_removed"), third);
}

#[tokio::test(flavor = "multi_thread")]
async fn guards_compare_with_the_records_of_the_base_whatever_changed() {
    let few = "select * from people where id <= 50";
    for (key, on_delete, sql, expected) in [
        // Another primary key column, and the rows are gone, fewer, or all there.
        ("other", "delete", "select * from people where id < 0", Some("no_rows")),
        ("other", "delete", few, Some("max_removed")),
        (
            "other",
            "delete",
            "select id, case when id > 60 then other end as other, tags from people",
            Some("max_removed"),
        ),
        ("other", "delete", ALL, None),
        // Another index, mapping or query.
        ("id", "delete", few, Some("max_removed")),
        ("id", "keep", few, Some("max_removed")),
    ] {
        let node = node("delete").await;
        let text = sections(key, on_delete, sql).replace("tag = {", "label = {");
        node.configure(&text);
        let record = node.sync("person").await.record;
        let code = record.error.as_ref().map(|error| error.code.as_str());
        assert_eq!(code, expected, "{key} {sql}: {record:?}");
        let status = if expected.is_some() { RunStatus::Held } else { RunStatus::Announced };
        assert_eq!(record.status, status, "{key} {sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retained_records_neither_hide_a_loss_nor_vanish_unguarded() {
    let node = node("keep").await;
    node.warehouse.execute("delete from people where id > 40").await;
    assert_eq!(node.sync_with("person", true, false).await.record.counts.left, 60);
    // 13 of the 40 that had a row, although 100 are served.
    node.warehouse
        .execute("create table gone as select * from people where id > 27; delete from people where id > 27")
        .await;
    held(&node.sync("person").await, "max_removed");
    node.warehouse.execute("insert into people select * from gone").await;
    assert_eq!(node.sync("person").await.record.status, RunStatus::Unchanged);
    // `on_delete` deletes them now, or another primary key leaves them out.
    for text in [sections("id", "delete", ALL), sections("other", "keep", ALL)] {
        node.configure(&text);
        held(&node.sync("person").await, "max_removed");
        assert!(node.record("person", "id", "100").await.is_some());
    }
}
