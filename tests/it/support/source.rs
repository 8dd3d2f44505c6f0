//! Reading a source to its end.

use std::path::Path;

use larder::{
    config::{self, Environment, Overrides},
    domain::{
        cursor::{CursorValue, Overlap},
        row::{CellKind, Column, RowBatch},
    },
    source::{self, Error, Increment, Query, Source},
};
use tokio::sync::mpsc;

/// A cell for comparisons: its kind and its text.
pub(crate) type Cell = (CellKind, String);

/// A source with the keys `section` and generous bounds.
pub(crate) fn open(section: &str) -> Source {
    open_within(section, "30s", "30s")
}

/// A source with the keys `section`.
pub(crate) fn open_within(section: &str, statement_timeout: &str, connect_timeout: &str) -> Source {
    let text = format!(
        "[sources.warehouse]\nstatement_timeout = {statement_timeout:?}\nconnect_timeout = {connect_timeout:?}\n{section}"
    );
    let config =
        config::load_text(&text, Path::new("larder.toml"), &Environment::default(), &Overrides::default());
    config.unwrap_or_else(|faults| panic!("{faults}")).sources["warehouse"].clone()
}

/// Reads all rows of `sql`.
pub(crate) async fn read(source: &Source, sql: &str) -> Result<Table, Error> {
    read_query(source, &Query::Sql(sql.into()), None).await
}

/// Reads all rows of `query`, at most `limit`.
pub(crate) async fn read_query(source: &Source, query: &Query, limit: Option<u64>) -> Result<Table, Error> {
    let columns = source.describe(query).await?;
    let (sender, mut receiver) = mpsc::channel(2);
    let receive = async {
        let mut batches = Vec::new();
        while let Some(batch) = receiver.recv().await {
            batches.push(batch);
        }
        batches
    };
    let (result, batches) = tokio::join!(source.stream(query, sender, &columns, limit), receive);
    result?;
    Ok(Table { columns, batches })
}

/// The result of a query.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
    pub(crate) batches: Vec<RowBatch>,
}

impl Table {
    pub(crate) fn nulled(&self) -> u64 {
        self.batches.iter().map(RowBatch::nulled).sum()
    }

    pub(crate) fn rows(&self) -> Vec<Vec<Cell>> {
        let row = |batch: &RowBatch, row| {
            let cell = |column| {
                let (kind, text) = batch.cell(row, column);
                (kind, String::from_utf8(text.to_vec()).unwrap())
            };
            (0..self.columns.len()).map(cell).collect()
        };
        self.batches.iter().flat_map(|batch| (0..batch.rows()).map(move |at| row(batch, at))).collect()
    }
}

/// Reads the rows of `sql` from each value of `column` on, and compares them with those of a whole read. `overlap` is one
/// of nothing, of the column's kind.
pub(crate) async fn check_increments(source: &Source, sql: &str, column: &str, overlap: Overlap) {
    let query = Query::Sql(sql.into());
    let whole = read_query(source, &query, None).await.unwrap();
    let columns: Vec<String> = whole.columns.iter().map(|column| column.name.clone()).collect();
    let at = columns.iter().position(|name| name == column).unwrap();
    let value = |row: &Vec<Cell>| CursorValue::of(row[at].0, row[at].1.as_bytes()).unwrap();
    let mut rows = whole.rows();
    rows.sort_by(|one, other| one[0].1.cmp(&other[0].1));
    assert!(rows.len() > 2 && rows.iter().any(|row| value(row).is_none()), "a poor test: {rows:?}");
    for from in rows.iter().filter_map(value) {
        let from = from.minus(overlap).unwrap();
        let is_read = |row: &&Vec<Cell>| value(row).is_some_and(|value| !from.exceeds(&value).unwrap());
        let expected: Vec<_> = rows.iter().filter(is_read).cloned().collect();
        let increment = Increment {
            query: query.clone(),
            columns: columns.clone(),
            column: Some(column.to_owned()),
            is_text: source::is_text(&whole.columns[at]),
            from: from.clone(),
        };
        let read = read_query(source, &Query::Increment(Box::new(increment)), None).await.unwrap();
        assert_eq!(read.columns, whole.columns);
        let mut read = read.rows();
        read.sort_by(|one, other| one[0].1.cmp(&other[0].1));
        assert_eq!(read, expected, "{column} from {from:?}");
    }
}
