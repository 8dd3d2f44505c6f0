//! Files as programs write them, right and wrong.

mod odd_files;

use std::{fmt::Write as _, fs, io::Write as _, path::Path, sync::Arc, time::Duration};

use arrow_array::{ArrayRef, Int64Array, IntervalYearMonthArray, RecordBatch};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use parquet::arrow::{ArrowWriter, arrow_writer::ArrowWriterOptions};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{
    CsvOptions, Files, Reading,
    csv_records::{Record, Records},
    format::Format,
    place::Place,
};
use crate::{
    domain::{
        digest::Digest,
        row::{CellKind, RowBatch},
    },
    source::{DeclaredType, Error, Query, Source},
};

fn source(directory: &Path) -> Source {
    let place = Place::Directory(directory.to_owned());
    let driver = Arc::new(Files { place, reading: Reading::default() });
    Source {
        type_name: "files",
        driver,
        digest: Digest::of(b""),
        statement_timeout: Duration::from_mins(1),
        types: Arc::default(),
    }
}

fn table(name: &str, columns: Option<&[&str]>) -> Query {
    let columns = columns.map(|names| names.iter().map(ToString::to_string).collect());
    Query::Table { name: name.to_owned(), columns }
}

/// Reads a file whole: the names of its columns, and its cells.
async fn read(source: &Source, query: &Query, limit: Option<u64>) -> Result<Vec<Vec<String>>, Error> {
    let columns = source.describe(query).await?;
    let mut lines = vec![columns.iter().map(|column| column.name.clone()).collect()];
    let (queue, mut batches) = mpsc::channel::<RowBatch>(1);
    let collect = async {
        while let Some(batch) = batches.recv().await {
            for row in 0..batch.rows() {
                let cell = |column| match batch.cell(row, column) {
                    (CellKind::Text, text) => String::from_utf8(text.to_vec()).unwrap(),
                    (kind, text) => format!("{kind:?} {}", String::from_utf8_lossy(text)),
                };
                lines.push((0..columns.len()).map(cell).collect::<Vec<_>>());
            }
        }
    };
    let (read, ()) = tokio::join!(source.stream(query, queue, &columns, limit), collect);
    read.map(|()| lines)
}

/// Reads `text` as a file.
async fn read_text(text: &[u8], columns: Option<&[&str]>) -> Result<Vec<Vec<String>>, Error> {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("a.csv"), text).unwrap();
    read(&source(directory.path()), &table("a.csv", columns), None).await
}

#[tokio::test]
async fn every_field_is_text() {
    for (text, expected) in [
        (&b"id,name\n1,Ann\n02,\n"[..], &[&["id", "name"][..], &["1", "Ann"], &["02", ""]][..]),
        (b"id,name\r\n1,\"a \"\"b\"\", c\r\nd\"", &[&["id", "name"], &["1", "a \"b\", c\r\nd"]]),
        (b"\xef\xbb\xbfid,\"na me\"\n 1 ,\xc3\xa9\n", &[&["id", "na me"], &[" 1 ", "é"]]),
        (b"id,name\n\n1,null\n\n", &[&["id", "name"], &["1", "null"]]),
        (b"id\n\xff\n", &[&["id"], &["Invalid invalid_text"]]),
        (b"id,name", &[&["id", "name"]]),
    ] {
        assert_eq!(read_text(text, None).await.unwrap(), expected, "{text:?}");
    }
}

#[tokio::test]
async fn columns_are_chosen_by_name_in_the_order_wanted() {
    let text = b"id,name,city\n1,Ann,Oslo\n";
    assert_eq!(read_text(text, Some(&["city", "id"])).await.unwrap(), [["city", "id"], ["Oslo", "1"]]);
    assert_eq!(read_text(text, Some(&["City"])).await.unwrap_err().code(), "source_unknown_column");
}

#[tokio::test]
async fn broken_files_are_refused_with_the_line_and_without_values() {
    for (text, code, part) in [
        ("id,name\n1,Ann\n2,hush,hush\n", "source_answer_malformed", "line 3 has 3 fields"),
        ("id,name\n\"hush\nhush\",1\nhush\n", "source_answer_malformed", "line 4 has 1 fields"),
        (
            "id,name\n1,\"hush\n2,hush\n",
            "source_answer_malformed",
            "line 2, column 2: a quote is never closed",
        ),
        (
            "id,name\n1,hu\"sh\n2,hu\"sh\n",
            "source_answer_malformed",
            "line 2, column 2: a quote stands inside",
        ),
        ("id,name\n1,hu\"\"sh\n", "source_answer_malformed", "line 2, column 2: a quote stands inside"),
        ("id,name\n1, \"hush\"\n", "source_answer_malformed", "line 2, column 2: a quote stands inside"),
        (
            "id,name\n1,\"hush\" \n",
            "source_answer_malformed",
            "line 2, column 2: text stands after the quote",
        ),
        (
            "id,name\n\n1,\"hush\n\"2\",hush\n",
            "source_answer_malformed",
            "column 2: text stands after the quote that ends the field; it began in line 3",
        ),
        ("", "source_no_columns", "no header line"),
        ("id,\n1,hush\n", "source_answer_malformed", "column 2 has no name"),
        ("hush,id,hush\n", "source_duplicate_column", "columns 1 and 3"),
    ] {
        let error = read_text(text.as_bytes(), None).await.unwrap_err();
        assert_eq!(error.code(), code, "{text:?}: {error}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
}

#[tokio::test]
async fn large_fields_are_rejected_and_records_are_bounded() {
    let mut text = b"id,name\n1,".to_vec();
    text.resize(text.len() + 3_000_000, b'x');
    text.extend_from_slice(b"\n2,Ann\n");
    let rows = read_text(&text, None).await.unwrap();
    assert_eq!(rows[1], ["1", "Invalid record_too_large"]);
    assert_eq!(rows[2], ["2", "Ann"]);

    let mut endless = b"id,name\n1,\"".to_vec();
    endless.resize(40_000_000, b'x');
    let error = read_text(&endless, None).await.unwrap_err();
    assert_eq!(error.code(), "source_answer_malformed");
    assert!(error.to_string().contains("line 2"), "{error}");
}

#[tokio::test]
async fn only_files_below_the_directory_are_read() {
    let directory = TempDir::new().unwrap();
    fs::create_dir(directory.path().join("exports")).unwrap();
    fs::write(directory.path().join("secret.csv"), "id\n1\n").unwrap();
    fs::create_dir(directory.path().join("exports/2026")).unwrap();
    fs::create_dir(directory.path().join("exports/directory.csv")).unwrap();
    fs::write(directory.path().join("exports/2026/a.csv"), "id\n1\n").unwrap();
    let source = source(&directory.path().join("exports"));
    source.check().await.unwrap();
    assert_eq!(read(&source, &table("2026/a.csv", None), None).await.unwrap().len(), 2);
    let error = source.describe(&table("2026/*.parquet", None)).await.unwrap_err();
    assert!(error.message().contains("matches the pattern `2026/*.parquet`"), "{error}");
    let absolute = directory.path().join("secret.csv").display().to_string();
    for (query, code) in [
        (table("../secret.csv", None), "source_table_name_invalid"),
        (table("2026/../../secret.csv", None), "source_table_name_invalid"),
        (table(&absolute, None), "source_table_name_invalid"),
        (table("", None), "source_table_name_invalid"),
        (Query::Sql("select * from a".to_owned()), "source_sql_unsupported"),
    ] {
        assert_eq!(source.check_query(&query).unwrap_err().code(), code, "{query:?}");
        assert_eq!(source.describe(&query).await.unwrap_err().code(), code, "{query:?}");
    }
    assert_eq!(source.describe(&table("b.csv", None)).await.unwrap_err().code(), "source_file_missing");
    let error = source.describe(&table("directory.csv", None)).await.unwrap_err();
    assert_eq!(error.code(), "source_file_unreadable");
    fs::remove_dir_all(directory.path().join("exports")).unwrap();
    fs::create_dir(directory.path().join("exports")).unwrap();
    assert!(source.tables().await.unwrap().is_empty());
    fs::remove_dir(directory.path().join("exports")).unwrap();
    assert_eq!(source.check().await.unwrap_err().code(), "source_file_missing");
}

/// A file of many batches.
fn many_rows() -> String {
    (0..50_000).fold("id,name\n".to_owned(), |mut text, id| {
        let _ = writeln!(text, "{id},name of {id}");
        text
    })
}

#[tokio::test]
async fn file_that_is_written_to_while_it_is_read_fails_the_run() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.csv");
    let (source, query) = (source(directory.path()), table("a.csv", None));
    for is_renamed in [false, true] {
        fs::write(&path, many_rows()).unwrap();
        let columns = source.describe(&query).await.unwrap();
        let (queue, mut batches) = mpsc::channel::<RowBatch>(1);
        let receive = async {
            let mut rows = batches.recv().await.unwrap().rows();
            if is_renamed {
                let other = directory.path().join("b.csv");
                fs::write(&other, "id,name\n1,new\n").unwrap();
                fs::rename(other, &path).unwrap();
            } else {
                fs::write(&path, many_rows() + "1,new\n").unwrap();
            }
            while let Some(batch) = batches.recv().await {
                rows += batch.rows();
            }
            rows
        };
        let (read, rows) = tokio::join!(source.stream(&query, queue, &columns, None), receive);
        if is_renamed {
            read.unwrap();
            assert_eq!(rows, 50_000);
        } else {
            assert_eq!(read.unwrap_err().code(), "source_file_changed");
        }
    }
}

#[tokio::test]
async fn limits_and_changed_columns_are_kept() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.csv");
    let (source, query) = (source(directory.path()), table("a.csv", None));
    fs::write(&path, many_rows()).unwrap();
    for limit in [0, 3, 5000] {
        let lines = read(&source, &query, Some(limit)).await.unwrap();
        assert_eq!(lines.len() as u64, limit + 1);
    }
    let columns = source.describe(&query).await.unwrap();
    fs::write(&path, "id,full_name\n1,Ann\n").unwrap();
    let (queue, _batches) = mpsc::channel(1);
    let error = source.stream(&query, queue, &columns, None).await.unwrap_err();
    assert_eq!(error.code(), "columns_changed");
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_taken_without_panic(bytes in proptest::collection::vec(
        proptest::sample::select(b"a,\"\n\r\xff{}:".to_vec()), 0..60)
    ) {
        let directory = TempDir::new().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for name in ["a.csv", "a.jsonl", "a.csv.gz", "a.csv.zst", "a.parquet", "a.arrow"] {
            fs::write(directory.path().join(name), &bytes).unwrap();
            let _ = runtime.block_on(read(&source(directory.path()), &table(name, None), None));
        }
    }
}

#[tokio::test]
async fn dialects_of_csv_are_declared() {
    let directory = TempDir::new().unwrap();
    let csv = CsvOptions {
        delimiter: Some(b';'),
        quote: b'\'',
        escape: Some(b'\\'),
        comment: Some(b'#'),
        names: Some(vec!["id".to_owned(), "name".to_owned()]),
        null: Some("\\N".to_owned()),
    };
    let place = Place::Directory(directory.path().to_owned());
    let driver = Arc::new(Files { place, reading: Reading { format: Some(Format::Csv), csv, sheet: None } });
    let source = Source {
        type_name: "files",
        driver,
        digest: Digest::of(b""),
        statement_timeout: Duration::from_mins(1),
        types: Arc::default(),
    };
    fs::write(directory.path().join("dump"), "# a comment\n1;'a\\'b;c'\n2;\\N\n").unwrap();
    let lines = read(&source, &table("dump", None), None).await.unwrap();
    assert_eq!(lines, [["id", "name"], ["1", "a'b;c"], ["2", "Null "]]);
    fs::write(directory.path().join("dump"), "1;a;b\n").unwrap();
    // What the width of the file is, a description of its columns knows, too.
    let error = source.describe(&table("dump", None)).await.unwrap_err();
    assert!(error.message().contains("line 1 has 3 fields, the source's csv.header names 2"), "{error}");
    for (text, part) in [
        ("1;'C:\\dir'\n", "column 2: `csv.escape` stands before a character that needs no escape"),
        ("1;'a''b'\n", "column 2: text stands after the quote"),
    ] {
        fs::write(directory.path().join("dump"), text).unwrap();
        let error = read(&source, &table("dump", None), None).await.unwrap_err();
        assert!(error.message().contains(part), "{error}");
    }
}

#[tokio::test]
async fn quoted_text_is_never_null() {
    let directory = TempDir::new().unwrap();
    for (null, rows) in [
        ("NULL", [["1", "Null "], ["2", "NULL"], ["3", ""], ["4", ""], ["5", "NULLs"]]),
        ("", [["1", "NULL"], ["2", "NULL"], ["3", "Null "], ["4", ""], ["5", "NULLs"]]),
    ] {
        let csv = CsvOptions { null: Some(null.to_owned()), ..CsvOptions::default() };
        let place = Place::Directory(directory.path().to_owned());
        let driver = Arc::new(Files { place, reading: Reading { format: None, csv, sheet: None } });
        let source = Source { driver, ..source(directory.path()) };
        let text = "id,name\n1,NULL\n2,\"NULL\"\n3,\n4,\"\"\n5,NULLs\n";
        fs::write(directory.path().join("a.csv"), text).unwrap();
        assert_eq!(read(&source, &table("a.csv", None), None).await.unwrap()[1..], rows);
    }
}

#[tokio::test]
async fn records_are_the_same_wherever_pieces_of_the_file_end() {
    let text = "\u{feff}# note\nid,name\r\n\r\n1,'a ''q''\n; b'\n# 'x\n2,é\r3,''";
    let options = CsvOptions { quote: b'\'', comment: Some(b'#'), ..CsvOptions::default() };
    for bytes in 3..text.len() {
        let input = std::io::BufReader::with_capacity(bytes, std::io::Cursor::new(text));
        let mut records = Records::new(Box::new(input), &options);
        let (mut record, mut found) = (Record::default(), Vec::new());
        while records.read(&mut record).unwrap() {
            let field = |at| String::from_utf8(record.field(at).0.to_vec()).unwrap();
            found.push((record.line, (0..record.len()).map(field).collect::<Vec<_>>()));
        }
        let expected = [(2, ["id", "name"]), (4, ["1", "a 'q'\n; b"]), (7, ["2", "é"]), (7, ["3", ""])];
        let expected = expected.map(|(line, fields)| (line, fields.map(str::to_owned).to_vec()));
        assert_eq!(found, expected, "{bytes}");
    }
}

#[tokio::test]
async fn members_of_json_lines_are_columns() {
    let directory = TempDir::new().unwrap();
    let source = source(directory.path());
    let write = |text: &[u8]| fs::write(directory.path().join("a.jsonl"), text).unwrap();
    let query = table("a.jsonl", None);
    write(b"{\"id\": 1, \"n\\u00e9\": \"x\\n\", \"j\": {\"a\": 1.50}}\n\n{\"j\": null, \"id\": 2.50}\n{\"id\":1e2,\"j\":true}");
    let lines = read(&source, &query, None).await.unwrap();
    assert_eq!(lines[0], ["id", "né", "j"]);
    assert_eq!(lines[1], ["Integer 1", "x\n", "Json {\"a\":1.50}"]);
    assert_eq!(lines[2], ["Number 2.50", "Null ", "Null "]);
    assert_eq!(lines[3], ["Integer 100", "Null ", "Boolean true"]);
    let lines = read(&source, &table("a.jsonl", Some(&["j", "none"])), None).await.unwrap();
    assert_eq!(lines[1], ["Json {\"a\":1.50}", "Null "]);
    for (text, code, part) in [
        (&b"{\"id\":1}\n{\"id\":2,\"late\":\"hush\"}\n"[..], "source_unknown_column", "line 2"),
        (b"{\"id\":1}\n{\"id\":\"hush", "source_answer_malformed", "line 2 is not one JSON object"),
        (b"{\"id\":1}\n[\"hush\"]", "source_answer_malformed", "line 2 is not one JSON object"),
        (b"", "source_no_columns", ""),
    ] {
        write(text);
        let error = read(&source, &query, None).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().contains(part) && !format!("{error:?}").contains("hush"), "{error:?}");
    }
    write(b"{\"id\":1}\n{\"id\":\"a\\u0000b\"}\n{\"id\":3}\n");
    let lines = read(&source, &query, None).await.unwrap();
    assert_eq!(lines[2..], [["Invalid invalid_json"], ["Integer 3"]]);
    // Of a line that no record can be made of, every other member is known: the row's key above all.
    write(b"{\"id\":1,\"s\":\"\\u0000\"}\n{\"id\":2,\"s\":\"caf\xe9\"}\n{\"id\":3,\"s\":\"v\",\"x\":\"\\ud800\"}\n");
    let lines = read(&source, &table("a.jsonl", Some(&["id", "s"])), None).await.unwrap();
    let expected =
        [["Integer 1", "Invalid invalid_json"], ["Integer 2", "Invalid invalid_text"], ["Integer 3", "v"]];
    assert_eq!(lines[1..], expected);
    // Also of the first one, which names the columns.
    let lines = read(&source, &query, None).await.unwrap();
    assert_eq!(lines[0], ["id", "s"]);
    assert_eq!(lines[1], ["Integer 1", "Invalid invalid_json"]);
}

#[tokio::test]
async fn declared_types_hold_for_all_files_of_a_pattern() {
    let directory = TempDir::new().unwrap();
    let types = [("n".to_owned(), DeclaredType::Number)].into_iter().collect();
    let source = source(directory.path()).with_types(&types);
    for (name, number) in [("1.csv", 5), ("2.csv", 6)] {
        fs::write(directory.path().join(name), format!("id,n\n{number},{number}\n")).unwrap();
    }
    let lines = read(&source, &table("*.csv", None), None).await.unwrap();
    assert_eq!(lines[1..], [["5", "Integer 5"], ["6", "Integer 6"]]);
}

/// A batch of a column of each name.
fn batch(names: &[&str], from: i64, rows: i64) -> RecordBatch {
    let array = |at: usize| -> ArrayRef {
        let values = (from..from + rows).map(|row| if at == 0 { row } else { row * 10 });
        Arc::new(values.collect::<Int64Array>())
    };
    let columns = names.iter().enumerate().map(|(at, name)| (*name, array(at)));
    RecordBatch::try_from_iter(columns).unwrap()
}

fn parquet(batches: &[RecordBatch]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batches[0].schema(), None).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
    bytes
}

/// The library reads their encoded bytes.
#[tokio::test]
async fn variants_of_parquet_are_refused() {
    use parquet::{
        basic::{LogicalType, Repetition, Type as Physical},
        file::writer::SerializedFileWriter,
        schema::types::Type,
    };
    let directory = TempDir::new().unwrap();
    let is_needed = Repetition::REQUIRED;
    let leaf = |name: &str, kind| {
        Arc::new(Type::primitive_type_builder(name, kind).with_repetition(is_needed).build().unwrap())
    };
    let group = |name: &'static str, fields| {
        Type::group_type_builder(name).with_repetition(is_needed).with_fields(fields)
    };
    let bytes = vec![leaf("metadata", Physical::BYTE_ARRAY), leaf("value", Physical::BYTE_ARRAY)];
    let variant = group("v", bytes).with_logical_type(Some(LogicalType::variant(None))).build().unwrap();
    let within = group("s", vec![Arc::new(variant)]).build().unwrap();
    let fields = vec![leaf("id", Physical::INT64), Arc::new(within)];
    let schema = Type::group_type_builder("m").with_fields(fields).build().unwrap();
    let file = fs::File::create(directory.path().join("a.parquet")).unwrap();
    SerializedFileWriter::new(file, Arc::new(schema), Arc::default()).unwrap().close().unwrap();
    let error = read(&source(directory.path()), &table("a.parquet", None), None).await.unwrap_err();
    assert_eq!(error.code(), "source_format_unknown", "{error}");
    assert!(error.message().contains("the type VARIANT of Parquet in s"), "{error}");
    read(&source(directory.path()), &table("a.parquet", Some(&["id"])), None).await.unwrap();
}

/// Of an interval of Parquet that no schema of Arrow describes, the library reads days and milliseconds alone.
#[tokio::test]
async fn intervals_without_their_months_are_refused() {
    let directory = TempDir::new().unwrap();
    let source = source(directory.path());
    let months: ArrayRef = Arc::new(IntervalYearMonthArray::from(vec![14]));
    let id: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let batch = RecordBatch::try_from_iter([("id", id), ("iv", months)]).unwrap();
    for is_described in [true, false] {
        let options = ArrowWriterOptions::new().with_skip_arrow_metadata(!is_described);
        let file = fs::File::create(directory.path().join("a.parquet")).unwrap();
        let mut writer = ArrowWriter::try_new_with_options(file, batch.schema(), options).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let found = read(&source, &table("a.parquet", None), None).await;
        if is_described {
            assert_eq!(found.unwrap()[1], ["Integer 1", "P1Y2M"]);
            continue;
        }
        let error = found.unwrap_err();
        assert_eq!(error.code(), "source_format_unknown", "{error}");
        assert!(error.message().contains("iv"), "{error}");
        let lines = read(&source, &table("a.parquet", Some(&["id"])), None).await.unwrap();
        assert_eq!(lines[1], ["Integer 1"]);
    }
}

#[tokio::test]
async fn record_batches_are_read_from_every_container() {
    let directory = TempDir::new().unwrap();
    let source = source(directory.path());
    let batches = [batch(&["id", "ten"], 0, 3000), batch(&["id", "ten"], 3000, 1)];
    fs::write(directory.path().join("a.parquet"), parquet(&batches)).unwrap();
    let schema = batches[0].schema();
    let mut file = FileWriter::try_new(Vec::new(), &schema).unwrap();
    let mut stream = StreamWriter::try_new(Vec::new(), &schema).unwrap();
    for batch in &batches {
        file.write(batch).unwrap();
        stream.write(batch).unwrap();
    }
    fs::write(directory.path().join("a.arrow"), file.into_inner().unwrap()).unwrap();
    fs::write(directory.path().join("a.arrows"), stream.into_inner().unwrap()).unwrap();
    for name in ["a.parquet", "a.arrow", "a.arrows"] {
        let lines = read(&source, &table(name, None), None).await.unwrap();
        assert_eq!(lines.len(), 3002, "{name}");
        assert_eq!(lines[3001], ["Integer 3000", "Integer 30000"], "{name}");
        let lines = read(&source, &table(name, Some(&["ten", "id"])), Some(2)).await.unwrap();
        assert_eq!(lines, [["ten", "id"], ["Integer 0", "Integer 0"], ["Integer 10", "Integer 1"]], "{name}");
        let error = source.describe(&table(name, Some(&["none"]))).await.unwrap_err();
        assert_eq!(error.code(), "source_unknown_column");
        let whole = fs::read(directory.path().join(name)).unwrap();
        fs::write(directory.path().join(name), &whole[..whole.len() / 2]).unwrap();
        let error = read(&source, &table(name, None), None).await.unwrap_err();
        assert_eq!(error.code(), "source_answer_malformed", "{name}: {error}");
    }
}

#[tokio::test]
async fn all_files_of_a_pattern_are_one_table() {
    let directory = TempDir::new().unwrap();
    let source = source(directory.path());
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("2026")).unwrap();
    fs::write(path("2026/b.parquet"), parquet(&[batch(&["ten", "id"], 5, 1)])).unwrap();
    fs::write(path("2026/a.parquet"), parquet(&[batch(&["id", "ten"], 0, 2)])).unwrap();
    fs::write(path("2026/_SUCCESS"), "").unwrap();
    let query = table("2026/*.parquet", None);
    let lines = read(&source, &query, None).await.unwrap();
    assert_eq!(lines[3], ["Integer 50", "Integer 5"], "by name, not by place");
    assert_eq!(lines.len(), 4);
    fs::write(path("2026/c.parquet"), parquet(&[batch(&["id", "ten", "more"], 0, 2)])).unwrap();
    let error = read(&source, &query, None).await.unwrap_err();
    assert_eq!(error.code(), "source_files_differ", "{error}");
    assert_eq!(read(&source, &table("2026/*.parquet", Some(&["id"])), None).await.unwrap().len(), 6);
    for (name, code) in [
        ("2025/*.parquet", "source_file_missing"),
        ("2026/*.csv", "source_file_missing"),
        ("2026/_SUCCESS", "source_format_unknown"),
    ] {
        assert_eq!(source.describe(&table(name, None)).await.unwrap_err().code(), code, "{name}");
    }
}

#[tokio::test]
async fn texts_are_decompressed() {
    let directory = TempDir::new().unwrap();
    let source = source(directory.path());
    let text = many_rows();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(text.as_bytes(), 1).unwrap();
    for (name, bytes) in [("a.csv.gz", gzip), ("a.csv.zst", zstd)] {
        fs::write(directory.path().join(name), &bytes).unwrap();
        let lines = read(&source, &table(name, None), None).await.unwrap();
        assert_eq!((lines.len(), &*lines[50_000][0]), (50_001, "49999"), "{name}");
        fs::write(directory.path().join(name), &bytes[..bytes.len() / 2]).unwrap();
        let error = read(&source, &table(name, None), None).await.unwrap_err();
        assert_eq!(error.code(), "source_answer_malformed", "{name}: {error}");
    }
}

/// A workbook as another program writes it: two sheets, every kind of cell.
fn write_workbook(path: &Path) {
    use rust_xlsxwriter::{ExcelDateTime, Format as Style, Workbook};
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet().set_name("people").unwrap();
    for (column, name) in ["id", "name", "ltv", "since", "seen", "at", "vip", "took"].into_iter().enumerate()
    {
        sheet.write_string(0, column as u16, name).unwrap();
    }
    let date = Style::new().set_num_format("yyyy-mm-dd");
    let moment = Style::new().set_num_format("yyyy-mm-dd hh:mm:ss.000");
    let time = Style::new().set_num_format("hh:mm:ss");
    let elapsed = Style::new().set_num_format("[h]:mm");
    let day = ExcelDateTime::from_ymd(2024, 2, 29).unwrap();
    sheet.write_number(1, 0, 9_007_199_254_740_991_f64).unwrap();
    sheet.write_string(1, 1, "é \" 😀").unwrap();
    sheet.write_number(1, 2, 12.5).unwrap();
    sheet.write_datetime_with_format(1, 3, &day, &date).unwrap();
    let seen = ExcelDateTime::from_ymd(1999, 12, 31).unwrap().and_hms_milli(23, 59, 59, 250).unwrap();
    sheet.write_datetime_with_format(1, 4, &seen, &moment).unwrap();
    let noon = ExcelDateTime::from_hms(12, 30, 0).unwrap();
    sheet.write_datetime_with_format(1, 5, &noon, &time).unwrap();
    sheet.write_boolean(1, 6, true).unwrap();
    sheet.write_number_with_format(1, 7, 1.5, &elapsed).unwrap();
    // An empty row, then one whose first and last cells are empty.
    sheet.write_string(3, 1, "12").unwrap();
    sheet.write_number_with_format(3, 4, 46_349.0, &moment).unwrap();
    sheet.write_number_with_format(3, 5, 0.0, &time).unwrap();
    sheet.write_number_with_format(3, 7, 0.0, &elapsed).unwrap();
    // No day of a calendar, whatever Excel shows.
    for (column, serial) in [(3, -1.0), (4, 2_958_466.0), (5, -0.5)] {
        sheet
            .write_number_with_format(4, column, serial, [&date, &moment, &time][usize::from(column) - 3])
            .unwrap();
    }
    sheet.write_formula(3, 2, rust_xlsxwriter::Formula::new("=NA()").set_result("#N/A")).unwrap();
    let other = workbook.add_worksheet().set_name("Zweites Blatt").unwrap();
    other.write_string(0, 0, "id").unwrap();
    for row in 1..=10_000 {
        other.write_number(row, 0, f64::from(row)).unwrap();
    }
    workbook.save(path).unwrap();
}

#[tokio::test]
async fn cells_of_a_workbook_have_their_own_types() {
    let directory = TempDir::new().unwrap();
    write_workbook(&directory.path().join("book.xlsx"));
    let found = read(&source(directory.path()), &table("book.xlsx", None), None).await.unwrap();
    assert_eq!(
        found,
        [
            &["id", "name", "ltv", "since", "seen", "at", "vip", "took"][..],
            &[
                "Integer 9007199254740991",
                "é \" 😀",
                "Number 12.5",
                "2024-02-29",
                "1999-12-31T23:59:59.25",
                "12:30:00",
                "Boolean true",
                "36:00:00"
            ],
            &[
                "Null ",
                "12",
                "Invalid invalid_value",
                "Null ",
                "2026-11-23T00:00:00",
                "00:00:00",
                "Null ",
                "00:00:00"
            ],
            &[
                "Null ",
                "Null ",
                "Null ",
                "Invalid invalid_value",
                "Invalid invalid_value",
                "Invalid invalid_value",
                "Null ",
                "Null "
            ],
        ]
    );
    let chosen = table("book.xlsx", Some(&["name", "id"]));
    let found = read(&source(directory.path()), &chosen, Some(1)).await.unwrap();
    assert_eq!(found, [["name", "id"], ["é \" 😀", "Integer 9007199254740991"]]);

    let sheet = |name: &str| {
        let reading = Reading { sheet: Some(name.to_owned()), ..Reading::default() };
        let driver = Arc::new(Files { place: Place::Directory(directory.path().to_owned()), reading });
        Source {
            type_name: "files",
            driver,
            digest: Digest::of(b""),
            statement_timeout: Duration::from_mins(1),
            types: Arc::default(),
        }
    };
    let found = read(&sheet("Zweites Blatt"), &table("book.xlsx", None), None).await.unwrap();
    assert!(found[1..].iter().map(|row| row[0].clone()).eq((1..=10_000).map(|id| format!("Integer {id}"))));
    let error = read(&sheet("third"), &table("book.xlsx", None), None).await.unwrap_err();
    assert_eq!(error.code(), "source_unknown_table");
    assert!(error.to_string().contains("people, Zweites Blatt"), "{error}");
    fs::write(directory.path().join("text.xlsx"), "no workbook").unwrap();
    let error = read(&source(directory.path()), &table("text.xlsx", None), None).await.unwrap_err();
    assert_eq!(error.code(), "source_answer_malformed");
}
