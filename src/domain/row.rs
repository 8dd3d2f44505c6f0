//! Rows on their way from a source to a mapping: many rows in one buffer, no allocation per cell.
//!
//! A cell holds its kind and its *plain text*: numbers and booleans as JSON writes them, text
//! unescaped, JSON compact and already checked (see [`crate::domain::json`]).

use super::limits::{BATCH_BYTES, BATCH_ROWS};

/// What a cell holds, which decides how it stands in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::FromRepr)]
#[repr(u8)]
pub enum CellKind {
    /// SQL null; no text.
    Null,
    /// `true` or `false`.
    Boolean,
    /// An integer in canonical form: digits with an optional leading `-`.
    Integer,
    /// A decimal number as JSON writes it; only floats below 1e-7 and from 1e21 have an exponent.
    Number,
    /// Text, dates, times, uuids, base64: written as a JSON string.
    Text,
    /// One JSON value: compact, checked, at most [`super::limits::DEPTH_MAX`] levels deep.
    Json,
    /// A value that cannot be served; the text is the [`super::reject::RejectReason`] code. The
    /// row is rejected when a mapping uses the column.
    Invalid,
}

/// The type class of a model's column: decides the canonical text of values asked for.
#[derive(utoipa::ToSchema, Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnKind {
    /// Booleans.
    Boolean,
    /// Whole numbers of any size.
    Integer,
    /// Numerics and floats.
    Number,
    /// Text and all that is served as text, uuids excepted.
    Text,
    /// UUIDs: compared in lower case.
    Uuid,
    /// JSON, and every type read as JSON: arrays, composites, ranges.
    Json,
    /// Decided cell by cell (SQLite columns without a declared type).
    Any,
}

/// One column of a model, in the order of the query.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Column {
    /// The name as the source gives it.
    pub name: String,
    /// Its type class.
    pub kind: ColumnKind,
    /// The source's own name of the type, for messages: `int8`, `numeric`, `JSON`.
    #[serde(rename = "type")]
    pub type_name: String,
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    end: u32,
    kind: CellKind,
}

/// Rows of one query, packed. Cells of a row stand side by side, rows one after the other.
#[derive(Debug, Clone)]
pub struct RowBatch {
    columns: usize,
    bytes: Vec<u8>,
    cells: Vec<Cell>,
    nulled: u64,
}

impl RowBatch {
    /// An empty batch for rows of `columns` cells (at least one).
    pub fn new(columns: usize) -> Self {
        Self { columns: columns.max(1), bytes: Vec::new(), cells: Vec::new(), nulled: 0 }
    }

    /// Appends a cell whose text `write` appends to the buffer it is given.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>) -> CellKind) {
        let kind = write(&mut self.bytes);
        let end = u32::try_from(self.bytes.len()).expect("a batch is closed long before 4 GiB");
        self.cells.push(Cell { end, kind });
    }

    /// Appends a cell with `text`.
    pub fn push(&mut self, kind: CellKind, text: &[u8]) {
        self.push_with(|bytes| {
            bytes.extend_from_slice(text);
            kind
        });
    }

    /// Empties the batch, which keeps its memory for other rows.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.cells.clear();
        self.nulled = 0;
    }

    /// Counts a value that the source could not express and turned into null (NaN, infinity).
    pub fn count_nulled(&mut self) {
        self.nulled += 1;
    }

    /// Values turned into null so far.
    pub fn nulled(&self) -> u64 {
        self.nulled
    }

    /// Cells of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Complete rows.
    pub fn rows(&self) -> usize {
        self.cells.len() / self.columns
    }

    /// Bytes of text held; sources close a batch at [`super::limits::BATCH_BYTES`].
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it should be passed on before another row is added.
    pub fn is_full(&self) -> bool {
        self.bytes() >= BATCH_BYTES || self.rows() >= BATCH_ROWS
    }

    /// The cell of `row` in `column`; both counted from 0, both in range.
    pub fn cell(&self, row: usize, column: usize) -> (CellKind, &[u8]) {
        debug_assert!(column < self.columns);
        let at = row * self.columns + column;
        let cell = self.cells[at];
        let start = if at == 0 { 0 } else { self.cells[at - 1].end };
        (cell.kind, &self.bytes[start as usize..cell.end as usize])
    }

    /// The text of all cells.
    pub fn text(&self) -> &[u8] {
        &self.bytes
    }

    /// What another process of the same build needs behind the text: the end and kind of each cell, then columns, cells
    /// and nulled values as numbers.
    pub fn places(&self) -> Vec<u8> {
        let mut places = vec![0; CELL_BYTES * self.cells.len()];
        for (place, cell) in places.as_chunks_mut().0.iter_mut().zip(&self.cells) {
            let [a, b, c, d] = cell.end.to_le_bytes();
            *place = [a, b, c, d, cell.kind as u8];
        }
        for number in [self.columns as u64, self.cells.len() as u64, self.nulled] {
            places.extend_from_slice(&number.to_le_bytes());
        }
        places
    }

    /// The batch of [`RowBatch::text`] and [`RowBatch::places`], in one; `None` when it is none, or holds text that is not
    /// UTF-8. The text stays where it is: it is not copied.
    pub fn from_bytes(mut bytes: Vec<u8>) -> Option<Self> {
        let (rest, numbers) = bytes.split_last_chunk::<NUMBERS_BYTES>()?;
        let mut numbers = numbers.as_chunks().0.iter().map(|number| u64::from_le_bytes(*number));
        let mut count = || usize::try_from(numbers.next()?).ok();
        let (columns, count) = (count()?, count()?);
        let nulled = numbers.next()?;
        let text_bytes = rest.len().checked_sub(count.checked_mul(CELL_BYTES)?)?;
        let (text, places) = rest.split_at(text_bytes);
        let text = std::str::from_utf8(text).ok()?;
        let mut cells = Vec::with_capacity(count);
        let mut start = 0;
        for &[a, b, c, d, kind] in places.as_chunks::<CELL_BYTES>().0 {
            let end = u32::from_le_bytes([a, b, c, d]);
            if end < start || !text.is_char_boundary(end as usize) {
                return None;
            }
            cells.push(Cell { end, kind: CellKind::from_repr(kind)? });
            start = end;
        }
        if columns == 0 || !count.is_multiple_of(columns) || start as usize != text_bytes {
            return None;
        }
        bytes.truncate(text_bytes);
        Some(Self { columns, bytes, cells, nulled })
    }
}

/// Bytes of the numbers at the end of a batch in bytes.
const NUMBERS_BYTES: usize = 24;
/// Bytes of a cell's end and kind.
const CELL_BYTES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_come_back_as_pushed() {
        let mut batch = RowBatch::new(2);
        batch.push(CellKind::Integer, b"1");
        batch.push(CellKind::Null, b"");
        batch.push(CellKind::Text, b"a");
        batch.push(CellKind::Boolean, b"true");
        assert_eq!(batch.rows(), 2);
        assert_eq!(batch.cell(0, 0), (CellKind::Integer, &b"1"[..]));
        assert_eq!(batch.cell(0, 1), (CellKind::Null, &b""[..]));
        assert_eq!(batch.cell(1, 0), (CellKind::Text, &b"a"[..]));
        assert_eq!(batch.cell(1, 1), (CellKind::Boolean, &b"true"[..]));
    }
}
