//! The SQLite source against real files: every storage class, every error, writers meanwhile.

mod access;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use larder::{
    domain::row::{CellKind, ColumnKind, RowBatch},
    source::{Query, Source},
};
use sqlx::{AssertSqlSafe, ConnectOptions as _, SqliteConnection, raw_sql, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::support::{
    process::wait_until,
    source::{open, open_within, read, read_query},
};

/// A file that is gone with the test.
struct File {
    directory: TempDir,
}

impl File {
    async fn with(sql: &str) -> Self {
        let file = Self { directory: TempDir::new().unwrap() };
        let mut writer = file.writer().await;
        run(&mut writer, sql).await;
        file
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("warehouse.db")
    }

    /// A connection that writes, as another process would.
    async fn writer(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.path()).create_if_missing(true);
        options.busy_timeout(Duration::ZERO).connect().await.unwrap()
    }

    fn source(&self) -> Source {
        open(&section(&self.path()))
    }
}

fn section(path: &Path) -> String {
    format!("type = \"sqlite\"\npath = {path:?}\n")
}

fn sql(text: &str) -> Query {
    Query::Sql(text.into())
}

async fn run(connection: &mut SqliteConnection, sql: &str) {
    raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}

#[tokio::test]
async fn two_hundred_thousand_rows_are_what_the_file_holds() {
    const ROWS: i64 = 200_000;
    let file = File::with(&format!(
        "create table t (id integer primary key, ratio real, name text, bytes blob, doc json, flag boolean);
         with recursive n(i) as (select 0 union all select i + 1 from n where i < {ROWS} - 1)
         insert into t select i, i / 7.0, case when i % 3 = 0 then null else 'Ærø \"' || i || '\"' end,
           cast('é' || i as blob), json_object('a', i, 'b', json_array(null, -i)), i % 2 from n;"
    ))
    .await;
    let rows = read_query(&file.source(), &sql("select * from t order by id"), None).await.unwrap().rows();
    assert_eq!(i64::try_from(rows.len()), Ok(ROWS));
    for (row, i) in rows.iter().zip(0..) {
        let name = if i % 3 == 0 {
            (CellKind::Null, String::new())
        } else {
            (CellKind::Text, format!("Ærø \"{i}\""))
        };
        let (ratio, text) = &row[1];
        assert!(matches!(ratio, CellKind::Number | CellKind::Integer), "{row:?}");
        assert_eq!(text.parse::<f64>().unwrap().to_bits(), (f64::from(i) / 7.0).to_bits(), "{row:?}");
        let expected = [
            name,
            (CellKind::Text, BASE64_STANDARD.encode(format!("é{i}"))),
            (CellKind::Json, format!("{{\"a\":{i},\"b\":[null,{}]}}", -i)),
            (CellKind::Boolean, (i % 2 == 1).to_string()),
        ];
        assert_eq!(row[0], (CellKind::Integer, i.to_string()));
        assert_eq!(row[2..], expected, "{i}");
    }
}

#[tokio::test]
async fn values_are_served_by_storage_class_and_declared_type() {
    use CellKind as Cell;
    use ColumnKind::{Any, Boolean, Integer, Json, Number, Text};
    let values = [
        ("a integer", "9223372036854775807", "INTEGER", Integer, Cell::Integer, "9223372036854775807"),
        ("b INT", "'not a number'", "INT", Integer, Cell::Text, "not a number"),
        ("c REAL", "5", "REAL", Number, Cell::Number, "5"),
        ("d real", "1e300", "REAL", Number, Cell::Number, "1e+300"),
        ("e decimal(10,2)", "12.5", "decimal(10,2)", Number, Cell::Number, "12.5"),
        ("f numeric", "12.0", "numeric", Number, Cell::Integer, "12"),
        ("g TEXT", "'é \" 😀'", "TEXT", Text, Cell::Text, "é \" 😀"),
        ("h varchar(3)", "''", "varchar(3)", Text, Cell::Text, ""),
        ("i boolean", "1", "boolean", Boolean, Cell::Boolean, "true"),
        ("j BOOL", "0", "BOOL", Boolean, Cell::Boolean, "false"),
        ("k BOOL", "7", "BOOL", Boolean, Cell::Integer, "7"),
        ("l JSON", "' { \"a\" : 1, \"a\": [ ] }'", "JSON", Json, Cell::Json, "{\"a\":[]}"),
        ("m JSONB", "'5'", "JSONB", Json, Cell::Json, "5"),
        ("n JSON", "'{'", "JSON", Json, Cell::Invalid, "invalid_json"),
        ("o BLOB", "x'00ff10'", "BLOB", Text, Cell::Text, "AP8Q"),
        ("p BLOB", "x''", "BLOB", Text, Cell::Text, ""),
        ("q datetime", "'2024-01-02 03:04'", "datetime", Text, Cell::Text, "2024-01-02 03:04"),
        ("r date", "1700000000", "date", Text, Cell::Integer, "1700000000"),
        ("s", "1.50", "any", Any, Cell::Number, "1.5"),
        ("t", "null", "any", Any, Cell::Null, ""),
        ("u JSON", "null", "JSON", Json, Cell::Null, ""),
        ("v text", "cast(x'ff' as text)", "TEXT", Text, Cell::Invalid, "invalid_text"),
        ("v2 text", "'a' || char(0) || 'b'", "TEXT", Text, Cell::Invalid, "invalid_text"),
        ("v3 JSON", "'{\"a\":\"q\\u0000\"}'", "JSON", Json, Cell::Invalid, "invalid_json"),
        ("w text", "printf('%.*c', 2000001, 'x')", "TEXT", Text, Cell::Invalid, "record_too_large"),
    ];
    let declared: Vec<_> = values.iter().map(|value| value.0).collect();
    let literals: Vec<_> = values.iter().map(|value| value.1).collect();
    let file = File::with(&format!(
        "create table t ({}); insert into t values ({}); create view v as select * from t",
        declared.join(", "),
        literals.join(", ")
    ))
    .await;
    for name in ["t", "v"] {
        let query = Query::Table { name: name.into(), columns: None };
        let table = read_query(&file.source(), &query, None).await.unwrap();
        let row = &table.rows()[0];
        for (at, (_, value, type_name, column_kind, cell_kind, text)) in values.into_iter().enumerate() {
            let column = &table.columns[at];
            assert_eq!((column.type_name.as_str(), column.kind), (type_name, column_kind), "{value}");
            assert_eq!((row[at].0, row[at].1.as_str()), (cell_kind, text), "{value}");
        }
    }
}

#[tokio::test]
async fn expressions_have_no_type_but_their_values_do() {
    let file = File::with("create table t (id integer, flag boolean); insert into t values (1, 1)").await;
    let query = "select id + 1 as n, flag as renamed, 'x' as s, 9e999 as big, -0.0 as zero from t; -- end";
    let table = read(&file.source(), query).await.unwrap();
    let columns: Vec<_> = table.columns.iter().map(|column| column.kind).collect();
    let any = ColumnKind::Any;
    assert_eq!(columns, [any, ColumnKind::Boolean, any, any, any]);
    let cell = |kind, text: &str| (kind, text.to_owned());
    assert_eq!(
        table.rows(),
        [[
            cell(CellKind::Integer, "2"),
            cell(CellKind::Boolean, "true"),
            cell(CellKind::Text, "x"),
            cell(CellKind::Null, ""),
            cell(CellKind::Number, "0"),
        ]]
    );
    assert_eq!(table.nulled(), 1);
}

#[tokio::test]
async fn text_in_utf_16_is_read() {
    let file =
        File::with("pragma encoding = 'UTF-16le'; create table t (a text); insert into t values ('é😀')")
            .await;
    assert_eq!(read(&file.source(), "select a from t").await.unwrap().rows()[0][0].1, "é😀");
}

#[tokio::test]
async fn limits_and_batches_are_kept() {
    let file = File::with(
        "create table t (id integer, text text);
         with recursive n(x) as (select 1 union all select x + 1 from n where x < 10000)
         insert into t select x, printf('%0500d', x) from n",
    )
    .await;
    for (limit, expected) in [(None, 10_000), (Some(3), 3), (Some(0), 0), (Some(5000), 5000)] {
        let table = read_query(&file.source(), &sql("select * from t order by id"), limit).await.unwrap();
        let rows = table.rows();
        assert_eq!(rows.len(), expected);
        assert!(rows.iter().enumerate().all(|(at, row)| row[0].1 == (at + 1).to_string()));
        assert!(table.batches.iter().all(|batch| batch.rows() <= 2048 && batch.bytes() < 600_000));
    }
}

#[tokio::test]
async fn a_stream_is_one_snapshot_beside_writers() {
    for journal in ["wal", "delete"] {
        let file = File::with(&format!(
            "pragma journal_mode = {journal}; create table t (id integer);
             with recursive n(x) as (select 1 union all select x + 1 from n where x < 50000)
             insert into t select x from n"
        ))
        .await;
        let source = file.source();
        let query = sql("select id from t");
        let columns = source.describe(&query).await.unwrap();
        let (sender, mut receiver) = mpsc::channel::<RowBatch>(1);
        let receive = async {
            let mut rows = receiver.recv().await.unwrap().rows();
            let mut writer = file.writer().await;
            // With a rollback journal the writer is refused while somebody reads.
            let written = raw_sql("insert into t values (0)").execute(&mut writer).await;
            assert_eq!(written.is_ok(), journal == "wal");
            while let Some(batch) = receiver.recv().await {
                rows += batch.rows();
            }
            rows
        };
        let (result, rows) = tokio::join!(source.stream(&query, sender, &columns, None), receive);
        result.unwrap();
        assert_eq!(rows, 50_000, "{journal}");
    }
}

#[tokio::test]
async fn a_writer_that_has_not_committed_does_not_disturb() {
    let file = File::with("create table t (id integer); insert into t values (1)").await;
    let mut writer = file.writer().await;
    run(&mut writer, "begin immediate; insert into t values (2)").await;
    assert_eq!(read(&file.source(), "select id from t").await.unwrap().rows().len(), 1);
    run(&mut writer, "commit; begin exclusive").await;
    let hasty = open_within(&section(&file.path()), "30s", "100ms");
    let error = read(&hasty, "select id from t").await.unwrap_err();
    assert_eq!(error.code(), "source_locked");
    assert!(error.to_string().contains("100 ms"), "{error}");
}

#[tokio::test]
async fn errors_say_what_happened_and_what_to_do() {
    let file = File::with("create table t (id integer); insert into t values (1)").await;
    let source = file.source();
    for (query, code, part) in [
        ("select * from nowhere", "source_unknown_table", "nowhere"),
        ("select nmae from t", "source_unknown_column", "nmae"),
        ("selct 1", "source_syntax_error", "selct"),
        ("select * from", "source_syntax_error", "incomplete"),
        ("select 1;\nselect 2", "source_several_statements", "line 2"),
        ("-- nothing", "source_query_empty", "empty"),
        ("select 1 as a, 2 as a", "source_duplicate_column", "`a`"),
        ("create table x (y)", "source_no_columns", "select"),
        ("delete from t returning id", "source_query_failed", "code 8"),
    ] {
        let error = read(&source, query).await.unwrap_err();
        let text = error.to_string();
        assert_eq!(error.code(), code, "{query}: {text}");
        assert!(text.contains(part), "{query}: {text}");
    }
    assert_eq!(read(&source, "select id from t").await.unwrap().rows().len(), 1, "nothing was deleted");
    // In double quotes SQLite would take an unknown name for a text.
    let misspelt = Query::Table { name: "t".into(), columns: Some(vec!["id".into(), "nmae".into()]) };
    assert_eq!(read_query(&source, &misspelt, None).await.unwrap_err().code(), "source_unknown_column");

    let directory = file.directory.path();
    std::fs::write(directory.join("text.db"), "not a database, but long enough to be taken for one").unwrap();
    for (name, code) in [
        ("missing.db", "source_file_missing"),
        ("text.db", "source_not_a_database"),
        (".", "source_file_unreadable"),
    ] {
        let error = read(&open(&section(&directory.join(name))), "select id from t").await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(directory.to_str().unwrap()), "{error}");
    }
    assert!(!directory.join("missing.db").exists(), "nothing is created");
}

#[tokio::test]
async fn changed_columns_are_noticed() {
    let file = File::with("create table t (id integer)").await;
    let source = file.source();
    let query = sql("select * from t");
    let columns = source.describe(&query).await.unwrap();
    run(&mut file.writer().await, "alter table t add name text").await;
    let (sender, _receiver) = mpsc::channel(1);
    let error = source.stream(&query, sender, &columns, None).await.unwrap_err();
    assert_eq!(error.code(), "columns_changed");
    assert!(error.to_string().contains("`name`"), "{error}");
}

/// A query that holds a read lock and never yields a row.
const ENDLESS: &str = "with recursive n(x) as (select 1 union all select x + 1 from n)
                       select x from t, n where x < 0";

#[tokio::test]
async fn endless_queries_end_and_free_the_file() {
    let file = File::with("create table t (id integer); insert into t values (1)").await;
    let hasty = open_within(&section(&file.path()), "1s", "30s");
    let query = sql(ENDLESS);
    let columns = file.source().describe(&query).await.unwrap();
    let is_free = || async {
        let mut writer = file.writer().await;
        raw_sql("begin exclusive; rollback").execute(&mut writer).await.is_ok()
    };

    let (sender, _receiver) = mpsc::channel(1);
    let error = hasty.stream(&query, sender, &columns, None).await.unwrap_err();
    assert_eq!(error.code(), "source_statement_timeout");
    wait_until("the timed out query lets go", is_free).await;

    let patient = file.source();
    let (sender, receiver) = mpsc::channel(1);
    let go = async {
        wait_until("the query reads", || async { !is_free().await }).await;
        drop(receiver);
    };
    let (result, ()) = tokio::join!(patient.stream(&query, sender, &columns, None), go);
    result.unwrap();
    wait_until("the abandoned query lets go", is_free).await;
}
