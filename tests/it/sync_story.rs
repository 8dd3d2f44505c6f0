//! Syncs from end to end, on both sources: rows are inserted, changed and deleted in a warehouse, and
//! compared with the answers of the server.

use larder::domain::{limits::CHANGED_VERSIONS_MAX, run::RunStatus};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    catalog::name,
    node::{Node, Warehouse},
    process::wait_until,
};

const ROWS: &str = "
    create table people (id integer primary key, email text, name text, tags json, score integer);
    insert into people values
        (1, 'Ann@Example.com', 'Ann', '[\"a\",\"b\"]', 10),
        (2, ' bob@example.com', 'Bøb', null, null),
        (3, null, 'Cé\"line', '[]', -5);
";

fn sections(on_delete: &str, fields: &str) -> String {
    format!(
        "[models.people]\nsource = \"warehouse\"\nsql = \"select * from people\"\nprimary_key = \"id\"\n\
         [syncs.person]\nmodel = \"people\"\non_delete = \"{on_delete}\"\n\
         [syncs.person.indexes]\nid = \"id\"\n\
         email = {{ column = \"email\", normalize = [\"trim\", \"lowercase\"] }}\n\
         tag = {{ column = \"tags\", each = true }}\n{fields}"
    )
}

async fn node(postgres: bool, on_delete: &str, fields: &str) -> Node {
    let directory = TempDir::new().unwrap();
    let warehouse = if postgres { Warehouse::postgres().await } else { Warehouse::sqlite(directory.path()) };
    warehouse.execute(ROWS).await;
    Node::start(directory, warehouse, &sections(on_delete, fields)).await
}

async fn names(node: &Node) -> Vec<Option<Value>> {
    let mut names = Vec::new();
    for id in ["1", "2", "3", "4"] {
        names.push(node.record("person", "id", id).await.map(|record| record["name"].clone()));
    }
    names
}

async fn inserts_updates_and_deletes_are_served(postgres: bool) {
    let node = node(postgres, "delete", "").await;
    let ended = node.sync("person").await;
    assert_eq!(ended.record.status, RunStatus::Announced);
    assert_eq!((ended.record.counts.rows, ended.record.counts.added), (3, 3));
    let answer = node.get("person", "id", "1").await;
    assert_eq!(
        answer.text(),
        r#"{"id":1,"email":"Ann@Example.com","name":"Ann","tags":["a","b"],"score":10}"#
    );
    let bob = json!({"id": 2, "email": " bob@example.com", "name": "Bøb", "tags": null, "score": null});
    assert_eq!(node.record("person", "email", "BOB@example.com").await, Some(bob));
    assert_eq!(node.record("person", "tag", "b").await.unwrap()["id"], 1);
    assert_eq!(node.record("person", "id", "0003").await.unwrap()["name"], "Cé\"line");

    let ended = node.sync("person").await;
    assert_eq!(ended.record.status, RunStatus::Unchanged);

    node.warehouse
        .execute(
            "update people set name = 'Anna', email = 'anna@example.com' where id = 1;
             delete from people where id = 2;
             insert into people values (4, 'ann@example.com', 'Other Ann', '[\"b\"]', 1);",
        )
        .await;
    let ended = node.sync("person").await;
    let counts = ended.record.counts;
    assert_eq!((counts.added, counts.changed, counts.removed, counts.records), (1, 1, 1, 3));
    // Two people have the tag b: the lower key holds it, and the other is listed.
    assert_eq!(counts.conflicts, 1);
    let listed: Vec<_> =
        ended.rejected.iter().map(|row| (row.reason.as_str(), row.primary_key.as_deref())).collect();
    assert_eq!(listed, [("index_conflict", Some("4"))]);
    assert_eq!(
        names(&node).await,
        [Some(json!("Anna")), None, Some(json!("Cé\"line")), Some(json!("Other Ann"))]
    );
    assert_eq!(node.record("person", "email", "ann@example.com").await.unwrap()["id"], 4);
    assert_eq!(node.record("person", "email", "anna@example.com").await.unwrap()["id"], 1);
    assert_eq!(node.record("person", "tag", "b").await.unwrap()["id"], 1);

    // The record that holds a contested value goes: the value passes to the next one.
    node.warehouse.execute("delete from people where id = 1").await;
    node.sync("person").await;
    assert_eq!(node.record("person", "tag", "b").await.unwrap()["id"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn inserts_updates_and_deletes_of_sqlite_are_served() {
    inserts_updates_and_deletes_are_served(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inserts_updates_and_deletes_of_postgres_are_served() {
    inserts_updates_and_deletes_are_served(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_records_stay_until_their_row_comes_back() {
    let node = node(false, "keep", "").await;
    node.sync("person").await;
    node.warehouse.execute("delete from people where id = 2").await;
    let ended = node.sync("person").await;
    let counts = ended.record.counts;
    assert_eq!(
        (ended.record.status, counts.removed, counts.left, counts.records),
        (RunStatus::Announced, 1, 1, 3)
    );
    assert_eq!(node.record("person", "email", "bob@example.com").await.unwrap()["name"], "Bøb");
    // The record left in the run before: this one finds no change.
    let ended = node.sync("person").await;
    assert_eq!((ended.record.status, ended.record.counts.removed), (RunStatus::Unchanged, 0));
    node.warehouse.execute("insert into people values (2, 'b@b.b', 'Bob again', null, 7)").await;
    let ended = node.sync("person").await;
    assert_eq!((ended.record.counts.changed, ended.record.counts.left), (1, 0));
    assert_eq!(node.record("person", "id", "2").await.unwrap()["name"], "Bob again");
    assert_eq!(node.record("person", "email", "bob@example.com").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn cleared_records_keep_their_keys_only() {
    let fields = "[syncs.person.fields]\nid = \"id\"\n\"contact.email\" = \"email\"\n\"contact.name\" = \"name\"\n\
                  score = { column = \"score\", as = \"string\" }\nbrand = { value = \"Acme\" }\n";
    let node = node(false, "clear", fields).await;
    node.sync("person").await;
    let ann = json!({"id": 1, "contact": {"email": "Ann@Example.com", "name": "Ann"}, "score": "10", "brand": "Acme"});
    assert_eq!(node.record("person", "id", "1").await, Some(ann));
    node.warehouse.execute("delete from people where id = 1").await;
    let ended = node.sync("person").await;
    assert_eq!((ended.record.counts.removed, ended.record.counts.left), (1, 1));
    let cleared =
        json!({"id": 1, "contact": {"email": "Ann@Example.com", "name": null}, "score": null, "brand": null});
    assert_eq!(node.record("person", "email", "ann@example.com").await, Some(cleared));
    assert_eq!(node.sync("person").await.record.status, RunStatus::Unchanged);
    // A changed `on_delete` applies to records that left earlier.
    node.configure(&sections("delete", fields));
    let ended = node.sync("person").await;
    assert_eq!((ended.record.counts.removed, ended.record.counts.left), (0, 0));
    assert_eq!(node.record("person", "id", "1").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_duplicate_key_are_rejected_wherever_they_stand_in_the_stream() {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    // The key is text and not unique. Rows of a duplicate key stand first and last; one key is served.
    warehouse
        .execute(
            "create table people (id text, email text, name text, tags json, score integer);
             insert into people values ('served', null, 'Original', null, 1);
             with recursive n(i) as (select 1 union all select i + 1 from n where i < 9999)
             insert into people select 'row-' || i, null, 'Row ' || i, null, i from n;",
        )
        .await;
    let node = Node::start(directory, warehouse, &sections("delete", "")).await;
    node.sync("person").await;
    assert_eq!(node.record("person", "id", "served").await.unwrap()["name"], "Original");

    node.warehouse
        .execute(
            "delete from people where id = 'served';
             create table more as select * from people;
             delete from people;
             insert into people values ('new', null, 'First duplicate', null, 1), ('served', null, 'Changed', null, 1);
             insert into people values ('new', null, 'Middle', null, 3), ('served', null, 'Middle', null, 3);
             insert into people select * from more;
             insert into people values ('new', null, 'Last duplicate', null, 2), ('served', null, 'Original', null, 1);",
        )
        .await;
    let ended = node.sync("person").await;
    let counts = ended.record.counts;
    assert_eq!((counts.rejected, counts.added, counts.changed, counts.carried), (6, 0, 0, 1));
    let mut duplicates: Vec<_> = ended.rejected.iter().filter_map(|row| row.primary_key.clone()).collect();
    duplicates.sort();
    assert_eq!(duplicates, ["new", "served"]);
    assert_eq!(node.record("person", "id", "new").await, None);
    assert_eq!(node.record("person", "id", "served").await.unwrap()["name"], "Original");

    // All rows but one go: that one is served.
    node.warehouse
        .execute("delete from people where name in ('First duplicate', 'Middle', 'Original')")
        .await;
    node.sync("person").await;
    assert_eq!(node.record("person", "id", "new").await.unwrap()["name"], "Last duplicate");
    assert_eq!(node.record("person", "id", "served").await.unwrap()["name"], "Changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_run_retracts_duplicate_keys_from_uploaded_segments() {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse
        .execute(
            "create table people (id text, email text, name text, tags json, score integer);
             insert into people values ('a', 'x@x', 'A', null, 1), ('b', 'x@x', 'B', null, 1), ('a', 'x@x', 'A', null, 1);",
        )
        .await;
    let node = Node::start(directory, warehouse, &sections("delete", "")).await;
    let ended = node.sync("person").await;
    let counts = ended.record.counts;
    assert_eq!((counts.added, counts.rejected, counts.conflicts, counts.records), (1, 2, 0, 1));
    assert_eq!(node.record("person", "id", "a").await, None);
    assert_eq!(node.record("person", "email", "x@x").await.unwrap()["id"], "b");
}

/// Their segment is read again: its bodies need the dictionary of the base.
#[tokio::test(flavor = "multi_thread")]
async fn duplicate_keys_among_changes_of_a_compressed_collection_are_retracted() {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    let rows = |from: u32, to: u32| {
        format!(
            "with recursive n(i) as (select {from} union all select i + 1 from n where i < {to})
             insert into people select i, null, 'A name that many have, and a long one', '[\"tag\"]', i from n;"
        )
    };
    warehouse.execute("create table people (id integer, email text, name text, tags json, score real)").await;
    warehouse.execute(&rows(1, 5000)).await;
    let node = Node::start(directory, warehouse, &sections("delete", "")).await;
    node.sync("person").await;
    node.warehouse.execute(&format!("{}{}", rows(6001, 6100), rows(6100, 6102))).await;
    // A served key has three rows, another one a broken row and a whole one.
    node.warehouse.execute(&format!("{}{}{}", rows(10, 11), rows(10, 11), rows(10, 10))).await;
    node.warehouse.execute("delete from people where rowid = 11; update people set tags = '[broken' where rowid in (select min(rowid) from people where id = 11)").await;
    // A value that JSON cannot express, in two batches of rows at least.
    node.warehouse.execute("update people set score = 9e999 where id in (1, 5000, 6001)").await;
    let counts = node.sync("person").await.record.counts;
    assert_eq!((counts.rejected, counts.carried), (2 + 4 + 2, 2));
    assert_eq!((counts.added, counts.changed, counts.nulled), (101, 2, 3));
    assert_eq!(node.record("person", "id", "6100").await, None);
    for id in ["6001", "6099", "6102"] {
        let record = node.record("person", "id", id).await.unwrap();
        assert_eq!(record["name"], "A name that many have, and a long one");
    }
    assert!(node.record("person", "id", "6001").await.unwrap()["score"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_removes_too_much_is_held_until_it_is_accepted() {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse
        .execute(
            "create table people (id integer primary key, email text, name text, tags json, score integer);
             with recursive n(i) as (select 1 union all select i + 1 from n where i < 100)
             insert into people select i, null, 'Row ' || i, null, i from n;",
        )
        .await;
    let node = Node::start(directory, warehouse, &sections("delete", "")).await;
    node.sync("person").await;
    let before = node.get("person", "id", "1").await;
    node.warehouse.execute("delete from people where id <= 50").await;
    let ended = node.sync("person").await;
    assert_eq!(ended.record.status, RunStatus::Held);
    assert_eq!(ended.record.error.unwrap().code, "max_removed");
    let after = node.get("person", "id", "1").await;
    assert_eq!(after.body, before.body);
    assert_eq!(after.header("x-data-version"), before.header("x-data-version"));
    assert_eq!(after.header("x-data-as-of"), before.header("x-data-as-of"));

    node.warehouse.execute("delete from people").await;
    let ended = node.sync("person").await;
    assert_eq!(ended.record.error.unwrap().code, "no_rows");

    let ended = node.sync_with("person", true, false).await;
    assert_eq!(ended.record.status, RunStatus::Announced);
    assert_eq!(node.record("person", "id", "1").await, None);
    let (publisher, person) = (node.publisher().await, name("person"));
    assert!(
        publisher.metadata.held_run(&person).await.unwrap().is_none(),
        "a passing run supersedes held ones"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_field_set_is_held_unless_it_was_configured() {
    let node = node(false, "delete", "").await;
    node.sync("person").await;
    node.warehouse.execute("alter table people add column extra text").await;
    let ended = node.sync("person").await;
    assert_eq!(ended.record.status, RunStatus::Held);
    assert_eq!(ended.record.error.unwrap().code, "fields_changed");
    let fields = "[syncs.person.fields]\nid = \"id\"\nextra = \"extra\"\n";
    node.configure(&sections("delete", fields));
    assert_eq!(node.sync("person").await.record.status, RunStatus::Announced);
    assert_eq!(node.get("person", "id", "1").await.text(), r#"{"id":1,"extra":null}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_query_is_a_change_of_data() {
    let node = node(false, "delete", "").await;
    node.sync("person").await;
    let query = |sql: &str| sections("delete", "").replace("select * from people", sql);
    // Other text, the same rows: nothing to announce.
    node.configure(&query("select * from people where true"));
    assert_eq!(node.sync("person").await.record.status, RunStatus::Unchanged);
    // Other rows: only they are written.
    node.configure(&query("select * from people where id < 3"));
    let ended = node.sync("person").await;
    let counts = ended.record.counts;
    assert_eq!((ended.record.status, counts.changed, counts.removed), (RunStatus::Announced, 0, 1));
    // Other columns: the mapping does not explain them.
    node.configure(&query("select *, 'x' as extra from people where id < 3"));
    let ended = node.sync("person").await;
    assert_eq!(ended.record.status, RunStatus::Held);
    assert_eq!(ended.record.error.unwrap().code, "fields_changed");
    let ended = node.sync_with("person", true, false).await;
    assert_eq!((ended.record.status, ended.record.counts.changed), (RunStatus::Announced, 2));
    assert_eq!(node.record("person", "id", "1").await.unwrap()["extra"], "x");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_changes_together_with_the_mapping_is_not_held() {
    let fields = "[syncs.person.fields]\nid = \"id\"\nname = \"name\"\n";
    let node = node(false, "delete", fields).await;
    node.sync("person").await;
    let more = sections("delete", &format!("{fields}extra = \"extra\"\n"));
    node.configure(&more.replace("select * from people", "select *, 'x' as extra from people"));
    let ended = node.sync("person").await;
    assert_eq!((ended.record.status, ended.record.counts.changed), (RunStatus::Announced, 3));
    assert_eq!(node.record("person", "id", "1").await.unwrap()["extra"], "x");
    // The mapping alone: a constant changes every record, and no guard looks at that.
    node.configure(&more.replace("extra = \"extra\"", "extra = { value = \"y\" }"));
    let ended = node.sync("person").await;
    assert_eq!((ended.record.status, ended.record.counts.changed), (RunStatus::Announced, 3));
    assert_eq!(node.record("person", "id", "1").await.unwrap()["extra"], "y");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_index_makes_a_new_base() {
    let node = node(false, "delete", "").await;
    node.sync("person").await;
    assert_eq!(node.get("person", "name", "Ann").await.code(), "index_not_found");
    let more = sections("delete", "").replace("id = \"id\"\n", "id = \"id\"\nname = \"name\"\n");
    node.configure(&more);
    let ended = node.sync("person").await;
    assert_eq!((ended.record.status, ended.record.counts.added), (RunStatus::Announced, 0));
    assert_eq!(node.record("person", "name", "Ann").await.unwrap()["id"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_records_keep_their_index_values_when_indexes_change_places() {
    let node = node(false, "keep", "").await;
    node.sync("person").await;
    node.warehouse.execute("delete from people where id = 1").await;
    node.sync("person").await;
    let by_name = "id = \"id\"\nname = \"name\"\n";
    let email = "email = { column = \"email\", normalize = [\"trim\", \"lowercase\"] }\n";
    let original = sections("keep", "");
    // A new index before the others; one less; the same in another order.
    for text in [
        original.replace("id = \"id\"\n", by_name),
        original.replace(email, ""),
        format!("{}{email}", original.replace(email, "")),
    ] {
        node.configure(&text);
        let ended = node.sync("person").await.record;
        assert_eq!((ended.status, ended.counts.left), (RunStatus::Announced, 1), "{text}");
        for tag in ["a", "b"] {
            assert_eq!(node.record("person", "tag", tag).await.unwrap()["id"], 1, "{text}");
        }
        assert_eq!(node.record("person", "tag", "ann@example.com").await, None, "{text}");
    }
    // An index that is gone for a while has lost the values of records without a row.
    assert_eq!(node.record("person", "email", "bob@example.com").await.unwrap()["id"], 2);
    assert_eq!(node.record("person", "email", "a").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_restarts_from_its_own_files_with_everything_else_gone() {
    let mut node = node(false, "delete", "").await;
    node.sync("person").await;
    let before = node.get("person", "id", "3").await;
    node.stop().await;
    for gone in ["data/store", "warehouse.db", "data/metadata.db"] {
        let path = node.directory.path().join(gone);
        std::fs::rename(&path, path.with_extension("gone")).unwrap();
    }
    node.resume().await;
    let after = node.get("person", "id", "3").await;
    assert_eq!((after.status, &after.body), (200, &before.body));
    assert_eq!(after.header("x-data-version"), before.header("x-data-version"));
}

#[tokio::test(flavor = "multi_thread")]
async fn change_segments_are_merged_and_garbage_becomes_a_new_base() {
    let node = node(false, "delete", "").await;
    node.warehouse
        .execute(
            "with recursive n(i) as (select 10 union all select i + 1 from n where i < 999)
             insert into people select i, null, 'Row ' || i, '[]', i from n",
        )
        .await;
    node.sync("person").await;
    let publisher = node.publisher().await;
    let manifest = async || {
        let newest = publisher.catalog.newest(None).await.unwrap().unwrap();
        let (name, entry) = newest.collections.first_key_value().unwrap();
        publisher.catalog.manifest(name, entry).await.unwrap()
    };
    let first = manifest().await.segments[0].clone();
    // One changed record a version is little garbage.
    let mut changes = 0;
    for round in 0.. {
        node.warehouse.execute(&format!("update people set score = {round} + 100 where id = 2")).await;
        assert_eq!(node.sync("person").await.record.counts.changed, 1, "{round}");
        assert_eq!(node.record("person", "id", "2").await.unwrap()["score"], round + 100);
        let before = std::mem::replace(&mut changes, manifest().await.change_segments());
        if changes < before {
            assert_eq!(before, CHANGED_VERSIONS_MAX, "not before there are many");
            break;
        }
        assert!(changes <= CHANGED_VERSIONS_MAX, "never merged");
    }
    let merged = manifest().await;
    assert_eq!(merged.change_segments(), 2, "one of all versions but the last, and that of the last");
    assert_eq!((&merged.segments[0], merged.records), (&first, 993));
    // Half of the records changed: their earlier contents are garbage.
    node.warehouse.execute("update people set score = -1 where id > 499").await;
    node.sync("person").await;
    let rewritten = manifest().await;
    assert_eq!((rewritten.change_segments(), rewritten.records), (0, 993), "a new base");
    assert_ne!(rewritten.segments[0].sha256, first.sha256);
    assert!(rewritten.version > merged.version && rewritten.garbage_ratio() == 0.0, "{rewritten:?}");
    assert_eq!(node.record("person", "id", "999").await.unwrap()["score"], -1);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_serving_settings_are_announced_without_a_run() {
    let node = node(false, "delete", "").await;
    node.sync("person").await;
    let publisher = node.publisher().await;
    let announced = async || {
        let newest = publisher.catalog.newest(None).await.unwrap().unwrap();
        let person = name("person");
        publisher.catalog.manifest(&person, &newest.collections[&person]).await.unwrap()
    };
    let before = announced().await;
    assert_eq!(node.get("person", "id", "99").await.status, 404);
    let text = sections("delete", "").replace("on_delete", "on_miss = \"empty\"\non_delete");
    node.configure(&text);
    node.server().reload(&node.config());
    wait_until("announced settings", async || node.get("person", "id", "99").await.status == 200).await;
    let answer = node.get("person", "id", "99").await;
    assert_eq!((answer.text(), answer.header("x-data-version")), ("{}", Some("1")));
    assert_eq!(publisher.metadata.runs(None, 10).await.unwrap().len(), 1, "no run was needed");
    let after = announced().await;
    assert_ne!(after.run_id, before.run_id, "no object is written twice");
    assert!(after.created_at > before.created_at);
    assert_ne!(after.configuration, before.configuration);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_rejects_every_row_is_held() {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse
        .execute(
            "create table people (id integer primary key, email text, name text, tags json, score integer);
             with recursive n(i) as (select 1 union all select i + 1 from n where i < 100)
             insert into people select i, null, 'Row ' || i, '[]', i from n;",
        )
        .await;
    let node = Node::start(directory, warehouse, &sections("delete", "")).await;
    node.sync("person").await;
    let before = node.get("person", "id", "1").await;
    // Every row is rejected: nothing changes, and nothing may look fresher than it is.
    node.warehouse.execute("update people set tags = '[broken'").await;
    let ended = node.sync("person").await;
    assert_eq!((ended.record.status, ended.record.counts.carried), (RunStatus::Held, 100));
    assert_eq!(ended.record.error.unwrap().code, "max_rejected");
    let after = node.get("person", "id", "1").await;
    assert_eq!(after.body, before.body);
    assert_eq!(after.header("x-data-as-of"), before.header("x-data-as-of"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_began_empty_is_compressed_like_any_other() {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse
        .execute(
            "create table people (id integer primary key, email text, name text, tags json, score integer)",
        )
        .await;
    let node = Node::start(directory, warehouse, &sections("delete", "")).await;
    node.sync_with("person", true, false).await;
    node.warehouse
        .execute(
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)
             insert into people select i, 'person' || i || '@example.com', 'A name that many have', '[\"tag\"]', i from n;",
        )
        .await;
    node.sync("person").await;
    let publisher = node.publisher().await;
    let newest = publisher.catalog.newest(None).await.unwrap().unwrap();
    let (name, entry) = newest.collections.first_key_value().unwrap();
    let manifest = publisher.catalog.manifest(name, entry).await.unwrap();
    assert_eq!((manifest.change_segments(), manifest.records, manifest.version.0), (0, 5000, 2));
    let stored: u64 = manifest.segments.iter().map(|segment| segment.bytes).sum();
    assert!(stored < 5000 * 110, "{stored} bytes: bodies are compressed");
    assert_eq!(node.record("person", "id", "4999").await.unwrap()["email"], "person4999@example.com");
}

#[tokio::test]
async fn runs_are_listed_on_the_admin_listener() {
    let node = node(false, "delete", "").await;
    let first = node.sync("person").await.record;
    let second = node.sync("person").await.record;
    for (target, ids) in
        [("/admin/v1/runs/", vec![second.id, first.id]), ("/admin/v1/runs?limit=1", vec![second.id])]
    {
        let runs = node.admin("GET", target, None).await.json();
        let listed: Vec<Value> =
            runs["items"].as_array().unwrap().iter().map(|run| run["id"].clone()).collect();
        assert_eq!(json!(listed), json!(ids), "{target}");
    }
    for query in ["limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "other=1"] {
        let refused = node.admin("GET", &format!("/admin/v1/runs?{query}"), None).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "invalid_input"), "{query}");
    }
}
