//! What increments read and leave, and when the whole model is read.

use larder::{
    domain::run::{RunCounts, RunStatus},
    engine::RunOutcome,
};
use serde_json::Value;

use super::{node, sections};
use crate::support::{node::Node, process::larder};

const BY_SEQ: &str = "column = \"seq\", overlap = 0, deleted = \"gone\"";

async fn name_of(node: &Node, id: &str) -> Option<Value> {
    node.record("person", "id", id).await.map(|record| record["name"].clone())
}

/// Rows read, records that are new, changed, removed, and not read.
fn counts(outcome: &RunOutcome) -> [u64; 5] {
    let RunCounts { rows, added, changed, removed, unread, .. } = outcome.record.counts;
    assert!(outcome.record.error.is_none(), "{:?}", outcome.record);
    [rows, added, changed, removed, unread]
}

/// What `larder runs` shows of the last run.
fn sql_of_last_run(node: &Node) -> String {
    let run = |arguments: &[&str]| larder(node.directory.path(), &[&["runs"], arguments].concat()).expect(0);
    let runs = run(&["person", "--json"]).json();
    run(&[runs[0]["id"].as_str().unwrap(), "--sql"]).stdout
}

async fn run(node: &Node) -> [u64; 5] {
    counts(&node.sync("person").await)
}

#[tokio::test(flavor = "multi_thread")]
async fn increment_puts_its_rows_and_removes_deleted_ones_and_leaves_the_others() {
    let node = node(100, &sections(BY_SEQ, "")).await;
    assert_eq!(run(&node).await, [100, 100, 0, 0, 0]);
    assert_eq!(sql_of_last_run(&node), "select * from `people`\n");
    assert_eq!(run(&node).await, [1, 0, 0, 0, 99], "the row at the cursor is read again");
    assert_eq!(
        sql_of_last_run(&node),
        "select `id`, `name`, `mail`, `seq`, `gone` from (\nselect * from `people`\n) larder_model where `seq` >= 100\n"
    );

    let warehouse = &node.warehouse;
    warehouse.execute("update people set name = 'Zoë', mail = 'zoe', seq = 101 where id = 7").await;
    warehouse.execute("update people set gone = 1, seq = 102 where id = 8").await;
    warehouse.execute("insert into people values (200, 'new', 'mail9', 103, 0)").await;
    // Not noticed before the whole model is read: a row that is gone, and one without another number.
    warehouse.execute("delete from people where id = 10").await;
    warehouse.execute("update people set name = 'unseen' where id = 11").await;
    let ended = node.sync("person").await;
    assert_eq!(counts(&ended), [4, 1, 1, 1, 97]);
    assert_eq!(
        (ended.record.counts.records, ended.record.counts.conflicts),
        (100, 1),
        "mail9 is of two records"
    );
    assert_eq!(name_of(&node, "7").await.unwrap(), "Zoë");
    assert!(node.record("person", "mail", "mail7").await.is_none() && name_of(&node, "8").await.is_none());
    assert_eq!(name_of(&node, "200").await.unwrap(), "new");
    assert_eq!(name_of(&node, "10").await.unwrap(), "name 10");
    assert_eq!(name_of(&node, "11").await.unwrap(), "name 11");

    // The deleted row comes back.
    warehouse.execute("update people set gone = 0, seq = 104 where id = 8").await;
    assert_eq!(run(&node).await, [2, 1, 0, 0, 99]);
    assert_eq!(counts(&node.sync_with("person", false, true).await), [100, 0, 1, 1, 0]);
    assert!(name_of(&node, "10").await.is_none());
    assert_eq!(name_of(&node, "11").await.unwrap(), "unseen");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_makes_unread_rows_other_records_has_the_whole_model_read() {
    let node = node(20, &sections(BY_SEQ, "")).await;
    assert_eq!(run(&node).await[4], 0);
    let mut renamed = false;
    for (sections, is_whole) in [
        (sections(BY_SEQ, ""), false),
        (sections(BY_SEQ, "max_removed = \"90%\""), false),
        (sections(BY_SEQ, "on_delete = \"keep\""), true),
        (sections(BY_SEQ, "on_delete = \"keep\"\nnumbers = \"string\""), true),
        (sections("column = \"id\", overlap = 0", ""), true),
        (sections("column = \"id\", overlap = 5", ""), false),
        (
            sections("column = \"id\", overlap = 5", "")
                .replace("table = \"people\"", "sql = \"select * from people\""),
            true,
        ),
        (sections("column = \"id\", full = \"manual\"", ""), true),
    ] {
        if is_whole && !renamed {
            // A row that an increment does not see.
            node.warehouse.execute("update people set name = 'renamed' where id = 1").await;
            renamed = true;
        }
        node.configure(&sections);
        let [rows, .., unread] = run(&node).await;
        assert_eq!((unread == 0, rows == 20), (is_whole, is_whole), "{sections}");
    }
    assert_eq!(name_of(&node, "1").await.unwrap(), "renamed");
}

#[tokio::test(flavor = "multi_thread")]
async fn rollback_goes_back_to_the_cursor_of_its_version() {
    let node = node(20, &sections(BY_SEQ, "")).await;
    run(&node).await;
    node.warehouse.execute("update people set name = 'two', seq = 21 where id = 2").await;
    assert_eq!(run(&node).await, [2, 0, 1, 0, 18]);
    let at = node.directory.path();
    larder(at, &["rollback", "person", "--to", "1"]).expect(0);
    node.await_version("person", 3).await;
    assert_eq!(name_of(&node, "2").await.unwrap(), "name 2");
    assert_eq!(run(&node).await, [2, 0, 1, 0, 18], "the change is read again");
    assert_eq!(name_of(&node, "2").await.unwrap(), "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_model_is_read_when_its_time_has_come_and_guards_know_increments() {
    let node = node(100, &sections(&format!("{BY_SEQ}, full = \"every 1m\""), "")).await;
    run(&node).await;
    // An increment without a row is no empty model.
    node.warehouse.execute("delete from people where id = 100").await;
    assert_eq!(run(&node).await, [0, 0, 0, 0, 100]);
    node.warehouse.execute("update people set gone = 1, seq = 100 + id where id <= 40").await;
    let held = node.sync("person").await.record;
    assert_eq!((held.status, held.error.unwrap().code.as_str()), (RunStatus::Held, "max_removed"));
    assert_eq!((held.counts.rows, held.counts.removed, held.counts.unread), (40, 40, 60));
    larder(node.directory.path(), &["approve", &held.id.to_string()]).expect(0);
    node.await_version("person", 2).await;
    assert!(name_of(&node, "40").await.is_none());
    assert_eq!(run(&node).await, [1, 0, 0, 0, 60], "the approved run moved the cursor");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_read_by_a_query_of_their_own() {
    let incremental = "column = \"seq\", overlap = 0, deleted = { column = \"op\", values = [\"D\"] }, \
         changes_sql = \"select * from log where seq > {{ cursor }}\"";
    let node = node(20, &sections(incremental, "")).await;
    node.warehouse
        .execute("create table log (op text, id integer, name text, mail text, seq integer, gone integer)")
        .await;
    assert_eq!(run(&node).await, [20, 20, 0, 0, 0]);
    assert_eq!(run(&node).await, [0, 0, 0, 0, 20]);
    node.warehouse
        .execute(
            "insert into log values ('U', 1, 'one', 'one', 21, 0), ('D', 2, null, null, 22, null),
             -- An update as streams of Snowflake have it.
             ('D', 3, 'name 3', 'mail3', 23, 0), ('I', 3, 'three', 'mail3', 24, 0), ('D', 999, null, null, 25, null)",
        )
        .await;
    assert_eq!(run(&node).await, [5, 0, 2, 1, 17]);
    let sql = sql_of_last_run(&node);
    assert!(sql.contains("`op` from (\nselect * from log where seq > 20\n)"), "{sql}");
    assert_eq!(name_of(&node, "1").await.unwrap(), "one");
    assert_eq!(name_of(&node, "3").await.unwrap(), "three");
    assert!(name_of(&node, "2").await.is_none());
    assert_eq!(run(&node).await, [0, 0, 0, 0, 19]);

    node.warehouse.execute("drop table log; create table log (op text, id text, name text, mail text, seq integer, gone integer)").await;
    let failed = node.sync("person").await.record;
    assert_eq!(failed.error.unwrap().code, "increment_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_describes_the_query_of_changes() {
    let incremental = "column = \"seq\", deleted = \"op\", \
         changes_sql = \"select * from log where seq > {{ cursor }}\"";
    let node = node(1, &sections(incremental, "")).await;
    for (log, part) in [
        ("select 1", "changes_sql: "),
        ("create table log (op text, id integer, name text, seq integer, gone integer)", "`mail`"),
        ("create table log (id integer, name text, mail text, seq integer, gone integer)", "`op`"),
        ("create table log (op text, id text, name text, mail text, seq integer, gone integer)", "`id`"),
        ("create table log (op text, id integer, name text, mail text, gone integer)", "seq"),
    ] {
        node.warehouse.execute(&format!("drop table if exists log; {log}")).await;
        let checked = larder(node.directory.path(), &["check", "--connect"]).expect(1);
        let line = checked.stdout.lines().find(|line| line.starts_with("FAIL  sync person: "));
        assert!(
            line.is_some_and(|line| line.contains(part) && line.contains("changes_sql")),
            "{part}: {checked:?}"
        );
    }
    let log = "create table log (op text, id integer, name text, mail text, seq integer, gone integer)";
    node.warehouse.execute(&format!("drop table log; {log}")).await;
    larder(node.directory.path(), &["check", "--connect"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_are_no_cursor_fail_the_run_and_nothing_is_announced() {
    for (incremental, change, expected) in [
        ("column = \"sequence\"", "select 1", "is not in the model"),
        ("column = \"seq\", deleted = \"removed\"", "select 1", "`removed`"),
        ("column = \"name\"", "select 1", "neither an integer nor a time"),
        ("column = \"seq\"", "update people set seq = '2026-01-01' where id = 3", "has both"),
        ("column = \"seq\", overlap = \"10m\"", "select 1", "overlap = 1000"),
        (
            "column = \"at\", overlap = 5",
            "alter table people add column at text default '2026-01-01'",
            "overlap = \"10m\"",
        ),
    ] {
        let node = node(5, &sections(incremental, "")).await;
        node.warehouse.execute(change).await;
        let checked = larder(node.directory.path(), &["check", "--connect"]).expect(1).text();
        assert!(checked.contains("increment_invalid") && checked.contains(expected), "{checked}");
        let record = node.sync("person").await.record;
        let error = record.error.unwrap();
        assert_eq!((record.status, error.code.as_str()), (RunStatus::Failed, "increment_invalid"));
        assert!(error.message.contains(expected), "{}", error.message);
        assert!(!error.message.contains("2026"), "{}", error.message);
        assert_eq!(node.version("person").await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_a_value_are_reported_and_future_times_do_not_hide_others() {
    let node = node(5, &sections("column = \"at\"", "")).await;
    node.warehouse
        .execute(
            "alter table people add column at text; update people set at = '2020-01-01 00:00:0' || id;
             update people set at = null where id = 1; update people set at = '2999-01-01 00:00:00' where id = 2",
        )
        .await;
    let first = node.sync("person").await;
    assert!(
        first.warnings.iter().any(|warning| warning.contains("1 row has no value in `at`")),
        "{:?}",
        first.warnings
    );
    node.warehouse.execute("update people set name = 'now', at = datetime('now') where id = 3").await;
    assert_eq!(run(&node).await, [2, 0, 1, 0, 3]);
    assert_eq!(name_of(&node, "3").await.unwrap(), "now");
}
