//! The driver of Flight SQL against a real engine behind that protocol.

use std::fs;

use chrono::DateTime;
use serde_json::json;
use tempfile::TempDir;

use super::{
    directory,
    values::{VALUES, rows},
};
use crate::support::{
    flight_sql::FlightSql,
    node::{Node, Warehouse},
    process::larder,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_the_engine_is_served_as_it_is_printed() {
    let server = FlightSql::start().await;
    let directory = directory(&format!("[sources.flight]\n{}", server.section()));
    let columns: Vec<_> = VALUES.iter().enumerate().map(|(at, (sql, _))| format!("{sql} as c{at}")).collect();
    let sql = format!("select {} union all select {}", columns.join(", "), ["null"; VALUES.len()].join(", "));
    let found = rows(directory.path(), "flight", &sql);
    let expected: Vec<_> =
        VALUES.iter().enumerate().map(|(at, (_, text))| format!("\"c{at}\":{text}")).collect();
    let nulls: Vec<_> = (0..VALUES.len()).map(|at| format!("\"c{at}\":null")).collect();
    assert_eq!(found, [format!("{{{}}}", expected.join(",")), format!("{{{}}}", nulls.join(","))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_thousand_rows_are_those_of_the_engine() {
    const ROWS: i64 = 200_000;
    let server = FlightSql::start().await;
    let directory = directory(&format!("[sources.flight]\n{}", server.section()));
    // A query prints half as many at most.
    let half = |from: i64| {
        let to = from + ROWS / 2;
        let sql = format!(
            "select i as id, (i * 1000003)::decimal(30, 0) * 0.01::decimal(3, 2) as amount, i / 8.0::double as ratio, \
             timestamp '2000-01-01' + to_seconds(i) + to_microseconds(i % 1000) as seen, \
             case when i % 3 = 0 then null else 'Ærø \"' || i || '\"' end as name, [i, null, -i] as list, \
             {{'a': i, 'b': [i % 2 = 0]}} as nested from range({from}, {to}) r(i)"
        );
        rows(directory.path(), "flight", &sql)
    };
    let found = [half(0), half(ROWS / 2)].concat();
    assert_eq!(i64::try_from(found.len()), Ok(ROWS));
    for (row, i) in found.iter().zip(0..) {
        let (cents, ratio) = (i * 1_000_003, i as f64 / 8.0);
        let seen = DateTime::from_timestamp(946_684_800 + i, 0).unwrap();
        let fraction = format!(".{:06}", i % 1000);
        let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
        let seen = format!("{}{fraction}", seen.format("%Y-%m-%dT%H:%M:%S"));
        let name = if i % 3 == 0 { "null".to_owned() } else { format!("\"Ærø \\\"{i}\\\"\"") };
        let expected = format!(
            "{{\"id\":{i},\"amount\":{}.{:02},\"ratio\":{ratio},\"seen\":\"{seen}\",\"name\":{name},\
             \"list\":[{i},null,{}],\"nested\":{{\"a\":{i},\"b\":[{}]}}}}",
            cents / 100,
            cents % 100,
            -i,
            i % 2 == 0,
        );
        assert_eq!(*row, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_codes_and_no_password() {
    let server = FlightSql::start().await;
    let section = server.section();
    let sections = [
        ("good", section.clone()),
        ("wrong", section.replace("hunter2", "hunter3")),
        ("nobody", section.replace("user = \"reader\"\npassword = \"hunter2\"\n", "")),
        (
            "token",
            section.replace("user = \"reader\"\npassword = \"hunter2\"", "token = \"token-of-reader\""),
        ),
    ];
    let sections = sections.map(|(name, section)| format!("[sources.{name}]\n{section}"));
    let directory = directory(&sections.concat());
    let query = |source: &str, sql: &str| larder(directory.path(), &["source", "query", source, sql]);
    assert_eq!(query("token", "select 1 as one").expect(0).stdout.trim(), "{\"one\":1}");
    for (source, sql, code) in [
        ("wrong", "select 1 as one", "source_wrong_password"),
        ("nobody", "select 1 as one", "source_login_refused"),
        ("good", "select * from nothere", "source_unknown_table"),
        ("good", "selec 1", "source_query_failed"),
        ("good", "create table t (id int)", "source_query_failed"),
    ] {
        let output = query(source, sql).expect(1);
        assert!(output.stderr.contains(code), "{source} {sql}: {output:?}");
        assert!(!output.stderr.contains("hunter"), "{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn private_authority_is_trusted_when_it_is_named() {
    let directory = TempDir::new().unwrap();
    let server = FlightSql::with_tls(directory.path()).await;
    let section = server.section();
    let without = section.lines().filter(|line| !line.starts_with("ca_file")).collect::<Vec<_>>().join("\n");
    super::configure(directory.path(), &format!("[sources.good]\n{section}[sources.bad]\n{without}\n"));
    larder(directory.path(), &["source", "check", "good"]).expect(0);
    let output = larder(directory.path(), &["source", "check", "bad"]).expect(1);
    assert!(output.stderr.contains("certificate"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_dies_in_the_middle_of_a_read_changes_nothing() {
    let server = FlightSql::start().await;
    let directory = TempDir::new().unwrap();
    let root = directory.path().to_owned();
    let write = |statement: &str| {
        let writer = server.writer();
        let config = format!(
            "[storage]\nurl = \"file:./written\"\n[sources.writer]\n{writer}setup = [{statement:?}]\n"
        );
        fs::write(root.join("write.toml"), config).unwrap();
        larder(&root, &["source", "check", "writer", "--config", "write.toml"]).expect(0);
    };
    // Far more rows than may be on their way: the reader has most of those before the last.
    let people = |count: u64, last: u64| {
        format!(
            "create or replace view people as select range as id, 'person ' || range as name, \
             (range = {last})::int as end_server from range({count})"
        )
    };
    write(&people(1_000, 1_000));
    let sections = format!(
        "[sources.flight]\n{}[models.people]\nsource = \"flight\"\ntable = \"main.people\"\nprimary_key = \"id\"\n\
         [syncs.people]\nmodel = \"people\"\nindexes = {{ id = \"id\" }}\n",
        server.section()
    );
    let warehouse = Warehouse::sqlite(directory.path());
    let node = Node::start(directory, warehouse, &sections).await;
    let tables = larder(&root, &["source", "tables", "flight", "people"]).expect(0);
    assert_eq!(tables.stdout.trim(), "memory.main.people");
    larder(&root, &["sync", "people"]).expect(0);
    node.await_version("people", 1).await;
    write(&people(1_000_000, 500_000));
    let run = larder(&root, &["sync", "people", "--json"]).expect(1).json();
    assert_eq!(run["status"], "failed", "{run}");
    assert_eq!(run["error"]["code"], "source_connection_lost", "{run}");
    let served = json!({"id": 999, "name": "person 999", "end_server": 0});
    assert_eq!(node.record("people", "id", "999").await, Some(served));
    assert_eq!(node.record("people", "id", "1000").await, None);
}
