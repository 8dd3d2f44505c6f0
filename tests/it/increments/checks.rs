//! What `larder check --connect` knows of increments that a run would refuse.

use std::{fmt::Write as _, fs};

use tempfile::TempDir;

use crate::{
    source_adbc::duckdb,
    support::{node::Warehouse, postgres::Postgres, process::larder},
};

/// Checks a sync for each `incremental` with what its fault says, or nothing, on a source with a table `t`.
fn check(source: &str, cases: &[(&str, &str)]) {
    let mut text = format!("[storage]\nurl = \"file:./store\"\n[sources.w]\n{source}");
    for (number, (incremental, _)) in cases.iter().enumerate() {
        write!(
            text,
            "[models.m{number}]\nsource = \"w\"\nsql = \"select * from t\"\nprimary_key = \"id\"\n\
             [syncs.s{number}]\nmodel = \"m{number}\"\nindexes = {{ id = \"id\" }}\n\
             incremental = {{ {incremental} }}\n"
        )
        .unwrap();
    }
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("larder.toml"), text).unwrap();
    let checked = larder(directory.path(), &["check", "--connect"]).expect(1).text();
    for (number, (incremental, fault)) in cases.iter().enumerate() {
        let line = checked.lines().find(|line| line.contains(&format!(" sync s{number}: ")));
        let line = line.unwrap_or_else(|| panic!("{incremental}: {checked}"));
        let is_refused = line.starts_with("FAIL ");
        assert!(is_refused != fault.is_empty() && line.contains(fault), "{incremental}: {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_cannot_have_a_cursor_are_found_by_a_check() {
    let database = Postgres::database().await;
    database
        .execute(
            "create table t (id int, at timestamptz, day date, n int, amount numeric(9, 2), whole numeric, name text, \
             digits text, written text, clock time);
             insert into t values (1, now(), '2026-01-01', 1, 1.50, 2, 'Ann', '7', '2026-01-01T00:00:00Z', '12:00')",
        )
        .await;
    check(
        &format!("type = \"postgres\"\nurl = {:?}\n", database.url()),
        &[
            ("column = \"at\", overlap = 5", "column `at` has times: write `overlap` as a duration"),
            ("column = \"day\", overlap = 5", "column `day` has times: write `overlap` as a duration"),
            ("column = \"n\", overlap = \"10m\"", "column `n` has integers: write `overlap` as a number"),
            ("column = \"at\", overlap = 0", ""),
            ("column = \"n\", overlap = \"0s\"", ""),
            ("column = \"whole\"", ""),
            ("column = \"written\"", ""),
            ("column = \"amount\"", "column `amount` has a number with a fraction"),
            ("column = \"name\"", "column `name` has a value that is neither an integer nor a time"),
            ("column = \"clock\"", "column `clock` has a value that is neither an integer nor a time"),
            ("column = \"digits\"", "column `digits` has digits of a text"),
            (
                "column = \"n\", changes_sql = \"select id, at from t where n > {{ cursor }}\"",
                "column `day` of the model is not in `changes_sql`",
            ),
            ("column = \"none\"", "column `none` is not in the model"),
        ],
    );
}

#[test]
fn digits_in_a_text_of_duckdb_are_found_by_a_check() {
    let setup = "create temp table t as select 1 as id, '7' as digits, timestamp '2026-01-01' as at";
    check(
        &format!("type = \"duckdb\"\ndriver = {:?}\nsetup = [{setup:?}]\n", duckdb()),
        &[("column = \"digits\"", "digits of a text"), ("column = \"at\"", "")],
    );
}

/// SQLite orders `'100'` before `'99'`: an increment would pass over it.
#[tokio::test(flavor = "multi_thread")]
async fn digits_in_a_text_of_sqlite_are_found_by_a_check() {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse.execute("create table t (id integer, digits text, n integer)").await;
    warehouse.execute("insert into t values (1, '99', 99)").await;
    check(
        &warehouse.section().replace("[sources.warehouse]\n", ""),
        &[("column = \"digits\"", "digits of a text"), ("column = \"n\"", "")],
    );
}

/// SQLite's columns have no types, and there is no row to look at.
#[tokio::test(flavor = "multi_thread")]
async fn the_query_of_changes_of_an_empty_model_is_checked() {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse.execute("create table t (id integer, n integer, name text)").await;
    check(
        &warehouse.section().replace("[sources.warehouse]\n", ""),
        &[
            (
                "column = \"n\", changes_sql = \"select id, n from t where n > {{ cursor }}\"",
                "column `name` of the model is not in `changes_sql`",
            ),
            ("column = \"n\", changes_sql = \"select * from t where n > {{ cursor }}\"", ""),
            ("column = \"name\"", ""),
        ],
    );
}
