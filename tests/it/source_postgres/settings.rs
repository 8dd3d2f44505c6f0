//! Settings of the server, the database and the role: none changes a record.

use super::section;
use crate::support::{
    postgres::Postgres,
    source::{open, read},
};

/// Values of every kind whose text depends on a setting.
const QUERY: &str = r"
    select interval '1 year 2 days 3 hours' as interval, array[interval '-1 day 3 hours'] as intervals,
        bytea '\x00ff' as bytes, array[bytea '\x00ff5c'] as many_bytes,
        array[0.1::float8 + 0.2::float8] as floats, (0.1::float4, 1) as composite,
        daterange('2026-02-03', '2026-04-05') as dates, '03/02/2026'::date as ambiguous,
        tstzrange('2026-02-03 12:00Z', '2026-02-04 12:00Z') as moments,
        array[timestamptz '2026-07-01 12:00Z'] as array_of_moments, timestamptz '2026-07-01 23:30Z'::date as day,
        timestamptz '2026-07-01 12:00Z'::text as moment, '2026-07-01 12:00'::timestamptz as zoned,
        1234.5::float8::numeric::money as money, to_char(1234.5, 'L9G999D99') as formatted,
        xmlelement(name a, bytea '\x00ff') as element, '<a/>'::xml as document,
        array['<b/>'::xml] as documents, 'Select'::regclass as relation, 'a\b' as text, '{null}'::text[] as nulls,
        (null = 1) is null as unknown";

/// Each with a value other than ours.
const CHANGED: [(&str, &str); 16] = [
    ("array_nulls", "off"),
    ("bytea_output", "escape"),
    ("client_encoding", "'LATIN1'"),
    ("datestyle", "'SQL, DMY'"),
    ("extra_float_digits", "-15"),
    ("gin_fuzzy_search_limit", "1"),
    ("intervalstyle", "iso_8601"),
    ("lc_monetary", "'C.UTF-8'"),
    ("lc_numeric", "'C.UTF-8'"),
    ("lc_time", "'C.UTF-8'"),
    ("quote_all_identifiers", "on"),
    ("standard_conforming_strings", "off"),
    ("timezone", "'America/New_York'"),
    ("transform_null_equals", "on"),
    ("xmlbinary", "hex"),
    ("xmloption", "document"),
];

#[tokio::test]
async fn no_setting_of_database_or_role_changes_a_record() {
    let database = Postgres::database().await;
    database.execute("create role formatted login; create table \"Select\" (id int)").await;
    let query = QUERY.replace("'Select'::regclass", "'\"Select\"'::regclass");
    let source = open(&section(&database.url_of("formatted")));
    let names = CHANGED.map(|(name, _)| format!("'{name}'")).join(", ");
    let settings = format!(
        "select lower(name) as name, setting from pg_settings where lower(name) in ({names}) order by 1"
    );
    let expected = read(&source, &query).await.unwrap().rows();
    let expected_settings = read(&source, &settings).await.unwrap().rows();
    assert_eq!(expected_settings.len(), CHANGED.len());
    let name = database.value("select current_database()").await.unwrap();
    for level in [format!("database {name}"), "role formatted".to_owned()] {
        for (setting, value) in CHANGED {
            database.execute(&format!("alter {level} set {setting} = {value}")).await;
            let rows = read(&source, &query).await.unwrap().rows();
            assert_eq!(rows, expected, "{setting} of the {level}");
            let found = read(&source, &settings).await.unwrap().rows();
            assert_eq!(found, expected_settings, "{setting} of the {level}");
            database.execute(&format!("alter {level} reset {setting}")).await;
        }
    }
}
