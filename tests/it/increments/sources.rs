//! Every source with SQL reads the rows from a cursor on, whatever the type of its column.

use std::{fmt::Write as _, time::Duration};

use larder::domain::cursor::Overlap;
use tempfile::TempDir;

use crate::{
    source_adbc::duckdb,
    support::{
        clickhouse::ClickHouse,
        mysql::MySql,
        node::Warehouse,
        postgres::Postgres,
        process::larder,
        source::{check_increments, open},
    },
};

const NOTHING: Overlap = Overlap::Time(Duration::ZERO);

/// Rows whose column `at` has the `values`, and one without.
fn rows(values: &[&str], null: &str) -> String {
    let row = |(number, value): (usize, &&str)| format!("select {number} as id, {value} as at");
    let rows: Vec<_> = values.iter().chain([&null]).enumerate().map(row).collect();
    rows.join(" union all ")
}

async fn check(section: &str, null: &str, times: &[&[&str]]) {
    let source = open(section);
    for values in times {
        check_increments(&source, &rows(values, null), "at", NOTHING).await;
    }
    check_increments(&source, &rows(&["-5", "0", "12", "9007199254740993"], null), "at", Overlap::Number(0))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_and_sqlite_compare_with_the_cursor() {
    let database = Postgres::database().await;
    check(
        &format!("type = \"postgres\"\nurl = {:?}\n", database.url()),
        "null",
        &[
            &[
                "timestamptz '2026-01-01 00:00:00.25+00'",
                "'2026-01-01 02:00:01+02'",
                "'1969-12-31 23:59:59.9+00'",
            ],
            &["timestamp '2026-01-01 00:00:00.25'", "'2026-01-01 00:00:01'", "'2025-12-31 23:59:59.999999'"],
            &["date '2026-01-01'", "'2025-12-31'", "'2026-01-02'"],
        ],
    )
    .await;
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse.execute("create table t (id integer)").await;
    let section = warehouse.section().replace("[sources.warehouse]\n", "");
    check(
        &section,
        "null",
        &[
            &["'2026-01-01 00:00:00'", "'2026-01-01 00:00:01'", "'2025-12-31 23:59:59'"],
            &["'2026-01-01T00:00:00.250Z'", "'2026-01-01T00:00:01.000Z'", "'2025-12-31T23:59:59.999Z'"],
            &["'2026-01-01'", "'2025-12-31'"],
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_compares_with_the_cursor() {
    let database = MySql::database().await;
    check(
        &database.section(),
        "null",
        &[
            &["cast('2026-01-01 00:00:00.25' as datetime(6))", "cast('2026-01-01 00:00:01' as datetime(6))"],
            &["cast('2026-01-01' as date)", "cast('2025-12-31' as date)"],
        ],
    )
    .await;
    // A time stamp has the zone of the session, which only a table's column has.
    database.execute("create table t (id int, at timestamp(3) null)").await;
    database
        .execute("insert into t values (1, '2026-01-01 00:00:00.25'), (2, '2026-01-02'), (3, null)")
        .await;
    check_increments(&open(&database.section()), "select * from t", "at", NOTHING).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clickhouse_compares_with_the_cursor() {
    let database = ClickHouse::database().await;
    check(
        &database.section(),
        "null",
        &[
            &[
                "toDateTime64('2026-01-01 00:00:00.25', 3, 'UTC')",
                "toDateTime64('2026-01-01 00:00:01', 3, 'UTC')",
            ],
            &[
                "toDateTime('2026-01-01 00:00:00', 'Asia/Tokyo')",
                "toDateTime('2026-01-01 09:00:00', 'Asia/Tokyo')",
            ],
            &["toDate('2026-01-01')", "toDate('2025-12-31')"],
            &["'2026-01-01T00:00:00Z'", "'2026-01-01T00:00:01Z'", "'2025-12-31T23:59:59Z'"],
            &["toLowCardinality(toNullable('2026-01-01 00:00:00'))", "'2026-01-01 00:00:01'"],
            &["toFixedString('2026-01-01 00:00:00', 19)", "toFixedString('2026-01-01 00:00:01', 19)"],
        ],
    )
    .await;
}

/// Its driver runs in a process of the real binary.
#[test]
fn duckdb_compares_with_the_cursor() {
    let types: [&[&str]; 4] = [
        &["timestamptz '2026-01-01 02:00:00.5+02'", "timestamptz '2026-01-01 00:00:01+00'"],
        &["timestamp '2026-01-01 00:00:00.25'", "timestamp '2026-01-01 00:00:01'"],
        &["date '2025-12-31'", "date '2026-01-01'"],
        &["-5", "9007199254740993"],
    ];
    let mut config = format!(
        "[storage]\nurl = \"file:./store\"\n[sources.warehouse]\ntype = \"duckdb\"\ndriver = {:?}\n",
        duckdb()
    );
    for (number, values) in types.iter().enumerate() {
        let (sql, overlap) = (rows(values, "null"), if number == 3 { "0" } else { "\"0s\"" });
        write!(
            config,
            "[models.m{number}]\nsource = \"warehouse\"\nsql = {sql:?}\nprimary_key = \"id\"\n\
             [syncs.s{number}]\nmodel = \"m{number}\"\nindexes = {{ id = \"id\" }}\n\
             incremental = {{ column = \"at\", overlap = {overlap} }}\n"
        )
        .unwrap();
    }
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("larder.toml"), config).unwrap();
    for number in 0..types.len() {
        let run = || {
            let ran = larder(directory.path(), &["sync", &format!("s{number}"), "--json"]).expect(0);
            ["rows", "added", "unread"].map(|count| ran.json()["counts"][count].as_u64().unwrap())
        };
        assert_eq!(run(), [3, 3, 0]);
        assert_eq!(run(), [1, 0, 2], "only the row at the cursor is read");
    }
}
