//! Whether a column can be a primary key: how many rows have no value, and how many values occur more than once.

use std::collections::HashMap;

use tokio::sync::mpsc;
use xxhash_rust::xxh3::xxh3_128;

use super::{
    KeyQuery, Query, Source,
    error::{Error, cause},
};
use crate::domain::row::{CellKind, RowBatch};

/// Most rows that are counted by reading them, of a source without SQL: about 64 MB of hashes.
pub const KEYS_COUNTED_MAX: u64 = 1_000_000;
/// Batches that may wait to be counted.
const BATCHES_WAITING_MAX: usize = 2;

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyCounts {
    /// Rows.
    pub rows: u64,
    /// Rows without a value.
    pub nulls: u64,
    /// Values that more than one row has.
    pub repeated: u64,
    /// Whether all rows were counted; else the first [`KEYS_COUNTED_MAX`].
    pub is_complete: bool,
}

impl Source {
    /// Counts the values of a column of `query`: with one query of the source, or of a source without SQL by reading
    /// rows. No value leaves this function.
    ///
    /// # Errors
    /// Also `source_unknown_column`.
    pub async fn key_counts(&self, query: &Query, column: &str) -> Result<KeyCounts, Error> {
        let columns = self.describe(query).await?;
        let Some(at) = columns.iter().position(|known| known.name == column) else {
            let known: Vec<_> = columns.iter().map(|known| format!("`{}`", known.name)).collect();
            return Err(Error::new(cause::UNKNOWN_COLUMN, format!("the model has no column `{column}`"))
                .with_hint(format!("its columns are {}", known.join(", "))));
        };
        if self.check_sql().is_ok() {
            return self.aggregated(query, column).await;
        }
        let (sender, mut batches) = mpsc::channel::<RowBatch>(BATCHES_WAITING_MAX);
        let read = self.stream(query, sender, &columns, Some(KEYS_COUNTED_MAX + 1));
        let count = async {
            let mut counter = Counter::default();
            while let Some(batch) = batches.recv().await {
                (0..batch.rows()).for_each(|row| counter.add(batch.cell(row, at)));
            }
            counter.counts()
        };
        let (read, counts) = tokio::join!(read, count);
        read.map(|()| counts)
    }

    async fn aggregated(&self, query: &Query, column: &str) -> Result<KeyCounts, Error> {
        let counting = KeyQuery { query: query.clone(), column: column.to_owned() };
        let counting = Query::KeyCounts(Box::new(counting));
        let columns = self.describe(&counting).await?;
        let (sender, mut batches) = mpsc::channel::<RowBatch>(1);
        let read = self.stream(&counting, sender, &columns, Some(1));
        let collect = async {
            let mut counts = None;
            while let Some(batch) = batches.recv().await {
                if batch.rows() > 0 && batch.columns() == 3 {
                    counts =
                        [0, 1, 2].map(|at| count(batch.cell(0, at))).into_iter().collect::<Option<Vec<_>>>();
                }
            }
            counts
        };
        let (read, counts) = tokio::join!(read, collect);
        read?;
        match counts.as_deref() {
            Some(&[rows, nulls, repeated]) => Ok(KeyCounts { rows, nulls, repeated, is_complete: true }),
            _ => Err(Error::new(cause::ANSWER_MALFORMED, "the source did not answer with three counts")),
        }
    }
}

/// A count as sources print it: a whole number of any numeric type, or null for the sum of no row.
fn count((kind, text): (CellKind, &[u8])) -> Option<u64> {
    if kind == CellKind::Null {
        return Some(0);
    }
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    whole.parse().ok().filter(|_| fraction.bytes().all(|digit| digit == b'0'))
}

/// Counts the values of rows that are read.
#[derive(Default)]
struct Counter {
    rows: u64,
    nulls: u64,
    /// By the hash of a value, whether it has occurred more than once.
    seen: HashMap<u128, bool>,
    is_cut: bool,
}

impl Counter {
    fn add(&mut self, (kind, text): (CellKind, &[u8])) {
        if self.rows == KEYS_COUNTED_MAX {
            self.is_cut = true;
            return;
        }
        self.rows += 1;
        match kind {
            // A value that cannot be served is none.
            CellKind::Null | CellKind::Invalid => self.nulls += 1,
            _ => {
                self.seen
                    .entry(xxh3_128(text))
                    .and_modify(|is_repeated| *is_repeated = true)
                    .or_insert(false);
            }
        }
    }

    fn counts(&self) -> KeyCounts {
        let repeated = self.seen.values().filter(|is_repeated| **is_repeated).count() as u64;
        KeyCounts { rows: self.rows, nulls: self.nulls, repeated, is_complete: !self.is_cut }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_as_any_source_prints_them() {
        let number = |text: &'static str| count((CellKind::Number, text.as_bytes()));
        assert_eq!((number("1204"), number("1204.00"), number("0")), (Some(1204), Some(1204), Some(0)));
        assert_eq!((number("1.5"), number("-1"), number("")), (None, None, None));
        assert_eq!(count((CellKind::Null, b"")), Some(0));
    }

    #[test]
    fn rows_are_counted_up_to_the_bound() {
        let mut counter = Counter::default();
        for text in ["a", "b", "a", "a"] {
            counter.add((CellKind::Text, text.as_bytes()));
        }
        counter.add((CellKind::Null, b""));
        let expected = KeyCounts { rows: 5, nulls: 1, repeated: 1, is_complete: true };
        assert_eq!(counter.counts(), expected);
        counter.rows = KEYS_COUNTED_MAX;
        counter.add((CellKind::Text, b"b"));
        assert_eq!(counter.counts(), KeyCounts { rows: KEYS_COUNTED_MAX, is_complete: false, ..expected });
    }
}
