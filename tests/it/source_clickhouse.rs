//! The ClickHouse source against ClickHouse's engine: every type, every error, changes, and queries without readers.

use larder::{
    domain::{
        cursor::CursorValue,
        row::{
            CellKind::{self, self as Cell},
            ColumnKind::{self, Any, Boolean, Integer, Json, Number, Text, Uuid},
            RowBatch,
        },
    },
    source::{Increment, Query},
};
use tokio::sync::mpsc;

use crate::support::{
    clickhouse::ClickHouse,
    process::wait_until,
    source::{open, open_within, read, read_query},
    web::WebService,
};

/// Types, a value of each, and what is served.
const VALUES: &[(&str, &str, ColumnKind, CellKind, &str)] = &[
    ("Int8", "-128", Integer, Cell::Integer, "-128"),
    ("UInt64", "18446744073709551615", Integer, Cell::Integer, "18446744073709551615"),
    (
        "Int256",
        "'-57896044618658097711785492504343953926634992332820282019728792003956564819968'",
        Integer,
        Cell::Integer,
        "-57896044618658097711785492504343953926634992332820282019728792003956564819968",
    ),
    ("Float64", "0.1", Number, Cell::Number, "0.1"),
    ("Float64", "1e300", Number, Cell::Number, "1e+300"),
    ("Float64", "-0.0", Number, Cell::Number, "0"),
    ("Float64", "nan", Number, Cell::Null, ""),
    ("Float32", "16777216", Number, Cell::Number, "16777216"),
    ("Float32", "-inf", Number, Cell::Null, ""),
    (
        "Decimal(38, 10)",
        "'1234567890123456789012345678.0123456789'",
        Number,
        Cell::Number,
        "1234567890123456789012345678.0123456789",
    ),
    ("Decimal(76, 5)", "'-0.00001'", Number, Cell::Number, "-0.00001"),
    ("Bool", "true", Boolean, Cell::Boolean, "true"),
    ("String", "'é \" / \\\\ 😀 \\n \u{2028}'", Text, Cell::Text, "é \" / \\ 😀 \n \u{2028}"),
    ("String", "''", Text, Cell::Text, ""),
    ("String", "unhex('ff')", Text, Cell::Invalid, "invalid_text"),
    ("String", "'a\\0b'", Text, Cell::Invalid, "invalid_text"),
    ("FixedString(4)", "'ab'", Text, Cell::Text, "ab"),
    ("LowCardinality(String)", "'low'", Text, Cell::Text, "low"),
    ("LowCardinality(Nullable(String))", "null", Text, Cell::Null, ""),
    ("Nullable(Int32)", "null", Integer, Cell::Null, ""),
    ("Enum8('on' = 1, 'off' = 2)", "'off'", Text, Cell::Text, "off"),
    (
        "UUID",
        "'61F0C404-5CB3-11E7-907B-A6006AD3DBA0'",
        Uuid,
        Cell::Text,
        "61f0c404-5cb3-11e7-907b-a6006ad3dba0",
    ),
    ("IPv4", "'1.2.3.4'", Text, Cell::Text, "1.2.3.4"),
    ("IPv6", "'2001:db8::1'", Text, Cell::Text, "2001:db8::1"),
    ("Date", "'2024-02-29'", Text, Cell::Text, "2024-02-29"),
    ("Date32", "'1900-01-01'", Text, Cell::Text, "1900-01-01"),
    ("DateTime('UTC')", "'2024-01-02 03:04:05'", Text, Cell::Text, "2024-01-02T03:04:05Z"),
    ("DateTime64(6, 'Europe/Berlin')", "'2024-07-01 12:00:00.5'", Text, Cell::Text, "2024-07-01T10:00:00.5Z"),
    (
        "DateTime64(9, 'UTC')",
        "'2024-07-01 12:00:00.123456789'",
        Text,
        Cell::Text,
        "2024-07-01T12:00:00.123456789Z",
    ),
    ("DateTime64(3, 'UTC')", "'2024-07-01 12:00:00'", Text, Cell::Text, "2024-07-01T12:00:00Z"),
    ("Array(UInt64)", "[1, 18446744073709551615]", Json, Cell::Json, "[1,18446744073709551615]"),
    ("Array(Nullable(String))", "['a', null]", Json, Cell::Json, "[\"a\",null]"),
    (
        "Tuple(name String, price Decimal(9, 2))",
        "('x/y', 1.25)",
        Json,
        Cell::Json,
        "{\"name\":\"x/y\",\"price\":1.25}",
    ),
    ("Tuple(String, Int8)", "('x', 1)", Json, Cell::Json, "[\"x\",1]"),
    (
        "Map(String, Array(Int64))",
        "map('k', [9223372036854775807])",
        Json,
        Cell::Json,
        "{\"k\":[9223372036854775807]}",
    ),
    ("Array(DateTime('UTC'))", "['2024-01-02 03:04:05']", Json, Cell::Json, "[\"2024-01-02T03:04:05Z\"]"),
    ("Array(FixedString(4))", "['ab', 'abcd', '']", Json, Cell::Json, "[\"ab\",\"abcd\",\"\"]"),
    (
        "Array(Tuple(`a, (b` Nullable(FixedString(3)), at DateTime64(6, 'Asia/Tokyo')))",
        "[('x', '2024-07-01 12:00:00.5'), (null, '2024-07-01 12:00:00')]",
        Json,
        Cell::Json,
        "[{\"a, (b\":\"x\",\"at\":\"2024-07-01T03:00:00.5Z\"},{\"a, (b\":null,\"at\":\"2024-07-01T03:00:00Z\"}]",
    ),
    (
        "Map(FixedString(4), Tuple(DateTime64(3, 'UTC'), FixedString(2)))",
        "map('é', ('2024-07-01 12:00:00.120', 'a'))",
        Json,
        Cell::Json,
        "{\"é\":[\"2024-07-01T12:00:00.12Z\",\"a\"]}",
    ),
    ("Array(FixedString(2))", "['\\0a']", Json, Cell::Invalid, "invalid_text"),
    ("Map(Float64, UInt8)", "map(1.5, 1)", Json, Cell::Json, "{\"1.5\":1}"),
    ("Map(Float64, UInt8)", "map(nan, 1)", Json, Cell::Invalid, "invalid_value"),
    ("Array(Float32)", "[0.1, nan, inf]", Json, Cell::Json, "[0.1,null,null]"),
    ("Array(Nullable(Float32))", "[null, -0.0]", Json, Cell::Json, "[null,0]"),
    ("QBit(Float32, 3)", "[0.5, nan, -2]", Json, Cell::Json, "[0.5,null,-2]"),
    ("Time64(3)", "'12:00:00.500'", Text, Cell::Text, "12:00:00.5"),
    ("JSON", "'{\"a\": {\"b\": 9007199254740993}}'", Json, Cell::Json, "{\"a\":{\"b\":9007199254740993}}"),
    ("Variant(String, UInt8)", "'v'", Any, Cell::Text, "v"),
    ("Variant(String, UInt8)", "7::UInt8", Any, Cell::Integer, "7"),
    ("SimpleAggregateFunction(max, UInt8)", "7", Integer, Cell::Integer, "7"),
    ("IntervalDay", "interval 3 day", Integer, Cell::Integer, "3"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_served_as_it_is_printed() {
    let database = ClickHouse::database().await;
    let columns = VALUES.iter().enumerate().map(|(at, (kind, ..))| {
        // An interval is no type of a table's column.
        let kind = if kind.starts_with("Interval") { "Int64" } else { kind };
        format!("c{at} {kind}")
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    database.run(&format!("create table every ({columns}) engine = MergeTree order by tuple()")).await;
    let row = VALUES.iter().map(|(_, value, ..)| *value).collect::<Vec<_>>().join(", ");
    database.run(&format!("insert into every select {row}")).await;
    let query = Query::Table { name: "every".into(), columns: None };
    let table = read_query(&open(&database.section()), &query, None).await.unwrap();
    let rows = table.rows();
    assert_eq!(rows.len(), 1);
    for ((column, cell), (type_name, value, kind, cell_kind, text)) in
        table.columns.iter().zip(&rows[0]).zip(VALUES)
    {
        assert_eq!((column.kind, cell), (*kind, &(*cell_kind, (*text).to_owned())), "{type_name}: {value}");
    }
    assert_eq!(table.nulled(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn states_of_aggregations_are_refused() {
    let source = open(&ClickHouse::database().await.section());
    for sql in ["select 1 as id, sumState(1) as s", "select 1 as id, [tuple(countState())] as s"] {
        let error = read(&source, sql).await.unwrap_err();
        assert!(error.to_string().contains("finalizeAggregation"), "{error}");
        assert!(error.message().contains("column `s` is "), "{error}");
    }
    let finished = read(&source, "select finalizeAggregation(sumState(2)) as s").await.unwrap();
    assert_eq!(finished.rows()[0][0].1, "2");
}

/// A backslash escapes within the quotes of ClickHouse's names.
#[tokio::test(flavor = "multi_thread")]
async fn names_with_backslashes_and_quotes_are_found() {
    let database = ClickHouse::database().await;
    database
        .run(r"create table `a\\n'` (`c\\n` UInt8, `d\`e` UInt8) engine = MergeTree order by tuple()")
        .await;
    database.run(r"insert into `a\\n'` select 1, 2").await;
    let source = open(&database.section());
    let columns = [r"c\n", "d`e"].map(str::to_owned).to_vec();
    let table = Query::Table { name: r"a\n'".to_owned(), columns: Some(columns.clone()) };
    let increment = Increment {
        query: table.clone(),
        columns: columns.clone(),
        column: Some(columns[0].clone()),
        is_text: false,
        from: CursorValue::parse("1").unwrap(),
    };
    for query in [table, Query::Increment(Box::new(increment))] {
        let found = read_query(&source, &query, None).await.unwrap();
        assert_eq!(found.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>(), columns);
        assert_eq!(found.rows().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_thousand_rows_are_what_the_engine_prints() {
    const ROWS: usize = 200_000;
    let database = ClickHouse::database().await;
    let rows = format!(
        "create table t engine = MergeTree order by id as select number * 3 as id, \
         toDecimal128(number * 1000003, 4) / 7 as amount, number / 7 as ratio, \
         addMicroseconds(toDateTime64('2000-01-01 00:00:00', 6, 'Asia/Tokyo'), number * 1237000001) as seen, \
         if(number % 3 = 0, null, concat('Ærø \"', toString(number), '\" \\\\ 🍋\\n')) as name, number % 2 = 0 as flag, \
         [toInt32(number), null, -1] as list, map('é', toInt32(number)) as pairs from numbers({ROWS})"
    );
    database.run(&rows).await;
    let printed = database
        .print(
            "select toJSONString([toString(id), toString(amount), toString(ratio), toString(toTimeZone(seen, 'UTC')), \
             name, toString(flag), toJSONString(list), toJSONString(pairs)]) from t order by id",
        )
        .await;
    let found = read(&open(&database.section()), "select * from t order by id").await.unwrap().rows();
    assert_eq!((found.len(), printed.lines().count()), (ROWS, ROWS));
    for (row, line) in found.iter().zip(printed.lines()) {
        let line = line.trim_matches('"').replace("\"\"", "\"");
        let expected: Vec<Option<String>> = serde_json::from_str(&line).unwrap();
        for (at, ((kind, text), expected)) in row.iter().zip(expected).enumerate() {
            match (expected, at) {
                (None, _) => assert_eq!(*kind, Cell::Null, "{line}"),
                (Some(expected), 2) => assert_eq!(text.parse::<f64>(), expected.parse::<f64>(), "{line}"),
                (Some(expected), 3) => {
                    let moment = expected.trim_end_matches('0').trim_end_matches('.').replace(' ', "T");
                    assert_eq!(*text, format!("{moment}Z"), "{line}");
                }
                (Some(expected), _) => assert_eq!(*text, expected, "{line}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_what_happened_without_a_value() {
    let database = ClickHouse::database().await;
    database.run("create table t (id UInt64, name String) engine = MergeTree order by id").await;
    database.run("insert into t select number, 'hush' from numbers(200000)").await;
    let section = database.section();
    let source = open(&section);
    for (sql, code, part) in [
        ("select * from nothere", "source_unknown_table", "nothere"),
        ("select nothere from t", "source_unknown_column", "nothere"),
        ("selec 1", "source_syntax_error", "line 1, column 7"),
        ("select 1\n format CSV", "source_syntax_error", "line 2, column 9"),
        ("select id from t where", "source_syntax_error", "at its end"),
        ("insert into t values (1, 'a')", "source_syntax_error", ""),
        ("select 'a\\'; b'; select 1", "source_several_statements", "line 1"),
        ("select toUInt8(name) from t", "source_query_failed", "CANNOT_PARSE_TEXT"),
        ("select throwIf(id = 199999, name) from t", "source_query_failed", ""),
        (
            "select toUInt8(id, 1, 2) from t",
            "source_query_failed",
            "NUMBER_OF_ARGUMENTS_DOESNT_MATCH: toUInt8",
        ),
        ("select * from nothere.t", "source_unknown_database", "nothere"),
        ("select nofunc(id) from t", "source_query_failed", "nofunc"),
        ("select t.nope from t as t", "source_unknown_column", "t.nope"),
        // A scalar subquery runs while the query is planned.
        (
            "select toUInt8(assumeNotNull((select name from t limit 1))) as x",
            "source_query_failed",
            "CANNOT_PARSE_TEXT",
        ),
        (
            "select dateTrunc(assumeNotNull((select name from t limit 1)), now()) as x",
            "source_query_failed",
            "",
        ),
        ("select cast((select name from t limit 1), 'Enum8(''a'' = 1)') as x", "source_query_failed", ""),
        ("select if(id = 150000, toUInt8(name), 1) from t", "source_query_failed", ""),
    ] {
        let error = read(&source, sql).await.unwrap_err();
        assert_eq!(error.code(), code, "{sql}: {error}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
    // A function that takes a name, with the name from a row.
    let value = "assumeNotNull((select name from t limit 1))";
    for sql in [
        format!("select getSetting({value}) as x"),
        format!("select * from merge({value}, '.*')"),
        format!("select * from remote('127.0.0.1:1', {value}, 't')"),
        format!("select joinGet({value}, 'name', 1) as x"),
        format!("select dictGet({value}, 'name', 1) as x"),
        format!("select hasColumnInTable('x', {value}, 'x') as x"),
        format!("select hasColumnInTable({value}, 't', 'x') as x"),
        format!("select initializeAggregation({value}, 1) as x"),
        format!("select arrayReduce({value}, [1]) as x"),
        format!("select formatQuery(concat('select from ', {value})) as x"),
        format!("select toTypeName(cast(1, {value})) as x"),
        format!(
            "select throwIf(1, {value}, toInt16(516)) as x settings allow_custom_error_code_in_throwif = 1"
        ),
    ] {
        let error = read(&source, &sql).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hush"), "{sql}: {error:?}");
    }
    let slow = open_within(&section, "1s", "5s");
    let error = read(&slow, "select sleepEachRow(1) from numbers(60) settings max_block_size = 1").await;
    assert_eq!(error.unwrap_err().code(), "source_statement_timeout");

    let wrong = [
        (section.replace("secret", "wrong"), "source_wrong_password"),
        (section.replace("\"reader\"", "\"nobody\""), "source_wrong_password"),
        (section.replace("secret", "secret\\n"), "source_login_refused"),
        (section.replace("database = \"", "database = \"no"), "source_unknown_database"),
        (section.replace("http://127.0.0.1", "https://127.0.0.1"), "source_tls_refused"),
        (section.replace("http://127.0.0.1", "http://nowhere.invalid"), "source_host_unknown"),
        ("type = \"clickhouse\"\nurl = \"http://127.0.0.1:1\"\n".to_owned(), "source_unreachable"),
    ];
    for (section, code) in wrong {
        let error = open(&section).describe(&Query::Sql("select 1".to_owned())).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_names_a_longer_wait_than_a_run_takes_is_not_asked_again() {
    let server = WebService::start(|_| (503, vec![("retry-after", "301")], String::new())).await;
    let section = format!("type = \"clickhouse\"\nurl = {:?}\n", server.url());
    let error = open(&section).check().await.unwrap_err();
    assert_eq!(error.code(), "source_unavailable", "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_results_are_streamed_and_limits_are_kept() {
    let database = ClickHouse::database().await;
    let source = open(&database.section());
    let sql = "select number as id, toString(number) as name from numbers(300000)";
    let table = read(&source, sql).await.unwrap();
    let rows = table.rows().into_iter();
    let mut rows: Vec<(u64, String)> =
        rows.map(|row| (row[0].1.parse().unwrap(), row[1].1.clone())).collect();
    rows.sort();
    assert!(rows.into_iter().eq((0..300_000).map(|id| (id, id.to_string()))));
    for limit in [0, 3, 70_000] {
        let rows = read_query(&source, &Query::Sql(sql.into()), Some(limit)).await.unwrap().rows();
        assert_eq!(rows.len() as u64, limit);
    }
    let row = read(&source, "select 1 as a, repeat(repeat('x', 1000), 40000) as b")
        .await
        .unwrap()
        .rows()
        .pop()
        .unwrap();
    assert_eq!(row[1].1, "record_too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_columns_are_noticed_and_a_query_without_a_reader_is_ended() {
    let database = ClickHouse::database().await;
    database.run("create table t (id UInt64) engine = MergeTree order by id").await;
    let source = open(&database.section());
    let query = Query::Table { name: "t".into(), columns: None };
    let columns = source.describe(&query).await.unwrap();
    database.run("alter table t add column name String").await;
    let (rows, _batches) = mpsc::channel::<RowBatch>(1);
    assert_eq!(source.stream(&query, rows, &columns, None).await.unwrap_err().code(), "columns_changed");

    let before = database.killed().await.len();
    let endless = Query::Sql("select number as id from system.numbers".into());
    let columns = source.describe(&endless).await.unwrap();
    let (rows, mut batches) = mpsc::channel::<RowBatch>(1);
    let receive = async {
        batches.recv().await.unwrap();
        drop(batches);
    };
    let (ended, ()) = tokio::join!(source.stream(&endless, rows, &columns, None), receive);
    ended.unwrap();
    wait_until("the query to be ended", async || database.killed().await.len() > before).await;
}
