//! Servers that speak Postgres' protocol and lack a part of its SQL: rows are the same.

use super::{section, sql, types};
use crate::support::{
    dialects::without_words,
    postgres::{Database, Postgres},
    source::{open, read, read_query},
};

const COPY: &str = "copy (";
const VALUES: &str = "values (";
const TO_JSON: &str = "to_json(";

async fn behind(database: &Database, words: &'static [&'static str]) -> String {
    let port = without_words(([127, 0, 0, 1], database.port()).into(), words).await.port();
    let separator = if database.url().contains('?') { '&' } else { '?' };
    let url = database.url().replace(&format!(":{}", database.port()), &format!(":{port}"));
    format!("{url}{separator}sslmode=disable")
}

#[tokio::test]
async fn rows_are_the_same_without_a_copy() {
    let database = Postgres::database().await;
    types::create(&database).await;
    let select = types::select();
    let expected = read(&open(&section(&database.url())), &select).await.unwrap();
    for words in [&[COPY][..], &[COPY, VALUES]] {
        let source = open(&section(&behind(&database, words).await));
        for _ in 0..2 {
            let found = read(&source, &select).await.unwrap();
            assert_eq!(found.columns, expected.columns);
            for ((column, found), expected) in
                found.columns.iter().zip(&found.rows()[0]).zip(&expected.rows()[0])
            {
                assert_eq!(found, expected, "{column:?} without {words:?}");
            }
            assert_eq!(found.nulled(), expected.nulled());
        }
        let nulled: Vec<_> =
            types::NULLED.iter().enumerate().map(|(at, field)| format!("{field} as c{at}")).collect();
        let nulled = read(&source, &format!("select {}", nulled.join(", "))).await.unwrap();
        assert_eq!(nulled.nulled(), types::NULLED.len() as u64, "{:?}", nulled.rows());
        let many = read(&source, "select i, 'x' || i as x from generate_series(1, 100000) i;").await.unwrap();
        assert_eq!(many.rows().len(), 100_000);
        let some = sql("select i from generate_series(1, 100000) i -- all");
        assert_eq!(read_query(&source, &some, Some(7)).await.unwrap().rows().len(), 7);
        for (query, code) in [
            ("select * from nothere", "source_unknown_table"),
            ("select 1 / (i - 5000) as x from generate_series(1, 9999) i", "source_query_failed"),
            ("update pg_class set relname = 'x' returning relname", "source_no_columns"),
        ] {
            assert_eq!(read(&source, query).await.unwrap_err().code(), code, "{query}");
        }
    }
}

#[tokio::test]
async fn types_are_text_without_a_function_that_makes_json() {
    let database = Postgres::database().await;
    let source = open(&section(&behind(&database, &[COPY, TO_JSON]).await));
    let query =
        "select 1.50 as n, '{1,2}'::int[] as list, '10.0.0.1'::inet as address, '{\"a\":1}'::jsonb as j";
    let rows = read(&source, query).await.unwrap().rows();
    let texts: Vec<&str> = rows[0].iter().map(|cell| cell.1.as_str()).collect();
    assert_eq!(texts, ["1.50", "{1,2}", "10.0.0.1/32", "{\"a\":1}"]);
}

#[tokio::test]
async fn settings_of_the_database_change_no_value_without_a_copy() {
    let database = Postgres::database().await;
    let name = database.name();
    for setting in [
        "datestyle = 'German'",
        "timezone = 'Asia/Kolkata'",
        "bytea_output = 'escape'",
        "extra_float_digits = 0",
    ] {
        database.execute(&format!("alter database {name} set {setting}")).await;
    }
    let source = open(&section(&behind(&database, &[COPY, VALUES]).await));
    let query =
        "select '2024-07-01 12:00+02'::timestamptz as t, '\\x00ff'::bytea as b, 0.1::float8 + 0.2 as f";
    let rows = read(&source, query).await.unwrap().rows();
    let texts: Vec<&str> = rows[0].iter().map(|cell| cell.1.as_str()).collect();
    assert_eq!(texts, ["2024-07-01T10:00:00Z", "AP8=", "0.30000000000000004"]);
}
