//! The Postgres source against a real server: every type, every error, snapshots, bounds.

use std::time::Duration;

use larder::{
    domain::{
        limits::{BATCH_BYTES, BATCH_ROWS},
        row::{CellKind, ColumnKind, RowBatch},
    },
    source::{Error, Position, Query, Settings, Source, SourceKind},
};
use tokio::sync::mpsc;

use crate::support::{
    postgres::{Database, Postgres},
    source::{DEADLINE, open, open_within, read, read_query, wait_until},
};

fn kind(url: String) -> SourceKind {
    SourceKind::Postgres { url: url.into() }
}

fn sql(text: &str) -> Query {
    Query::Sql(text.into())
}

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
        ("'\"\\ud800\"'::json", "json", Json, Cell::Invalid, "invalid_json"),
        ("'1e401'::json", "json", Json, Cell::Invalid, "invalid_json"),
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

#[tokio::test]
async fn every_type_is_served_as_designed() {
    let database = Postgres::database().await;
    database.execute(TYPES).await;
    let source = open(kind(database.url()));
    let values = values();
    let fields: Vec<_> =
        values.iter().enumerate().map(|(at, (value, ..))| format!("{value} as \"c \"\" {at}\"")).collect();
    let table = read(&source, &format!("select {}", fields.join(",\n"))).await.unwrap();
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
    let source = open(kind(database.url()));
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
    let source = open(kind(database.url()));
    let fields = [
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
    let named: Vec<_> = fields.iter().enumerate().map(|(at, field)| format!("{field} as c{at}")).collect();
    let table =
        read(&source, &format!("select {} from generate_series(1, 3)", named.join(", "))).await.unwrap();
    for (cell, field) in table.rows()[0].iter().zip(fields) {
        assert_eq!(cell, &(CellKind::Null, String::new()), "{field}");
    }
    assert_eq!(table.nulled(), 3 * fields.len() as u64);
}

#[tokio::test]
async fn text_of_an_unknown_encoding_is_checked_cell_by_cell() {
    let database = Postgres::database_with("encoding 'SQL_ASCII' locale 'C'").await;
    database.execute("create table t (id int, name text, doc json)").await;
    database
        .execute("insert into t values (1, E'\\351', E'\"\\351\"'), (2, E'\\303\\251', E'\"\\303\\251\"')")
        .await;
    let source = open(kind(database.url()));
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
    let rows = read(&open(kind(latin.url())), "select chr(233) as c").await.unwrap().rows();
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
    let source = open(kind(database.socket_url()));
    source.check().await.unwrap();
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

async fn failure(source: &Source, query: &Query) -> Error {
    read_query(source, query, None).await.unwrap_err()
}

#[tokio::test]
async fn errors_say_what_happened_and_what_to_do() {
    let database = Postgres::database().await;
    database
        .execute("create table secrets (id int); create table t (id int, \"Name\" text); insert into t values (0, 'x')")
        .await;
    database.execute("grant select on t to locked; revoke all on secrets from public").await;
    let source = open(kind(database.url()));
    let locked = open(kind(database.url_of("locked:secret")));
    for (source, query, code, part) in [
        (&source, sql("select * from nowhere"), "source_unknown_table", "nowhere"),
        (&source, sql("select * from no.t"), "source_unknown_table", "no.t"),
        (&source, Query::Table { name: "T".into(), columns: None }, "source_unknown_table", "\"T\""),
        (&source, sql("select id,\n  nmae from t"), "source_unknown_column", "line 2, column 3"),
        (&source, sql("select id form t where"), "source_syntax_error", "line 1"),
        (&source, sql("select * from"), "source_syntax_error", "end of input"),
        (&source, sql("select 1) to stdout --"), "source_syntax_error", "\")\""),
        (&source, sql("select 1; drop table t"), "source_several_statements", "line 1"),
        (&source, sql(" "), "source_query_empty", "empty"),
        (&source, sql("select 1 as a, 2 as a"), "source_duplicate_column", "`a`"),
        (&source, sql("select from t"), "source_no_columns", "select"),
        (&source, sql("delete from t returning id"), "source_no_columns", "select"),
        (&source, sql("select nextval('s') from (select 1) x"), "source_unknown_table", "\"s\""),
        (&source, sql("select 1 / id as x from t"), "source_query_failed", "22012"),
        (&source, sql("select \"Name\"::int as x from t"), "source_query_failed", "22P02"),
        (&source, sql("select $1::int as x"), "source_query_failed", "$1"),
        (&locked, sql("select * from secrets"), "source_permission_denied", "secrets"),
    ] {
        let error = failure(source, &query).await;
        let text = error.to_string();
        assert_eq!(error.code(), code, "{query:?}: {text}");
        assert!(text.contains(part), "{query:?}: {text}");
    }
    let misspelt = failure(&source, &sql("select id,\n  nmae from t")).await;
    assert!(matches!(
        &misspelt,
        Error::UnknownColumn { fault } if fault.position == Some(Position { line: 2, column: 3 })
    ));
    // A value that a conversion complains about is not repeated.
    let secret = failure(&source, &sql("select ('hush' || id)::int as x from t")).await;
    assert!(!format!("{secret} {secret:?}").contains("hush"), "{secret:?}");
}

#[tokio::test]
async fn models_cannot_write() {
    let database = Postgres::database().await;
    database.execute("create table t (id int); create sequence s").await;
    database
        .execute(
            "create function put() returns int language plpgsql as
             $$ begin insert into t values (1); return 1; end $$",
        )
        .await;
    let source = open(kind(database.url()));
    for query in ["select nextval('s') as x", "select put() as x"] {
        let error = failure(&source, &sql(query)).await;
        assert_eq!(error.kind(), larder::domain::error::ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("25006"), "{error}");
    }
    assert_eq!(database.value("select count(*) from t").await.as_deref(), Some("0"));
}

#[tokio::test]
async fn refused_connections_say_why() {
    let database = Postgres::database().await;
    let port = database.port();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed_port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let silent_port = other.local_addr().unwrap().port();
    for (url, code, part) in [
        (database.url_of("locked:wrong-password"), "source_wrong_password", "locked"),
        (format!("postgres://postgres@127.0.0.1:{port}/nowhere"), "source_unknown_database", "nowhere"),
        (database.url_of("nobody-here"), "source_login_refused", "nobody-here"),
        (format!("postgres://u:pw@127.0.0.1:{closed_port}/d"), "source_unreachable", "127.0.0.1"),
        (format!("{}?sslmode=require", database.url()), "source_tls_refused", "sslmode"),
        ("postgres://u:pw@no-such-host.invalid/d".into(), "source_host_unknown", "no-such-host.invalid"),
        (format!("postgres://u:pw@127.0.0.1:{silent_port}/d"), "source_connect_timeout", "127.0.0.1"),
        ("postgres:///d?host=/no/such/directory".into(), "source_unreachable", "/no/such/directory"),
    ] {
        // Only the silent port waits for the bound.
        let bound = if code == "source_connect_timeout" { Duration::from_millis(50) } else { DEADLINE };
        let source = open_within(kind(url), DEADLINE, bound);
        let error = source.check().await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert_eq!(error.code(), code, "{text}");
        assert!(text.contains(part), "{text}");
        assert!(!text.contains("wrong-password") && !text.contains(":pw@"), "{text}");
    }
    let url = "postgres://u:secret-word@localhost/d?sslmode=perhaps".to_owned();
    let settings = Settings {
        name: "warehouse".into(),
        kind: kind(url),
        statement_timeout: DEADLINE,
        connect_timeout: DEADLINE,
    };
    let error = Source::open(settings).unwrap_err();
    assert_eq!(error.code(), "source_url_invalid");
    assert!(!format!("{error} {error:?}").contains("secret-word"));
}

#[tokio::test]
async fn a_slow_query_ends_at_its_timeout() {
    let database = Postgres::database().await;
    let source = open_within(kind(database.url()), Duration::from_millis(100), DEADLINE);
    let query = sql("select pg_sleep(3600)::text as x");
    let columns = source.describe(&query).await.unwrap();
    let (sender, _receiver) = mpsc::channel::<RowBatch>(1);
    let error = source.stream(&query, sender, &columns, None).await.unwrap_err();
    assert_eq!(error.code(), "source_statement_timeout");
    assert!(error.to_string().contains("100 ms"), "{error}");
}

#[tokio::test]
async fn changed_columns_are_noticed_before_a_row_is_sent() {
    let database = Postgres::database().await;
    database.execute("create table t (id int, name text); insert into t values (1, 'a')").await;
    let source = open(kind(database.url()));
    let query = Query::Table { name: "t".into(), columns: None };
    let columns = source.describe(&query).await.unwrap();
    for (change, part) in [
        ("alter table t alter id type int8", "`id` is now int8, not int4"),
        ("alter table t alter id type int4, add extra bool", "`extra` is now bool, not absent"),
        ("alter table t drop extra, drop name", "`name` is now absent, not text"),
    ] {
        database.execute(change).await;
        let (sender, mut receiver) = mpsc::channel::<RowBatch>(1);
        let error = source.stream(&query, sender, &columns, None).await.unwrap_err();
        assert_eq!(error.code(), "columns_changed");
        assert!(error.to_string().contains(part), "{error}");
        assert!(receiver.recv().await.is_none());
    }
}

/// A table too large for the buffers between server and receiver, and its query.
async fn large_table(database: &Database) -> Query {
    database
        .execute(
            "create table big as select n as id, repeat('x', 500) as text from generate_series(1, 200000) n",
        )
        .await;
    sql("select * from big")
}

#[tokio::test]
async fn a_stream_is_one_snapshot_in_bounded_memory() {
    let database = Postgres::database().await;
    let query = large_table(&database).await;
    let source = open(kind(database.url()));
    let columns = source.describe(&query).await.unwrap();
    let (sender, mut receiver) = mpsc::channel::<RowBatch>(1);
    let stream = source.stream(&query, sender, &columns, None);
    let receive = async {
        let first = receiver.recv().await.unwrap();
        // Nobody receives: the server must come to wait for us, with most rows unread.
        let waits = "select 1 from pg_stat_activity where datname = current_database() \
                     and application_name = 'larder' and wait_event = 'ClientWrite'";
        wait_until("the server waits", || async { database.value(waits).await.is_some() }).await;
        let sent = database.value("select tuples_processed from pg_stat_progress_copy").await.unwrap();
        assert!(sent.parse::<u64>().unwrap() < 100_000, "{sent} rows have left the server");
        database
            .execute("insert into big values (0, 'late'); update big set text = 'late' where id > 199000")
            .await;
        let mut rows = first.rows();
        while let Some(batch) = receiver.recv().await {
            rows += batch.rows();
            assert!(batch.rows() <= BATCH_ROWS && batch.bytes() < BATCH_BYTES + 1000);
            assert!((0..batch.rows()).all(|row| batch.cell(row, 1).1.len() == 500), "a late row was seen");
        }
        rows
    };
    let (result, rows) = tokio::join!(stream, receive);
    result.unwrap();
    assert_eq!(rows, 200_000);
}

#[tokio::test]
async fn a_lost_connection_is_told() {
    let database = Postgres::database().await;
    let query = large_table(&database).await;
    let source = open(kind(database.url()));
    let columns = source.describe(&query).await.unwrap();
    let (sender, mut receiver) = mpsc::channel::<RowBatch>(1);
    let receive = async {
        let first = receiver.recv().await.unwrap();
        let kill = "select pg_terminate_backend(pid) from pg_stat_activity \
                    where datname = current_database() and application_name = 'larder'";
        database.execute(kill).await;
        let mut rows = first.rows();
        while let Some(batch) = receiver.recv().await {
            rows += batch.rows();
        }
        rows
    };
    let (result, rows) = tokio::join!(source.stream(&query, sender, &columns, None), receive);
    assert_eq!(result.unwrap_err().code(), "source_connection_lost");
    assert!(rows < 200_000);
}

#[tokio::test]
async fn nobody_to_receive_ends_the_query_on_the_server() {
    let database = Postgres::database().await;
    let source = open(kind(database.url()));
    let query = sql("select pg_sleep(3600)::text as x");
    let columns = source.describe(&query).await.unwrap();
    let running = "select count(*) from pg_stat_activity where datname = current_database() \
                   and application_name = 'larder' and query like 'copy%'";
    let count = || database.value(running);

    // The receiver goes away while the server has not sent a row.
    let (sender, receiver) = mpsc::channel::<RowBatch>(1);
    let go = async {
        wait_until("the query runs", || async { count().await.as_deref() == Some("1") }).await;
        drop(receiver);
    };
    let (result, ()) = tokio::join!(source.stream(&query, sender, &columns, None), go);
    result.unwrap();
    wait_until("the query ends", || async { count().await.as_deref() == Some("0") }).await;

    // The future is dropped.
    let (sender, _receiver) = mpsc::channel::<RowBatch>(1);
    tokio::select! {
        result = source.stream(&query, sender, &columns, None) => panic!("{result:?}"),
        () = wait_until("the query runs", || async { count().await.as_deref() == Some("1") }) => {}
    }
    wait_until("the query ends", || async { count().await.as_deref() == Some("0") }).await;
}

#[tokio::test]
async fn several_tasks_use_one_source() {
    let database = Postgres::database().await;
    let source = open(kind(database.url()));
    let one = read(&source, "select n from generate_series(1, 5000) n");
    let other = read(&source, "select n, array[n] as list from generate_series(1, 3000) n");
    let (one, other) = tokio::join!(one, other);
    assert_eq!((one.unwrap().rows().len(), other.unwrap().rows().len()), (5000, 3000));
}
