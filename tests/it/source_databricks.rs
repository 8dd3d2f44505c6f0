//! The Databricks source against the published API: types, chunks in parallel, tokens, errors, ends of statements.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int64Array, ListArray, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
    types::Int64Type,
};
use arrow_schema::{DataType, Field};
use larder::{
    domain::row::{CellKind as Cell, ColumnKind as Kind, RowBatch},
    source::Query,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::support::{
    databricks::{CLIENT, Databricks, Reply, TOKEN},
    node::{Node, Warehouse},
    process::wait_until,
    source::{open, read, read_query},
};

/// A row of each type and a row of nulls: name and text of the type, scale, values, what is served.
#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<(&'static str, &'static str, i64, ArrayRef, Kind, Cell, &'static str)> {
    let micros = || TimestampMicrosecondArray::from(vec![Some(1_719_835_200_500_000), None]);
    let decimal = |value: i128, precision, scale| {
        let array = Decimal128Array::from(vec![Some(value), None]);
        Arc::new(array.with_precision_and_scale(precision, scale).unwrap()) as ArrayRef
    };
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(i64::MAX), None]), None]);
    let field = Arc::new(Field::new("name", DataType::Utf8, true));
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("é"), None]));
    let fields =
        StructArray::try_new(vec![field].into(), vec![names], Some(vec![true, false].into())).unwrap();
    let text = |value: &str| Arc::new(StringArray::from(vec![Some(value), None])) as ArrayRef;
    vec![
        (
            "BOOLEAN",
            "BOOLEAN",
            0,
            Arc::new(BooleanArray::from(vec![Some(true), None])),
            Kind::Boolean,
            Cell::Boolean,
            "true",
        ),
        (
            "BYTE",
            "TINYINT",
            0,
            Arc::new(Int8Array::from(vec![Some(-128), None])),
            Kind::Integer,
            Cell::Integer,
            "-128",
        ),
        (
            "LONG",
            "BIGINT",
            0,
            Arc::new(Int64Array::from(vec![Some(i64::MIN), None])),
            Kind::Integer,
            Cell::Integer,
            "-9223372036854775808",
        ),
        (
            "DECIMAL",
            "DECIMAL(38,10)",
            10,
            decimal(-(10_i128.pow(38) - 1), 38, 10),
            Kind::Number,
            Cell::Number,
            "-9999999999999999999999999999.9999999999",
        ),
        (
            "DECIMAL",
            "DECIMAL(38,0)",
            0,
            decimal(10_i128.pow(38) - 1, 38, 0),
            Kind::Integer,
            Cell::Integer,
            "99999999999999999999999999999999999999",
        ),
        (
            "FLOAT",
            "FLOAT",
            0,
            Arc::new(Float32Array::from(vec![Some(1.1), None])),
            Kind::Number,
            Cell::Number,
            "1.1",
        ),
        (
            "DOUBLE",
            "DOUBLE",
            0,
            Arc::new(Float64Array::from(vec![Some(f64::NAN), None])),
            Kind::Number,
            Cell::Null,
            "",
        ),
        (
            "DATE",
            "DATE",
            0,
            Arc::new(Date32Array::from(vec![Some(19_782), None])),
            Kind::Text,
            Cell::Text,
            "2024-02-29",
        ),
        (
            "TIMESTAMP",
            "TIMESTAMP",
            0,
            Arc::new(micros().with_timezone("Etc/UTC")),
            Kind::Text,
            Cell::Text,
            "2024-07-01T12:00:00.5Z",
        ),
        (
            "TIMESTAMP_NTZ",
            "TIMESTAMP_NTZ",
            0,
            Arc::new(micros()),
            Kind::Text,
            Cell::Text,
            "2024-07-01T12:00:00.5",
        ),
        ("STRING", "STRING", 0, text("é \" 😀"), Kind::Text, Cell::Text, "é \" 😀"),
        ("STRING", "STRING", 0, text("{\"a\":1}"), Kind::Text, Cell::Text, "{\"a\":1}"),
        (
            "BINARY",
            "BINARY",
            0,
            Arc::new(BinaryArray::from(vec![Some(&b"1234"[..]), None])),
            Kind::Text,
            Cell::Text,
            "MTIzNA==",
        ),
        ("ARRAY", "ARRAY<BIGINT>", 0, Arc::new(list), Kind::Json, Cell::Json, "[9223372036854775807,null]"),
        ("STRUCT", "STRUCT<name: STRING>", 0, Arc::new(fields), Kind::Json, Cell::Json, "{\"name\":\"é\"}"),
        // The API may give nested values as text.
        ("ARRAY", "ARRAY<BIGINT>", 0, text("[1, 2]"), Kind::Json, Cell::Json, "[1,2]"),
        ("VARIANT", "VARIANT", 0, text("{\"a\": 1.50}"), Kind::Json, Cell::Json, "{\"a\":1.50}"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_exact() {
    let server = Databricks::start().await;
    let cases = cases();
    let described = cases.iter().enumerate().map(|(at, (name, text, scale, ..))| {
        json!({"name": format!("c{at}"), "type_name": name, "type_text": text, "type_scale": scale, "position": at})
    });
    let arrays = cases.iter().enumerate().map(|(at, case)| (format!("c{at}"), Arc::clone(&case.3), true));
    let batch = RecordBatch::try_from_iter_with_nullable(arrays).unwrap();
    let columns = Value::Array(described.collect());
    server.answer("`shop`.`every`", Reply { columns, chunks: vec![batch], ..Reply::default() });
    let query = Query::Table { name: "shop.every".into(), columns: None };
    let table = read_query(&open(&server.section()), &query, None).await.unwrap();
    let rows = table.rows();
    for ((column, cell), (_, type_text, _, _, kind, cell_kind, text)) in
        table.columns.iter().zip(&rows[0]).zip(&cases)
    {
        assert_eq!((column.kind, cell), (*kind, &(*cell_kind, (*text).to_owned())), "{type_text}");
    }
    assert!(rows[1].iter().all(|cell| cell.0 == Cell::Null), "{:?}", rows[1]);
    assert_eq!((rows.len(), table.nulled()), (2, 1));
    let sent = server.statements().pop().unwrap();
    assert_eq!((&sent["catalog"], &sent["schema"]), (&json!("main"), &Value::Null));
    assert_eq!((&sent["disposition"], &sent["format"]), (&json!("EXTERNAL_LINKS"), &json!("ARROW_STREAM")));
}

fn people(chunks: i64, rows: i64) -> Reply {
    let chunk = |at: i64| {
        let ids: Vec<i64> = (at * rows..(at + 1) * rows).collect();
        let names: Vec<String> = ids.iter().map(|id| format!("Jané {id}")).collect();
        let columns = [
            ("id", Arc::new(Int64Array::from(ids)) as ArrayRef),
            ("name", Arc::new(StringArray::from(names))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    Reply {
        columns: json!([{"name": "id", "type_name": "LONG", "type_text": "BIGINT"},
            {"name": "name", "type_name": "STRING", "type_text": "STRING"}]),
        chunks: (0..chunks).map(chunk).collect(),
        ..Reply::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_are_fetched_side_by_side_and_read_in_order() {
    let server = Databricks::start().await;
    server.answer("from people", Reply { polls: 3, is_first_slow: true, expired: 1, ..people(7, 5000) });
    server.refuse(2);
    let source = open(&server.section());
    let rows = read(&source, "select * from people;").await.unwrap().rows();
    assert!(rows.iter().map(|row| row[1].1.clone()).eq((0..35_000).map(|id| format!("Jané {id}"))));
    server.answer("from people", people(0, 0));
    assert!(read(&source, "select * from people").await.unwrap().rows().is_empty());
    assert_eq!(server.cancelled(), 0, "a statement that has ended is not cancelled");
    server.answer("from people", Reply { expired: 9, ..people(1, 1) });
    let error = read(&source, "select * from people").await.unwrap_err();
    assert_eq!(error.code(), "source_connection_lost");
    assert!(!error.to_string().contains("expired/"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn service_principals_fetch_one_token_a_call() {
    let server = Databricks::start().await;
    server.answer("from people", people(5, 10));
    let (id, secret) = CLIENT;
    let keys = format!("client_id = \"{id}\"\nclient_secret = \"{secret}\"\n");
    let section = server.section().replace(&format!("token = \"{TOKEN}\"\n"), &keys);
    let source = open(&section);
    assert_eq!(read(&source, "select * from people").await.unwrap().rows().len(), 50);
    assert_eq!(server.tokens(), 2, "one to describe, one to read");
    assert!(!format!("{source:?}").contains("secret ?"), "{source:?}");
    let error = open(&section.replace("?#", "!")).check().await.unwrap_err();
    assert_eq!(error.code(), "source_wrong_password");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_what_happened_without_a_value() {
    let server = Databricks::start().await;
    let failing = |sqlstate: Value, message: &str| Reply {
        failure: Some(json!({"state": "FAILED", "sql_state": sqlstate,
            "error": {"error_code": "BAD_REQUEST", "message": message}})),
        ..Reply::default()
    };
    let late = |sqlstate, message| Reply { columns: people(1, 1).columns, ..failing(sqlstate, message) };
    server.answer(
        "nope",
        failing(json!("42703"), "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column `nope` cannot be resolved."),
    );
    server.answer("selec 1", failing(Value::Null, "[PARSE_SYNTAX_ERROR] Syntax error at or near 'selec'."));
    server.answer("denied", failing(json!("42501"), "[INSUFFICIENT_PERMISSIONS] Insufficient privileges"));
    server.answer("data", late(json!("22018"), "[CAST_INVALID_INPUT] The value 'hush' cannot be cast"));
    let cancelled = Some(json!({"state": "CANCELED"}));
    server.answer("cancelled", Reply { failure: cancelled, ..people(1, 1) });
    server.answer(
        "damaged",
        Reply {
            columns: json!([{"name": "id", "type_name": "LONG", "type_text": "BIGINT"}]),
            ..people(1, 1)
        },
    );
    let section = server.section();
    let source = open(&section);
    for (sql, code, part) in [
        ("select * from nothere", "source_unknown_table", "nothere"),
        ("select nope", "source_unknown_column", "nope"),
        ("selec 1", "source_syntax_error", "selec"),
        ("select denied", "source_permission_denied", "USE CATALOG"),
        ("select data", "source_query_failed", "22018"),
        ("select cancelled", "source_query_cancelled", "warehouse"),
        ("select damaged", "source_answer_malformed", "number of columns"),
        ("select 1; select 2", "source_several_statements", "line 1"),
    ] {
        let error = read(&source, sql).await.unwrap_err();
        assert_eq!(error.code(), code, "{sql}: {error}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
    for (section, code) in [
        (section.replace(TOKEN, "wrong"), "source_wrong_password"),
        (section.replace("abc123", "def456"), "source_unknown_database"),
        (section.replace("http://127.0.0.1", "https://127.0.0.1"), "source_tls_refused"),
    ] {
        let error = open(&section).check().await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(!error.to_string().contains(TOKEN), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_columns_are_noticed_and_a_statement_without_a_reader_is_cancelled() {
    let server = Databricks::start().await;
    server.answer("from people", people(2, 10));
    let source = open(&server.section());
    let query = Query::Sql("select * from people".into());
    let columns = source.describe(&query).await.unwrap();
    server.answer("from people", Reply { polls: u32::MAX, ..people(2, 10) });
    let before = server.polled();
    let (rows, batches) = mpsc::channel::<RowBatch>(1);
    let give_up = async {
        wait_until("the statement to run", async || server.polled() > before).await;
        drop(batches);
    };
    let (ended, ()) = tokio::join!(source.stream(&query, rows, &columns, None), give_up);
    ended.unwrap();
    wait_until("the statement to be cancelled", async || server.cancelled() == 1).await;

    // Nobody takes the rows of a result of many chunks.
    server.answer("from people", people(20, 5000));
    let (rows, mut batches) = mpsc::channel::<RowBatch>(1);
    let receive = async {
        batches.recv().await.unwrap();
        drop(batches);
    };
    let (ended, ()) = tokio::join!(source.stream(&query, rows, &columns, None), receive);
    ended.unwrap();

    let mut changed = people(1, 1);
    changed.columns[0]["type_text"] = json!("INT");
    server.answer("from people", changed);
    let (rows, _batches) = mpsc::channel::<RowBatch>(1);
    assert_eq!(source.stream(&query, rows, &columns, None).await.unwrap_err().code(), "columns_changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn table_is_synced_and_its_changes_are_served() {
    let server = Databricks::start().await;
    server.answer("`shop`.`people`", people(1, 3));
    let sections = format!(
        "[sources.lake]\n{}[models.people]\nsource = \"lake\"\ntable = \"shop.people\"\nprimary_key = \"id\"\n\
         [syncs.people]\nmodel = \"people\"\nindexes = {{ id = \"id\" }}\n",
        server.section()
    );
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    let node = Node::start(directory, warehouse, &sections).await;
    node.sync("people").await;
    assert_eq!(node.record("people", "id", "2").await, Some(json!({"id": 2, "name": "Jané 2"})));
    server.answer("`shop`.`people`", people(1, 2));
    node.sync_with("people", true, false).await;
    assert_eq!(node.record("people", "id", "2").await, None);
}
