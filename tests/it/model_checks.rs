//! What is asked of a model before a sync of it exists: whether a column can be its primary key, and its first rows.

use std::{fs, path::Path};

use chrono::{DateTime, TimeDelta};
use larder::{
    admin::Samples,
    config::{self, Environment, Overrides},
    source::{KeyCounts, Query},
    support::clock::Clock,
};
use tempfile::TempDir;

use crate::support::{
    clickhouse::ClickHouse, mysql::MySql, node::Warehouse, postgres::Postgres, source::open,
};

/// Six rows: one without a value, one value twice, two that differ in case or in white space at the end.
fn rows(null: &str) -> Query {
    let values = ["'a'", "'A'", "'b'", "'b'", "'b '", null];
    let rows = values.iter().enumerate().map(|(id, value)| format!("select {id} as id, {value} as k"));
    Query::Sql(rows.collect::<Vec<_>>().join(" union all "))
}

async fn check(section: &str, null: &str) {
    let source = open(section);
    let counts = |rows, nulls, repeated| KeyCounts { rows, nulls, repeated, is_complete: true };
    let query = rows(null);
    assert_eq!(source.key_counts(&query, "id").await.unwrap(), counts(6, 0, 0), "{section}");
    assert_eq!(source.key_counts(&query, "k").await.unwrap(), counts(6, 1, 1), "{section}");
    let Query::Sql(text) = &query else { unreachable!() };
    let empty = Query::Sql(format!("select * from ({text}) t where 1 = 0"));
    assert_eq!(source.key_counts(&empty, "k").await.unwrap(), counts(0, 0, 0), "{section}");
    let unknown = source.key_counts(&query, "nothing").await.unwrap_err();
    assert_eq!(unknown.code(), "source_unknown_column");
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_count_the_values_of_a_key_byte_by_byte() {
    let postgres = Postgres::database().await;
    check(&format!("type = \"postgres\"\nurl = {:?}\n", postgres.url()), "null").await;
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse.execute("create table t (id integer, k text collate nocase)").await;
    let section = warehouse.section().replace("[sources.warehouse]\n", "");
    check(&section, "null").await;
    warehouse.execute("insert into t values (1, 'a'), (2, 'A'), (3, 'b')").await;
    let table = Query::Table { name: "t".to_owned(), columns: None };
    assert_eq!(open(&section).key_counts(&table, "k").await.unwrap().repeated, 0, "whatever the collation");
    check(&MySql::database().await.section(), "null").await;
    check(&ClickHouse::database().await.section(), "null").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_without_sql_are_counted_while_they_are_read() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("t.csv"), "id,k\n1,a\n2,A\n3,b\n4,b\n5,\n").unwrap();
    let source = open(&format!("type = \"files\"\npath = {:?}\n", directory.path()));
    let table = Query::Table { name: "t.csv".to_owned(), columns: None };
    let counts = source.key_counts(&table, "k").await.unwrap();
    assert_eq!((counts.rows, counts.repeated, counts.is_complete), (5, 1, true));
    assert_eq!(source.key_counts(&table, "nothing").await.unwrap_err().code(), "source_unknown_column");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_is_read_once_in_half_a_minute() {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse.execute("create table t (id integer primary key)").await;
    let load = |model: &str| {
        let text = format!(
            "{}[models.m]\nsource = \"warehouse\"\n{model}\nprimary_key = \"id\"\n",
            warehouse.section()
        );
        let loaded = config::load_text(
            &text,
            Path::new("larder.toml"),
            &Environment::default(),
            &Overrides::default(),
        );
        loaded.unwrap_or_else(|faults| panic!("{faults}")).configuration()
    };
    let now = DateTime::UNIX_EPOCH;
    let clock = Clock::fixed(now);
    let samples = Samples::new(clock.clone());
    let columns =
        async |model: &str| samples.read(&load(model), "m").await.map(|sample| sample.columns.len());
    assert_eq!(columns("table = \"t\"").await.unwrap(), 1);
    warehouse.execute("alter table t add column name text").await;
    clock.set(now + TimeDelta::seconds(29));
    assert_eq!(columns("table = \"t\"").await.unwrap(), 1, "what was read before");
    assert_eq!(columns("sql = \"select * from t\"").await.unwrap(), 2, "another query");
    clock.set(now + TimeDelta::seconds(31));
    assert_eq!(columns("table = \"t\"").await.unwrap(), 2);
    assert!(columns("table = \"u\"").await.is_err(), "no such table");
    assert!(samples.read(&load("table = \"t\""), "nobody").await.is_err());
}
