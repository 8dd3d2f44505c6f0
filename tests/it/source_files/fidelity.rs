//! Files that DuckDB and PyArrow wrote, cell by cell.

use std::{fs, path::Path, process::Command};

use larder::{domain::row::CellKind, source::Query};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    source_adbc::duckdb,
    support::{
        process::larder,
        service::installed,
        source::{Cell, open, read_query},
    },
};

/// Rows of the large files.
const ROWS: usize = 200_000;

/// Writes the files, `rows` rows in each large one.
fn write(rows: usize) -> TempDir {
    let directory = TempDir::new().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/source_files/write.py");
    let done = Command::new(installed("lake/bin/python"))
        .arg(script)
        .arg(directory.path())
        .arg(rows.to_string())
        .output()
        .expect("Python runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    directory
}

/// The texts of every row, as the writer has them.
fn expected(directory: &Path, name: &str) -> Vec<Vec<Option<String>>> {
    let text = fs::read_to_string(directory.join(format!("{name}.expected"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn rows(directory: &Path, name: &str, columns: Option<&[&str]>) -> Vec<Vec<Cell>> {
    let section = format!("type = \"files\"\npath = {directory:?}\ncsv = {{ null = \"\\\\N\" }}\n");
    let columns = columns.map(|names| names.iter().map(ToString::to_string).collect());
    let query = Query::Table { name: name.to_owned(), columns };
    read_query(&open(&section), &query, None).await.unwrap_or_else(|error| panic!("{name}: {error}")).rows()
}

/// Whether a cell has the text that DuckDB prints, whose floats have `.0` and whose fractions have zeros.
fn is_same((kind, text): &Cell, expected: Option<&String>) -> bool {
    let Some(expected) = expected else { return *kind == CellKind::Null };
    let is_float = || {
        let (read, printed) = (text.parse::<f64>(), expected.parse::<f64>());
        read.is_ok() && read.map(f64::to_bits) == printed.map(f64::to_bits)
    };
    let is_moment = || {
        expected.contains('T')
            && text.as_str() == expected.trim_end_matches('0').trim_end_matches('.').replace(' ', "T")
    };
    text == expected || (*kind == CellKind::Number && is_float()) || is_moment()
}

#[tokio::test]
async fn two_hundred_thousand_rows_are_what_duckdb_prints() {
    let directory = write(ROWS);
    let directory = directory.path();
    let expected = expected(directory, "duckdb");
    let found = rows(directory, "duckdb.parquet", None).await;
    assert_eq!((found.len(), expected.len()), (ROWS, ROWS));
    for (row, expected) in found.iter().zip(&expected) {
        for (at, (cell, expected)) in row.iter().zip(expected).enumerate() {
            // Exact numbers come as they are printed.
            let is_exact = at == 0 || at == 1;
            assert!(is_same(cell, expected.as_ref()), "column {at}: {cell:?}, not {expected:?}");
            assert!(!is_exact || Some(&cell.1) == expected.as_ref(), "column {at}: {cell:?}");
        }
    }
    let names = ["id", "amount", "ratio", "seen", "day", "name", "flag"];
    let text = rows(directory, "duckdb.csv.gz", None).await;
    let lines = rows(directory, "duckdb.jsonl.zst", Some(&names)).await;
    assert_eq!((text.len(), lines.len()), (ROWS, ROWS));
    for ((text, lines), expected) in text.iter().zip(&lines).zip(&expected) {
        for (at, expected) in expected.iter().take(names.len()).enumerate() {
            let moment = |cell: &Cell| (cell.0, cell.1.replace(' ', "T"));
            let (text, line) = if at == 3 {
                (moment(&text[at]), moment(&lines[at]))
            } else {
                (text[at].clone(), lines[at].clone())
            };
            assert!(is_same(&line, expected.as_ref()), "{}: {line:?}, not {expected:?}", names[at]);
            let is_number =
                at == 2 && text.1.parse::<f64>().ok() == expected.as_ref().and_then(|text| text.parse().ok());
            assert!(
                is_number || is_same(&text, expected.as_ref()),
                "{}: {text:?}, not {expected:?}",
                names[at]
            );
        }
    }
}

/// The same rows by the source type `duckdb`, whose driver needs the real binary.
#[test]
fn two_hundred_thousand_rows_of_the_driver_are_what_duckdb_prints() {
    let directory = write(ROWS);
    let directory = directory.path();
    let config = format!(
        "[storage]\nurl = \"file:./store\"\n[sources.duck]\ntype = \"duckdb\"\ndriver = {:?}\n",
        duckdb()
    );
    fs::write(directory.join("larder.toml"), config).unwrap();
    let file = directory.join("duckdb.parquet");
    // A query prints half as many at most.
    let printed: String = [0, ROWS / 2]
        .map(|from| {
            let sql =
                format!("select * from '{}' order by id limit {} offset {from}", file.display(), ROWS / 2);
            larder(directory, &["source", "query", "duck", &sql, "--limit", "100000"]).expect(0).stdout
        })
        .concat();
    let expected = expected(directory, "duckdb");
    assert_eq!(printed.lines().count(), expected.len());
    for (line, expected) in printed.lines().zip(&expected) {
        let record: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
        assert_eq!(record.len(), expected.len());
        for ((name, value), expected) in record.iter().zip(expected) {
            let cell = match value {
                Value::Null => (CellKind::Null, String::new()),
                Value::String(text) => (CellKind::Text, text.clone()),
                Value::Number(number) => (CellKind::Number, number.to_string()),
                other => (CellKind::Json, other.to_string()),
            };
            assert!(is_same(&cell, expected.as_ref()), "{name}: {cell:?}, not {expected:?}");
        }
    }
}

#[tokio::test]
async fn every_type_of_pyarrow_keeps_its_value() {
    let directory = write(1);
    let directory = directory.path();
    let expected = expected(directory, "pyarrow");
    for name in [
        "pyarrow.parquet",
        "pyarrow-v2.parquet",
        "pyarrow-lz4.arrow",
        "pyarrow-lz4.arrows",
        "pyarrow-zstd.arrow",
        "pyarrow-zstd.arrows",
        "pyarrow-plain.arrow",
        "pyarrow-plain.arrows",
    ] {
        let rows = rows(directory, name, None).await;
        for (row, expected) in rows.iter().zip(&expected) {
            for (at, ((kind, text), expected)) in row.iter().zip(expected).enumerate() {
                match expected {
                    None => assert_eq!(*kind, CellKind::Null, "{name} c{at}"),
                    Some(expected) => assert_eq!(text, expected, "{name} c{at}"),
                }
            }
        }
        assert_eq!(rows.len(), 2, "{name}");
    }
    let old = rows(directory, "int96.parquet", None).await;
    assert_eq!(old[0][0], (CellKind::Text, "9999-12-31T23:59:59.999999".to_owned()));
    assert_eq!(old[1][0].0, CellKind::Null);
    let nested = rows(directory, "nested96.parquet", None).await;
    assert_eq!(nested[0][0].1, "{\"t\":\"9999-12-31T23:59:59.999999\"}");
    assert_eq!(nested[0][1].1, "[\"0001-01-01T00:00:00\",null]");
}
