//! Every type, and queries of every shape.

use larder::{
    domain::row::{CellKind, ColumnKind},
    source::Query,
};

use super::{section, sql};
use crate::support::{
    postgres::{Database, Postgres},
    source::{open, read, read_query},
};

const TYPES: &str = "
    create domain positive as int check (value > 0);
    create domain document as jsonb;
    create type mood as enum ('sad', 'häppy');
    create type place as (street text, number int4);
    create domain moods as mood[];
";

/// What is asked for, what its column is and what the cell holds.
#[expect(clippy::too_many_lines, reason = "a table")]
fn values() -> Vec<(&'static str, &'static str, ColumnKind, CellKind, &'static str)> {
    use CellKind as Cell;
    use ColumnKind::{Boolean, Integer, Json, Number, Text, Uuid};
    vec![
        ("true", "bool", Boolean, Cell::Boolean, "true"),
        ("false", "bool", Boolean, Cell::Boolean, "false"),
        ("(-32768)::int2", "int2", Integer, Cell::Integer, "-32768"),
        ("2147483647", "int4", Integer, Cell::Integer, "2147483647"),
        ("9223372036854775807", "int8", Integer, Cell::Integer, "9223372036854775807"),
        ("4294967295::oid", "oid", Integer, Cell::Integer, "4294967295"),
        ("0.1::float4", "float4", Number, Cell::Number, "0.1"),
        ("5::float8", "float8", Number, Cell::Number, "5"),
        ("'-0'::float8", "float8", Number, Cell::Number, "0"),
        ("1e20::float8", "float8", Number, Cell::Number, "100000000000000000000"),
        ("1e30::float8", "float8", Number, Cell::Number, "1e+30"),
        ("1e-7::float8", "float8", Number, Cell::Number, "0.0000001"),
        ("0.1::float8 + 0.2::float8", "float8", Number, Cell::Number, "0.30000000000000004"),
        ("1.50", "numeric", Number, Cell::Number, "1.50"),
        ("0.00", "numeric", Number, Cell::Number, "0.00"),
        ("-0.0000000012", "numeric", Number, Cell::Number, "-0.0000000012"),
        ("1e30", "numeric", Number, Cell::Number, "1000000000000000000000000000000"),
        ("12345::numeric(10, -2)", "numeric", Number, Cell::Number, "12300"),
        (
            "12345678901234567890.12345678901234567890",
            "numeric",
            Number,
            Cell::Number,
            "12345678901234567890.12345678901234567890",
        ),
        ("10000000000000000.0001", "numeric", Number, Cell::Number, "10000000000000000.0001"),
        ("'a\"\\ é😀'::text", "text", Text, Cell::Text, "a\"\\ é😀"),
        ("''::text", "text", Text, Cell::Text, ""),
        ("'ab'::varchar(3)", "varchar", Text, Cell::Text, "ab"),
        ("'ab'::char(4)", "bpchar", Text, Cell::Text, "ab  "),
        ("'pg_class'::name", "name", Text, Cell::Text, "pg_class"),
        ("'untyped'", "text", Text, Cell::Text, "untyped"),
        (
            "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid",
            "uuid",
            Uuid,
            Cell::Text,
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ),
        ("'2024-02-29'::date", "date", Text, Cell::Text, "2024-02-29"),
        ("'0001-01-01'::date", "date", Text, Cell::Text, "0001-01-01"),
        (
            "'9999-12-31 23:59:59.999999'::timestamp",
            "timestamp",
            Text,
            Cell::Text,
            "9999-12-31T23:59:59.999999",
        ),
        ("'2024-01-02 03:04:05'::timestamp", "timestamp", Text, Cell::Text, "2024-01-02T03:04:05"),
        (
            "'2024-01-02 03:04:05.120+02'::timestamptz",
            "timestamptz",
            Text,
            Cell::Text,
            "2024-01-02T01:04:05.12Z",
        ),
        ("'1900-01-01 00:00:00Z'::timestamptz", "timestamptz", Text, Cell::Text, "1900-01-01T00:00:00Z"),
        ("'\\x00ff10'::bytea", "bytea", Text, Cell::Text, "AP8Q"),
        ("'[1, 2.50, {\"b\": null}]'::jsonb", "jsonb", Json, Cell::Json, "[1,2.50,{\"b\":null}]"),
        ("'{\"a\": 1, \"b\": 1E2, \"a\": -0.0}'::json", "json", Json, Cell::Json, "{\"b\":100,\"a\":0.0}"),
        ("'\"te\\u0041xt\"'::json", "json", Json, Cell::Json, "\"teAxt\""),
        ("'null'::jsonb", "jsonb", Json, Cell::Json, "null"),
        ("'7'::jsonb", "jsonb", Json, Cell::Json, "7"),
        ("'\"\\u0000\"'::json", "json", Json, Cell::Invalid, "invalid_json"),
        ("'[1e30,-2.5E-3]'::json", "json", Json, Cell::Json, "[1000000000000000000000000000000,-0.0025]"),
        ("'[1e30,-2.5E-3]'::jsonb", "jsonb", Json, Cell::Json, "[1000000000000000000000000000000,-0.0025]"),
        ("'0e999999999'::json", "json", Json, Cell::Json, "0"),
        ("'\"\\ud800\"'::json", "json", Json, Cell::Invalid, "invalid_json"),
        ("'1e200000'::json", "json", Json, Cell::Invalid, "invalid_json"),
        ("(repeat('[', 65) || repeat(']', 65))::json", "json", Json, Cell::Invalid, "record_too_deep"),
        ("repeat('x', 2000001)", "text", Text, Cell::Invalid, "record_too_large"),
        ("7::positive", "int4", Integer, Cell::Integer, "7"),
        ("'{\"a\": 1}'::document", "jsonb", Json, Cell::Json, "{\"a\":1}"),
        ("'häppy'::mood", "mood", Text, Cell::Text, "häppy"),
        ("array['sad']::moods", "mood[]", Json, Cell::Json, "[\"sad\"]"),
        ("array[[1, 2], [3, null]]", "integer[]", Json, Cell::Json, "[[1,2],[3,null]]"),
        ("'{}'::text[]", "text[]", Json, Cell::Json, "[]"),
        (
            "array[1e30, 'NaN']::float8[]",
            "double precision[]",
            Json,
            Cell::Json,
            "[1000000000000000000000000000000,\"NaN\"]",
        ),
        ("array['{\"a\": [1]}']::jsonb[]", "jsonb[]", Json, Cell::Json, "[{\"a\":[1]}]"),
        (
            "row('a \"street\"', 5)::place",
            "place",
            Json,
            Cell::Json,
            "{\"street\":\"a \\\"street\\\"\",\"number\":5}",
        ),
        ("array[row('x', null)::place]", "place[]", Json, Cell::Json, "[{\"street\":\"x\",\"number\":null}]"),
        ("row(1, 'x')", "record", Json, Cell::Json, "{\"f1\":1,\"f2\":\"x\"}"),
        ("int4range(1, 5)", "int4range", Json, Cell::Text, "[1,5)"),
        ("'{[1,3), [5,8)}'::int4multirange", "int4multirange", Json, Cell::Text, "{[1,3),[5,8)}"),
        ("tstzrange('2024-01-01Z', null)", "tstzrange", Json, Cell::Text, "[\"2024-01-01 00:00:00+00\",)"),
        ("'1 year 2 days 03:04:05.5'::interval", "interval", Text, Cell::Text, "1 year 2 days 03:04:05.5"),
        ("'12:34:56.7'::time", "time without time zone", Text, Cell::Text, "12:34:56.7"),
        ("'12:34:56+02'::timetz", "time with time zone", Text, Cell::Text, "12:34:56+02"),
        ("'1234.5'::money", "money", Text, Cell::Text, "$1,234.50"),
        ("'10.0.0.0/8'::inet", "inet", Text, Cell::Text, "10.0.0.0/8"),
        ("'08:00:2b:01:02:03'::macaddr", "macaddr", Text, Cell::Text, "08:00:2b:01:02:03"),
        ("b'101'", "bit", Text, Cell::Text, "101"),
        ("point(1, 2)", "point", Text, Cell::Text, "(1,2)"),
        ("'a b'::tsvector", "tsvector", Text, Cell::Text, "'a' 'b'"),
        ("'<a>é</a>'::xml", "xml", Text, Cell::Text, "<a>é</a>"),
        ("'c'::\"char\"", "\"char\"", Text, Cell::Text, "c"),
        ("'pg_class'::regclass", "regclass", Text, Cell::Text, "pg_class"),
    ]
}

/// Creates the types that [`select`] has values of.
pub(super) async fn create(database: &Database) {
    database.execute(TYPES).await;
}

/// A query of one row with a value of every type.
pub(super) fn select() -> String {
    let fields =
        values().into_iter().enumerate().map(|(at, (value, ..))| format!("{value} as \"c \"\" {at}\""));
    format!("select {}", fields.collect::<Vec<_>>().join(",\n"))
}

/// Values that become null and are counted.
pub(super) const NULLED: [&str; 10] = [
    "'NaN'::float4",
    "'-Infinity'::float8",
    "'NaN'::numeric",
    "'Infinity'::numeric",
    "'infinity'::date",
    "'-infinity'::timestamp",
    "'infinity'::timestamptz",
    "'10000-01-01'::date",
    "'0044-03-15 BC'::timestamp",
    "'10000-01-01Z'::timestamptz",
];

#[tokio::test]
async fn every_type_is_served_as_designed() {
    let database = Postgres::database().await;
    create(&database).await;
    let source = open(&section(&database.url()));
    let values = values();
    let table = read(&source, &select()).await.unwrap();
    let rows = table.rows();
    assert_eq!((rows.len(), rows[0].len(), table.nulled()), (1, values.len(), 0));
    for (at, (value, type_name, column_kind, cell_kind, text)) in values.into_iter().enumerate() {
        let column = &table.columns[at];
        assert_eq!(column.name, format!("c \" {at}"));
        assert_eq!((column.type_name.as_str(), column.kind), (type_name, column_kind), "{value}");
        assert_eq!((rows[0][at].0, rows[0][at].1.as_str()), (cell_kind, text), "{value}");
    }
}

#[tokio::test]
async fn null_is_null_in_every_type() {
    let database = Postgres::database().await;
    database.execute(TYPES).await;
    let source = open(&section(&database.url()));
    let types = [
        "bool",
        "int2",
        "int4",
        "int8",
        "oid",
        "float4",
        "float8",
        "numeric",
        "text",
        "varchar",
        "bpchar",
        "name",
        "uuid",
        "date",
        "timestamp",
        "timestamptz",
        "bytea",
        "json",
        "jsonb",
        "int4[]",
        "place",
        "mood",
        "positive",
        "document",
        "interval",
        "money",
        "inet",
        "int4range",
        "xml",
    ];
    let fields: Vec<_> = types.iter().map(|name| format!("null::{name} as \"{name}\"")).collect();
    let table = read(&source, &format!("select {}", fields.join(", "))).await.unwrap();
    for (cell, name) in table.rows()[0].iter().zip(types) {
        assert_eq!(cell, &(CellKind::Null, String::new()), "{name}");
    }
    assert_eq!(table.nulled(), 0, "null is no loss");
}

#[tokio::test]
async fn what_json_cannot_hold_is_null_and_counted() {
    let database = Postgres::database().await;
    let source = open(&section(&database.url()));
    let named: Vec<_> = NULLED.iter().enumerate().map(|(at, field)| format!("{field} as c{at}")).collect();
    let table =
        read(&source, &format!("select {} from generate_series(1, 3)", named.join(", "))).await.unwrap();
    for (cell, field) in table.rows()[0].iter().zip(NULLED) {
        assert_eq!(cell, &(CellKind::Null, String::new()), "{field}");
    }
    assert_eq!(table.nulled(), 3 * NULLED.len() as u64);
}

#[tokio::test]
async fn text_of_an_unknown_encoding_is_checked_cell_by_cell() {
    let database = Postgres::database_with("encoding 'SQL_ASCII' locale 'C'").await;
    database.execute("create table t (id int, name text, doc json)").await;
    database
        .execute("insert into t values (1, E'\\351', E'\"\\351\"'), (2, E'\\303\\251', E'\"\\303\\251\"')")
        .await;
    let source = open(&section(&database.url()));
    let rows =
        read(&source, "select name, doc, array[name] as names from t order by id").await.unwrap().rows();
    let invalid = (CellKind::Invalid, "invalid_text".to_owned());
    assert_eq!(rows[0], [invalid.clone(), invalid.clone(), invalid]);
    let text = |kind, text: &str| (kind, text.to_owned());
    assert_eq!(
        rows[1],
        [text(CellKind::Text, "é"), text(CellKind::Json, "\"é\""), text(CellKind::Json, "[\"é\"]")]
    );
    // Another encoding is made UTF-8 by the server.
    let latin = Postgres::database_with("encoding 'LATIN1' locale 'C'").await;
    let rows = read(&open(&section(&latin.url())), "select chr(233) as c").await.unwrap().rows();
    assert_eq!(rows[0][0], (CellKind::Text, "é".to_owned()));
}

#[tokio::test]
async fn queries_of_every_shape_are_read() {
    let database = Postgres::database().await;
    database
        .execute(
            "create schema \"My Schema\";
             create table \"My Schema\".\"Odd.Not\" (id int, \"Name\" text);
             create table plain (id int, gone int, \"Name\" text, at interval);
             alter table plain drop column gone;
             insert into plain values (1, 'a', '1 day'), (2, 'b', '2 days'), (3, 'c', null);
             create table \"My Schema\".\"Capital\" as select * from plain",
        )
        .await;
    let source = open(&section(&database.socket_url()));
    for (query, limit, expected) in [
        (sql("select id from plain order by id; -- done"), None, "1|2|3"),
        (sql("select id from plain order by id -- no end of line"), None, "1|2|3"),
        (sql("/* first */ with x as (select 7 as id) select * from x"), None, "7"),
        (sql("values (1, 'x'), (2, 'y')"), None, "1,x|2,y"),
        (sql("table plain"), None, "1,a,1 day|2,b,2 days|3,c,"),
        (sql("select 1 union all select 2 order by 1 desc"), None, "2|1"),
        (sql("select id, at from plain order by id desc"), Some(2), "3,|2,2 days"),
        (sql("select id from plain order by id limit 3"), Some(1), "1"),
        (sql("select id from plain"), Some(0), ""),
        (sql("select id from plain where false"), None, ""),
        (Query::Table { name: "public.plain".into(), columns: None }, None, "1,a,1 day|2,b,2 days|3,c,"),
        (
            Query::Table {
                name: "My Schema.Capital".into(),
                columns: Some(vec!["Name".into(), "id".into()]),
            },
            Some(1),
            "a,1",
        ),
    ] {
        let rows = read_query(&source, &query, limit).await.unwrap().rows();
        let rows: Vec<_> = rows
            .into_iter()
            .map(|row| row.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(","))
            .collect();
        assert_eq!(rows.join("|"), expected, "{query:?}");
    }
}

#[tokio::test]
async fn number_with_an_exponent_has_one_text_in_every_type() {
    let database = Postgres::database().await;
    let source = open(&section(&database.url()));
    for number in ["1e399", "1e400", "-1.5e5000", "1e131071", "2.5e-400", "1e-16383", "0e400"] {
        let query = format!("select '{number}'::json as a, '{number}'::jsonb as b, '{number}'::numeric as c");
        let row = &read(&source, &query).await.unwrap().rows()[0];
        assert_eq!(row[0].0, CellKind::Json, "{number}");
        assert_eq!(row[0].1.trim_end_matches('0'), row[1].1.trim_end_matches('0'), "{number}");
        assert_eq!((row[0].1.len(), &row[1].1), (row[1].1.len(), &row[2].1), "{number}");
    }
}
