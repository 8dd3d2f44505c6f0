//! Every type of DuckDB, and the same rows by two drivers of Postgres.

use std::path::Path;

use serde_json::Value;

use super::{directory, duckdb, python_driver};
use crate::support::{postgres::Postgres, process::larder};

/// An expression, and the value that is served.
pub(super) const VALUES: &[(&str, &str)] = &[
    ("true", "true"),
    ("null::boolean", "null"),
    ("(-128)::tinyint", "-128"),
    ("255::utinyint", "255"),
    ("9223372036854775807", "9223372036854775807"),
    ("18446744073709551615::ubigint", "18446744073709551615"),
    ("'-170141183460469231731687303715884105728'::hugeint", "-170141183460469231731687303715884105728"),
    ("340282366920938463463374607431768211455::uhugeint", "340282366920938463463374607431768211455"),
    ("0.1::float", "0.1"),
    ("1e300::double", "1e+300"),
    ("'nan'::double", "null"),
    ("1.50::decimal(4, 2)", "1.50"),
    ("(-12345678901234567890123456789012345678)::decimal(38, 0)", "-12345678901234567890123456789012345678"),
    ("0.00000000000000000001::decimal(38, 20)", "0.00000000000000000001"),
    ("'Zoë \"q\" \\ 😀'", "\"Zoë \\\"q\\\" \\\\ 😀\""),
    ("''", "\"\""),
    ("'\\x00\\xFF'::blob", "\"AP8=\""),
    ("date '2024-02-29'", "\"2024-02-29\""),
    ("time '23:59:59.123456'", "\"23:59:59.123456\""),
    ("timestamp '2024-01-02 03:04:05.5'", "\"2024-01-02T03:04:05.5\""),
    ("timestamptz '2024-07-01 12:00:00+02'", "\"2024-07-01T10:00:00Z\""),
    ("'2024-01-01 00:00:00.123456789'::timestamp_ns", "\"2024-01-01T00:00:00.123456789\""),
    ("interval '1 year 2 days 3 hours'", "\"P1Y2DT3H\""),
    ("'00112233-4455-6677-8899-aabbccddeeff'::uuid", "\"00112233-4455-6677-8899-aabbccddeeff\""),
    ("'b'::enum('a', 'b')", "\"b\""),
    ("'{\"n\": 12345678901234567890.123}'::json", "{\"n\":12345678901234567890.123}"),
    ("[1, null, 3]", "[1,null,3]"),
    ("[[1.10], []]::decimal(5, 2)[][]", "[[1.10],[]]"),
    ("array_value(1, 2)", "[1,2]"),
    ("{'a': 'x', 'b': {'c': 1::hugeint}}", "{\"a\":\"x\",\"b\":{\"c\":1}}"),
    ("map {'k': [true]}", "{\"k\":[true]}"),
    ("union_value(num := 2)", "2"),
    // Types that no other system has: a row with one is rejected, unless it is cast.
    ("timetz '10:00:00+02'", "{\"rejected\":\"invalid_value\"}"),
    ("'101'::bit", "{\"rejected\":\"invalid_value\"}"),
    ("'101'::bit::varchar", "\"101\""),
];

/// The rows of a query, as `larder source query` prints them.
pub(super) fn rows(directory: &Path, source: &str, sql: &str) -> Vec<String> {
    let output = larder(directory, &["source", "query", source, sql, "--limit", "100000"]).expect(0);
    output.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn every_type_of_duckdb_is_served_as_it_is_printed() {
    let directory = directory(&format!("[sources.duck]\ntype = \"duckdb\"\ndriver = {:?}\n", duckdb()));
    let columns: Vec<_> = VALUES.iter().enumerate().map(|(at, (sql, _))| format!("{sql} as c{at}")).collect();
    let found = rows(directory.path(), "duck", &format!("select {}", columns.join(", ")));
    let expected: Vec<_> =
        VALUES.iter().enumerate().map(|(at, (_, text))| format!("\"c{at}\":{text}")).collect();
    assert_eq!(found, [format!("{{{}}}", expected.join(","))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_postgres_are_the_same_by_both_drivers() {
    let database = Postgres::database().await;
    database
        .execute(
            "create table t as select i as id, 'näme ' || i as name, (i * 1.05)::numeric(12, 2) as price, \
             case when i % 3 = 0 then null else i % 2 = 0 end as flag, \
             timestamptz '2024-01-01 00:00:00+00' + i * interval '1 minute' as at, \
             jsonb_build_object('n', i, 't', array[i, null]) as detail, \
             decode(md5(i::text), 'hex') as bytes from generate_series(1, 50000) i",
        )
        .await;
    let driver = python_driver("postgresql");
    let directory = directory(&format!(
        "[sources.native]\ntype = \"postgres\"\nurl = {url:?}\n\
         [sources.foreign]\ntype = \"adbc\"\ndriver = {driver:?}\noptions = {{ uri = {url:?} }}\n",
        url = database.url(),
    ));
    let sql = "select * from t order by id";
    let (native, foreign) = (rows(directory.path(), "native", sql), rows(directory.path(), "foreign", sql));
    assert_eq!(native.len(), 50_000);
    for (native, foreign) in native.iter().zip(&foreign) {
        assert_eq!(native, foreign);
    }
    let tables = larder(directory.path(), &["source", "tables", "foreign", "public.t"]).expect(0);
    assert_eq!(tables.stdout.trim(), format!("{}.public.t", database.name()));
    let limited = larder(directory.path(), &["source", "query", "foreign", sql, "--limit", "3"]).expect(0);
    assert_eq!(limited.stdout.lines().collect::<Vec<_>>(), native[..3]);
    let value: Value = serde_json::from_str(&native[0]).unwrap();
    assert_eq!(value["name"], "näme 1");
}
