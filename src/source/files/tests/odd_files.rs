//! Files that are valid and rare, and files that must not be read: cut, with ambiguous columns, without values.

use std::{fs, sync::Arc};

use arrow_array::{ArrayRef, Decimal128Array, Int64Array, RecordBatch, TimestampNanosecondArray};
use arrow_ipc::{
    MetadataVersion,
    writer::{FileWriter, IpcWriteOptions, StreamWriter},
};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::{ArrowWriter, arrow_writer::ArrowWriterOptions, encode_arrow_schema};
use tempfile::TempDir;

use super::{batch, many_rows, parquet, read, source, table};

/// The bytes of a stream of Arrow with one batch for each number of rows.
fn stream(rows: &[i64], is_closed: bool) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch(&["id"], 0, 1).schema()).unwrap();
    for &rows in rows {
        writer.write(&batch(&["id"], 0, rows)).unwrap();
    }
    if is_closed {
        writer.finish().unwrap();
    }
    std::mem::take(writer.get_mut())
}

/// Fewer rows than were written would delete records.
#[tokio::test]
async fn stream_of_arrow_that_was_cut_or_goes_on_is_refused() {
    let directory = TempDir::new().unwrap();
    let source = source(directory.path());
    let (whole, cut) = (stream(&[3, 3], true), stream(&[3], false));
    assert!(whole.starts_with(&cut));
    let cases = [
        (whole.clone(), None),
        (stream(&[], true), None),
        (cut.clone(), Some("without the mark of a stream's end")),
        ([&cut[..], &[0xff; 4]].concat(), Some("a record batch is damaged")),
        ([&whole[..], &whole].concat(), Some("follows the end of its stream")),
        // Programs before version 0.15 of Arrow wrote this mark.
        ([&cut[..], &[0; 4]].concat(), None),
    ];
    for (bytes, expected) in cases {
        fs::write(directory.path().join("a.arrows"), &bytes).unwrap();
        let found = read(&source, &table("a.arrows", None), None).await;
        match (found, expected) {
            (Ok(_), None) => {}
            (Err(error), Some(part)) => {
                assert_eq!(error.code(), "source_answer_malformed");
                assert!(error.message().contains(part), "{error}");
            }
            (found, expected) => panic!("{expected:?}: {found:?}"),
        }
    }
}

#[tokio::test]
async fn files_of_arrow_with_earlier_metadata_are_read() {
    let directory = TempDir::new().unwrap();
    let source = source(directory.path());
    for (is_legacy, version) in
        [(false, MetadataVersion::V4), (true, MetadataVersion::V4), (false, MetadataVersion::V5)]
    {
        let written = batch(&["id", "ten"], 0, 5);
        let options = || IpcWriteOptions::try_new(8, is_legacy, version).unwrap();
        let mut writer =
            StreamWriter::try_new_with_options(Vec::new(), &written.schema(), options()).unwrap();
        writer.write(&written).unwrap();
        let messages = writer.into_inner().unwrap();
        // The footer of Arrow's C++ library, which names version 5 whatever the messages are.
        let schema = written.schema();
        let mut file = FileWriter::try_new(Vec::new(), &schema).unwrap();
        file.write(&written).unwrap();
        let file = file.into_inner().unwrap();
        let length = i32::from_le_bytes(file[file.len() - 10..file.len() - 6].try_into().unwrap());
        let footer = &file[file.len() - 10 - usize::try_from(length).unwrap()..];
        let bytes = match version {
            MetadataVersion::V5 => file.clone(),
            _ => [b"ARROW1\0\0", &messages[..], footer].concat(),
        };
        fs::write(directory.path().join("a.arrow"), bytes).unwrap();
        let lines = read(&source, &table("a.arrow", Some(&["ten"])), None).await.unwrap();
        assert_eq!((lines.len(), &*lines[5][0]), (6, "Integer 40"), "{version:?} {is_legacy}");
    }
}

#[tokio::test]
async fn highest_and_lowest_moments_of_nanoseconds_are_read() {
    let directory = TempDir::new().unwrap();
    let times: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![i64::MAX, -i64::MAX]));
    let batch = RecordBatch::try_from_iter([("t", times)]).unwrap();
    fs::write(directory.path().join("a.parquet"), parquet(&[batch])).unwrap();
    let lines = read(&source(directory.path()), &table("a.parquet", None), None).await.unwrap();
    let expected = [["t"], ["2262-04-11T23:47:16.854775807"], ["1677-09-21T00:12:43.145224193"]];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn parquet_whose_schema_of_arrow_has_dictionaries_of_decimals_is_read() {
    let directory = TempDir::new().unwrap();
    // Of 4 and of 13 bytes.
    for precision in [9, 30] {
        let took: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let decimals =
            Decimal128Array::from(vec![150, 225, 150]).with_precision_and_scale(precision, 2).unwrap();
        let decimals: ArrayRef = Arc::new(decimals);
        let kind = DataType::Dictionary(Box::new(DataType::Int32), Box::new(decimals.data_type().clone()));
        // What the file's types do not say, its schema of Arrow still does.
        let seconds = DataType::Duration(arrow_schema::TimeUnit::Second);
        let fields = vec![Field::new("d", kind, true), Field::new("took", seconds, true)];
        let described = encode_arrow_schema(&Schema::new(fields));
        let pair = parquet::file::metadata::KeyValue::new("ARROW:schema".to_owned(), described);
        let properties = parquet::file::properties::WriterProperties::builder();
        let properties = properties.set_key_value_metadata(Some(vec![pair])).build();
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let batch = RecordBatch::try_from_iter([("d", decimals), ("took", took)]).unwrap();
        let file = fs::File::create(directory.path().join("a.parquet")).unwrap();
        let mut writer = ArrowWriter::try_new_with_options(file, batch.schema(), options).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let lines = read(&source(directory.path()), &table("a.parquet", None), None).await.unwrap();
        let expected =
            [["d", "took"], ["Number 1.50", "PT1S"], ["Number 2.25", "PT2S"], ["Number 1.50", "PT3S"]];
        assert_eq!(lines, expected);
    }
}

#[tokio::test]
async fn two_columns_of_one_name_are_refused_in_every_format() {
    let directory = TempDir::new().unwrap();
    let source = source(directory.path());
    let field = |name| Field::new(name, DataType::Int64, false);
    let schema = Arc::new(Schema::new(vec![field("id"), field("x"), field("x")]));
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let twice = RecordBatch::try_new(schema, vec![Arc::clone(&column), Arc::clone(&column), column]).unwrap();
    fs::write(directory.path().join("a.parquet"), parquet(std::slice::from_ref(&twice))).unwrap();
    let mut file = FileWriter::try_new(Vec::new(), &twice.schema()).unwrap();
    file.write(&twice).unwrap();
    fs::write(directory.path().join("a.arrow"), file.into_inner().unwrap()).unwrap();
    fs::write(directory.path().join("a.csv"), "id,x,x\n1,1,1\n").unwrap();
    let mut workbook = rust_xlsxwriter::Workbook::new();
    workbook.add_worksheet().write_row(0, 0, ["id", "x", "x"]).unwrap();
    workbook.save(directory.path().join("a.xlsx")).unwrap();
    for name in ["a.parquet", "a.arrow", "a.csv", "a.xlsx"] {
        for columns in [None, Some(&["id"][..]), Some(&["x"][..])] {
            let error = read(&source, &table(name, columns), None).await.unwrap_err();
            assert_eq!(error.code(), "source_duplicate_column", "{name} {columns:?}: {error}");
            assert!(
                error.message().contains("columns 2 and 3") && !error.to_string().contains("AS"),
                "{error}"
            );
        }
    }
}

/// A workbook of one sheet with these rows, as `openpyxl` writes it.
fn small_workbook(rows: &str) -> Vec<u8> {
    const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
    let files = [
        (
            "_rels/.rels",
            format!(
                "<Relationships xmlns='{PACKAGE}'><Relationship Id='r1' Type='{OFFICE}/officeDocument' Target='xl/workbook.xml'/></Relationships>"
            ),
        ),
        (
            "xl/workbook.xml",
            format!(
                "<workbook xmlns='{MAIN}' xmlns:r='{OFFICE}'><sheets><sheet name='s' sheetId='1' r:id='r1'/></sheets></workbook>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!(
                "<Relationships xmlns='{PACKAGE}'><Relationship Id='r1' Type='{OFFICE}/worksheet' Target='worksheets/s.xml'/></Relationships>"
            ),
        ),
        (
            "xl/worksheets/s.xml",
            format!("<worksheet xmlns='{MAIN}'><sheetData>{rows}</sheetData></worksheet>"),
        ),
    ];
    // A ZIP file without compression.
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, text) in &files {
        let mut checksum = flate2::Crc::new();
        checksum.update(text.as_bytes());
        let mut header = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        header.extend(checksum.sum().to_le_bytes());
        header.extend([text.len() as u32; 2].map(u32::to_le_bytes).concat());
        header.extend([name.len() as u16, 0].map(u16::to_le_bytes).concat());
        directory.extend([b"PK\x01\x02\x14\0", &header[..], &[0; 10]].concat());
        directory.extend((bytes.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        bytes.extend([b"PK\x03\x04", &header[..], name.as_bytes(), text.as_bytes()].concat());
    }
    let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
    end.extend([files.len() as u16; 2].map(u16::to_le_bytes).concat());
    end.extend([directory.len() as u32, bytes.len() as u32].map(u32::to_le_bytes).concat());
    [bytes, directory, end, vec![0; 2]].concat()
}

/// Programs that do not compute formulas store no value of them, which is not an empty cell.
#[tokio::test]
async fn formula_without_a_stored_value_is_refused() {
    let directory = TempDir::new().unwrap();
    let source = source(directory.path());
    let rows = |sum: &str| {
        format!(
            "<row r='1'><c r='A1' t='inlineStr'><is><t>id</t></is></c><c r='B1' t='inlineStr'><is><t>sum</t></is></c></row>\
             <row r='2'><c r='A2'><v>1</v></c><c r='B2'>{sum}</c></row><row r='3'><c r='A3'><v>2</v></c><c r='B3'></c></row>"
        )
    };
    let write = |sum: &str| fs::write(directory.path().join("a.xlsx"), small_workbook(&rows(sum))).unwrap();
    write("<f>1+1</f><v>2</v>");
    let lines = read(&source, &table("a.xlsx", None), None).await.unwrap();
    assert_eq!(lines, [["id", "sum"], ["Integer 1", "Integer 2"], ["Integer 2", "Null "]]);
    for sum in ["<f>1+1</f><v></v>", "<f>1+1</f><v/>", "<f>1+1</f>"] {
        write(sum);
        let error = read(&source, &table("a.xlsx", None), None).await.unwrap_err();
        assert_eq!(error.code(), "source_answer_malformed");
        let words = error.to_string();
        assert!(words.contains("row 2, column 2: a formula") && words.contains("LibreOffice"), "{words}");
        assert_eq!(read(&source, &table("a.xlsx", Some(&["id"])), None).await.unwrap().len(), 3);
    }
}

#[tokio::test]
async fn directories_and_pipes_of_any_kind_are_walked_once() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir_all(path("a/b")).unwrap();
    fs::write(path("a/b/c.csv"), "id\n1\n").unwrap();
    std::os::unix::fs::symlink("..", path("a/up")).unwrap();
    std::os::unix::fs::symlink("a", path("a/b/no")).unwrap();
    std::os::unix::fs::symlink("b", path("a/other")).unwrap();
    let source = source(directory.path());
    let lines = read(&source, &table("**/*.csv", None), None).await.unwrap();
    assert_eq!(lines.len(), 3, "once by each of its two names: {lines:?}");
    assert!(std::process::Command::new("mkfifo").arg(path("pipe.csv")).status().unwrap().success());
    assert_eq!(source.tables().await.unwrap(), ["a/b/c.csv", "a/other/c.csv"]);
    let error = read(&source, &table("*.csv", None), None).await.unwrap_err();
    assert!(error.message().contains("it is not a regular file"), "{error}");
}

#[tokio::test]
async fn messages_fit_files() {
    let directory = TempDir::new().unwrap();
    let source = source(directory.path());
    let path = |name: &str| directory.path().join(name);
    fs::write(path("1.csv"), "id,x\n1,1\n").unwrap();
    fs::write(path("2.csv"), "id\n2\n").unwrap();
    for columns in [None, Some(&["id", "x"][..])] {
        let error = read(&source, &table("*.csv", columns), None).await.unwrap_err();
        assert_eq!(error.code(), "source_files_differ", "{error}");
        assert!(error.message().starts_with("2.csv") && error.message().contains("no column `x`"), "{error}");
    }
    let error = read(&source, &table("1.csv", Some(&["y"])), None).await.unwrap_err();
    assert_eq!(error.code(), "source_unknown_column", "{error}");

    let text: Vec<u8> = "\u{feff}id,x\n1,1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(path("utf16.csv"), text).unwrap();
    let error = read(&source, &table("utf16.csv", None), None).await.unwrap_err().to_string();
    assert!(error.contains("it is in UTF-16; convert it to UTF-8"), "{error}");

    let whole = zstd::encode_all(many_rows().as_bytes(), 1).unwrap();
    fs::write(path("cut.csv.zst"), &whole[..whole.len() / 2]).unwrap();
    let error = read(&source, &table("cut.csv.zst", None), None).await.unwrap_err().to_string();
    assert!(error.contains("check that the file is complete") && !error.contains("header"), "{error}");

    fs::write(path("empty.parquet"), parquet(&[RecordBatch::new_empty(Arc::new(Schema::empty()))])).unwrap();
    fs::write(path("empty.csv"), "").unwrap();
    for name in ["empty.parquet", "empty.csv"] {
        let error = read(&source, &table(name, None), None).await.unwrap_err();
        assert_eq!(error.code(), "source_no_columns");
        assert!(!error.to_string().contains("select"), "{error}");
    }
}
