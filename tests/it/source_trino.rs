//! The Trino source against a coordinator of its protocol: types, pages, busy servers, errors, ends of queries.

use larder::{
    domain::row::{
        CellKind as Cell,
        ColumnKind::{Boolean, Integer, Json, Number, Text, Uuid},
        RowBatch,
    },
    source::Query,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::support::{
    node::{Node, Warehouse},
    process::wait_until,
    source::{open, read, read_query},
    tls::tls_before,
    trino::{PASSWORD, Reply, TOKEN, Trino, USER},
};

fn columns(named: &[(&str, &str)]) -> Vec<(String, String)> {
    named.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned())).collect()
}

/// Pages of 1,000 rows, between which empty ones come.
fn people(count: usize) -> Reply {
    let row = |id: usize| format!("[{id},\"Jané {id}\"]");
    let pages = (0..count).step_by(1000).flat_map(|from| {
        let rows: Vec<String> = (from..count.min(from + 1000)).map(row).collect();
        [format!("[{}]", rows.join(",")), "[]".to_owned()]
    });
    Reply {
        columns: columns(&[("id", "bigint"), ("name", "varchar")]),
        pages: pages.collect(),
        ..Reply::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_exact_and_zoned_moments_are_read_in_utc() {
    let server = Trino::start().await;
    let cases = [
        ("boolean", "true", Boolean, Cell::Boolean, "true"),
        ("bigint", "-9223372036854775808", Integer, Cell::Integer, "-9223372036854775808"),
        (
            "decimal(38,0)",
            "\"99999999999999999999999999999999999999\"",
            Integer,
            Cell::Integer,
            "99999999999999999999999999999999999999",
        ),
        ("decimal(38,2)", "\"-0.50\"", Number, Cell::Number, "-0.50"),
        ("double", "0.1", Number, Cell::Number, "0.1"),
        ("double", "\"Infinity\"", Number, Cell::Null, ""),
        ("varchar", "\"é \\\" / \\\\ 😀 \u{2028}\"", Text, Cell::Text, "é \" / \\ 😀 \u{2028}"),
        ("varchar", "null", Text, Cell::Null, ""),
        (
            "uuid",
            "\"12151fd2-7586-11e9-8f9e-2a86e4085a59\"",
            Uuid,
            Cell::Text,
            "12151fd2-7586-11e9-8f9e-2a86e4085a59",
        ),
        (
            "timestamp(6) with time zone",
            "\"2024-07-01 12:00:00.500000 UTC\"",
            Text,
            Cell::Text,
            "2024-07-01T12:00:00.5Z",
        ),
        (
            "row(id bigint, tags array(varchar))",
            "[7,[\"a\",null]]",
            Json,
            Cell::Json,
            "{\"id\":7,\"tags\":[\"a\",null]}",
        ),
        ("json", "\"{\\\"a\\\":9007199254740993.10}\"", Json, Cell::Json, "{\"a\":9007199254740993.10}"),
    ];
    let named = cases.iter().enumerate().map(|(at, case)| (format!("c\"{at}"), case.0.to_owned()));
    let row: Vec<&str> = cases.iter().map(|case| case.1).collect();
    server.answer(
        "from \"shop\".\"every\"",
        Reply { columns: named.collect(), pages: vec![format!("[[{}]]", row.join(","))], ..Reply::default() },
    );
    let query = Query::Table { name: "shop.every".into(), columns: None };
    let table = read_query(&open(&server.section()), &query, None).await.unwrap();
    let rows = table.rows();
    for ((column, cell), (type_name, value, kind, cell_kind, text)) in
        table.columns.iter().zip(&rows[0]).zip(cases)
    {
        assert_eq!((column.kind, cell), (kind, &(cell_kind, text.to_owned())), "{type_name}: {value}");
    }
    assert_eq!((rows.len(), table.nulled()), (1, 1));
    let queries = server.queries();
    let (sql, headers) = queries.last().unwrap();
    assert!(sql.contains("\"c\"\"9\" at time zone 'UTC' as \"c\"\"9\""), "{sql}");
    for (name, value) in [
        ("x-trino-user", USER),
        ("x-trino-catalog", "lake"),
        ("x-trino-time-zone", "UTC"),
        ("x-trino-client-capabilities", "PARAMETRIC_DATETIME"),
        ("x-trino-session", "query_max_run_time=30s"),
    ] {
        assert_eq!(headers[name], value);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_pages_are_read_and_busy_servers_are_asked_again() {
    let server = Trino::start().await;
    server.answer("from people", people(10_500));
    let source = open(&server.section());
    for status in [503, 429] {
        server.refuse(3, status);
        let rows = read(&source, "select * from people;").await.unwrap().rows();
        assert!(rows.iter().map(|row| row[1].1.clone()).eq((0..10_500).map(|id| format!("Jané {id}"))));
    }
    let before = server.requests();
    server.refuse(1000, 503);
    let error = source.describe(&Query::Sql("select * from people".into())).await.unwrap_err();
    assert_eq!(error.code(), "source_unavailable");
    assert_eq!(server.requests() - before, 10);
    server.refuse(0, 200);
    let query = Query::Sql("select * from people".into());
    read_query(&source, &query, Some(7)).await.unwrap();
    assert!(server.queries().last().unwrap().0.ends_with(" limit 7"));
    assert_eq!(server.ended(), 0, "a query that has ended is not ended again");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_what_happened_without_a_value() {
    let server = Trino::start().await;
    let error = |name: &str, kind: &str, message: &str| {
        Some(json!({"message": message, "errorName": name, "errorType": kind, "errorCode": 1}))
    };
    let failing = |name, kind, message| Reply { error: error(name, kind, message), ..Reply::default() };
    server.answer(
        "nope",
        failing("COLUMN_NOT_FOUND", "USER_ERROR", "line 1:8: Column 'nope' cannot be resolved"),
    );
    server.answer("selec 1", failing("SYNTAX_ERROR", "USER_ERROR", "line 1:1: mismatched input 'selec'"));
    server.answer("denied", failing("PERMISSION_DENIED", "USER_ERROR", "Access Denied: Cannot select"));
    server.answer("nocatalog", failing("CATALOG_NOT_FOUND", "USER_ERROR", "Catalog 'x' does not exist"));
    let late = |name, kind| Reply { error: error(name, kind, "Cannot cast 'hush' to INT"), ..people(3000) };
    server.answer("data", late("INVALID_CAST_ARGUMENT", "USER_ERROR"));
    server.answer("memory", late("EXCEEDED_LOCAL_MEMORY_LIMIT", "INSUFFICIENT_RESOURCES"));
    server.answer("slow", late("EXCEEDED_TIME_LIMIT", "INSUFFICIENT_RESOURCES"));
    server.answer("killed", late("ADMINISTRATIVELY_KILLED", "USER_ERROR"));
    let source = open(&server.section());
    for (sql, code, part) in [
        ("select * from nothere", "source_unknown_table", "nothere"),
        ("select nope", "source_unknown_column", "nope"),
        ("selec 1", "source_syntax_error", "line 1:1"),
        ("select denied", "source_permission_denied", "Access Denied"),
        ("select nocatalog", "source_unknown_database", "catalog"),
        ("select data", "source_query_failed", "INVALID_CAST_ARGUMENT"),
        ("select memory", "source_unavailable", "EXCEEDED_LOCAL_MEMORY_LIMIT"),
        ("select slow", "source_statement_timeout", "statement_timeout"),
        ("select killed", "source_query_cancelled", "ADMINISTRATIVELY_KILLED"),
        ("select 1; select 2", "source_several_statements", "line 1"),
    ] {
        let error = read(&source, sql).await.unwrap_err();
        assert_eq!(error.code(), code, "{sql}: {error}");
        assert!(error.to_string().contains(part), "{error}");
        if code != "source_query_cancelled" {
            assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
        }
    }
    let section = server.section();
    for (section, code) in [
        (section.replace(PASSWORD, "wrong"), "source_wrong_password"),
        (section.replace("http://127.0.0.1", "https://127.0.0.1"), "source_tls_refused"),
        ("type = \"trino\"\nurl = \"http://127.0.0.1:1\"\nuser = \"u\"\n".to_owned(), "source_unreachable"),
    ] {
        let error = open(&section).check().await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_go_to_the_named_server_alone() {
    let (server, other) = (Trino::start().await, Trino::start().await);
    server.answer("from people", people(1));
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("ca.pem");
    let address = tls_before(server.address, "127.0.0.1", &file).await;
    let section = format!(
        "type = \"trino\"\nurl = \"https://{address}\"\nuser = \"{USER}\"\ntoken = \"{TOKEN}\"\nca_file = {:?}\n",
        file.display().to_string()
    );
    // The coordinator does not know of the TLS before it.
    let error = read(&open(&section), "select * from people").await.unwrap_err();
    assert!(error.to_string().contains("process-forwarded"), "{error}");
    server.name_next_host(&other.address.to_string());
    let error = read(&open(&server.section()), "select * from people").await.unwrap_err();
    assert_eq!((error.code(), other.requests()), ("source_answer_malformed", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_columns_are_noticed_and_a_query_without_a_reader_is_ended() {
    let server = Trino::start().await;
    server.answer("from people", Reply { is_endless: true, ..people(1000) });
    let source = open(&server.section());
    let query = Query::Sql("select * from people".into());
    let columns = source.describe(&query).await.unwrap();
    assert_eq!(server.ended(), 0);
    let (rows, mut batches) = mpsc::channel::<RowBatch>(1);
    let receive = async {
        batches.recv().await.unwrap();
        drop(batches);
    };
    // Empty pages would never fill a batch.
    server.answer(
        "from people",
        Reply { is_endless: true, pages: vec![people(1000).pages.swap_remove(0)], ..people(0) },
    );
    let (ended, ()) = tokio::join!(source.stream(&query, rows, &columns, None), receive);
    ended.unwrap();
    wait_until("the query to be ended", async || server.ended() == 1).await;

    let changed = Reply { columns: self::columns(&[("id", "integer"), ("name", "varchar")]), ..people(1) };
    server.answer("from people", changed);
    let (rows, _batches) = mpsc::channel::<RowBatch>(1);
    assert_eq!(source.stream(&query, rows, &columns, None).await.unwrap_err().code(), "columns_changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn table_is_synced_and_its_changes_are_served() {
    let server = Trino::start().await;
    server.answer("from \"shop\".\"people\"", people(3));
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
    server.answer("from \"shop\".\"people\"", people(2));
    node.sync_with("people", true, false).await;
    assert_eq!(node.record("people", "id", "2").await, None);
}
