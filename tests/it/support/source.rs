//! Reading a source to its end.

use std::path::Path;

use larder::{
    config::{self, Environment, Overrides},
    domain::row::{CellKind, Column, RowBatch},
    source::{Error, Query, Source},
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
