//! Locations of records, 8 bytes each: a segment and a row of it; and the segments that they refer to.

use std::sync::Arc;

use crate::segment::{Segment, Values};

/// A row of a segment. The order of locations is the order in which rows were applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Location(u64);

/// Most segments that a collection takes since it was built, dropped ones included: the top bit of a location
/// stays free.
pub(super) const SEGMENTS_MAX: usize = 1 << 31;

impl Location {
    pub(super) fn new(segment: usize, row: u32) -> Self {
        debug_assert!(segment < SEGMENTS_MAX);
        Self((segment as u64) << 32 | u64::from(row))
    }

    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    pub(super) const fn segment(self) -> usize {
        (self.0 >> 32) as usize
    }

    pub(super) const fn row(self) -> u32 {
        self.0 as u32
    }
}

/// The segments of a collection by number. A number is never used again; a segment without live records is
/// dropped and leaves a gap.
#[derive(Debug, Clone, Default)]
pub(super) struct Segments(Vec<Option<Arc<Segment>>>);

impl Segments {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, segment: Arc<Segment>) {
        self.0.push(Some(segment));
    }

    /// Drops a segment and returns whether it was present.
    pub(super) fn drop(&mut self, number: usize) -> bool {
        self.0[number].take().is_some()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Segment>> {
        self.0.iter().flatten()
    }

    pub(super) fn get(&self, number: usize) -> Option<&Segment> {
        self.0.get(number)?.as_deref()
    }

    /// The key of a record; `None` when its segment is not among these.
    pub(super) fn key(&self, at: Location) -> Option<&str> {
        Some(self.get(at.segment())?.key(at.row()))
    }

    /// The values of a record in `column`: 0 is the key, the others are the secondary indexes.
    pub(super) fn values(&self, column: usize, at: Location) -> Option<ColumnValues<'_>> {
        let segment = self.get(at.segment())?;
        Some(values(segment, column, at.row()))
    }
}

/// The values of one row in `column`: 0 is the key, the others are the secondary indexes.
pub(super) fn values(segment: &Segment, column: usize, row: u32) -> ColumnValues<'_> {
    if column == 0 {
        ColumnValues::Key(Some(segment.key(row)))
    } else {
        ColumnValues::Secondary(segment.values(row, column))
    }
}

/// See [`values`].
pub(super) enum ColumnValues<'a> {
    Key(Option<&'a str>),
    Secondary(Values<'a>),
}

impl<'a> Iterator for ColumnValues<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        match self {
            Self::Key(key) => key.take(),
            Self::Secondary(values) => values.next(),
        }
    }
}
