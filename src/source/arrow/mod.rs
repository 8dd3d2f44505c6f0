//! Rows from Arrow's record batches: one decoder for every source that gives them.

mod field;
mod nested;
mod reader;
mod span;
#[cfg(test)]
mod tests;

use arrow_array::{Array as _, RecordBatch};
use arrow_schema::Schema;

use self::reader::{Reader, State};
use super::{
    cell::{self, ROW_BYTES_MAX},
    error::{Error, malformed},
};
use crate::domain::{
    reject::RejectReason,
    row::{CellKind, Column, RowBatch},
};

/// The columns of a schema, as rows of it have them.
pub(super) fn columns(schema: &Schema) -> Vec<Column> {
    schema.fields().iter().map(|field| field::column(field)).collect()
}

/// Decodes the rows of record batches.
#[derive(Debug, Default)]
pub struct ArrowDecoder {
    readers: Vec<Reader>,
    state: State,
}

impl ArrowDecoder {
    /// A decoder of what no driver gives: every timestamp is a moment, none an infinity of DuckDB.
    pub(super) fn of_finite_times() -> Self {
        Self { readers: Vec::new(), state: State { is_finite: true, ..State::default() } }
    }

    /// Begins with a batch and returns its number of rows.
    ///
    /// # Errors
    /// A column has a type that is not known, or is damaged.
    pub fn begin(&mut self, batch: &RecordBatch) -> Result<usize, Error> {
        let fields = batch.schema_ref().fields().iter();
        let readers = fields.zip(batch.columns()).map(|(field, array)| {
            debug_assert_eq!(array.len(), batch.num_rows());
            Reader::of_column(field, array)
        });
        self.readers = readers.collect::<Result<_, _>>().map_err(malformed)?;
        Ok(batch.num_rows())
    }

    /// Appends `row` of the batch, which is one of its rows.
    pub fn read_row(&mut self, row: usize, rows: &mut RowBatch) {
        let row_from = rows.bytes();
        for reader in &self.readers {
            let has_room = rows.bytes() - row_from <= ROW_BYTES_MAX;
            rows.push_with(|out| {
                if has_room {
                    reader.read(row, &mut self.state, out)
                } else if reader.is_null(row) {
                    CellKind::Null
                } else {
                    cell::invalid(RejectReason::RecordTooLarge, out)
                }
            });
        }
        for _ in 0..std::mem::take(&mut self.state.nulled) {
            rows.count_nulled();
        }
    }
}
