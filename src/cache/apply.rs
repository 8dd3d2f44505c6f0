//! Applying change segments in place, while readers read.
//!
//! The order per record: its new location under every index value that it has now, then the primary entry, then
//! removal from the values that it no longer has. A record is therefore found at every moment under each value
//! that it has both before and after. A reader finds one row of one segment, so a record is always whole.

use super::{
    index::{Change, Index, Located},
    location::{Location, Segments, values},
    table::{Place, Table},
};
use crate::segment::Segment;

/// Rows of a segment that are sorted by shard at once.
const BATCH_ROWS: u32 = 65_536;
/// Most changes that are gathered before they are written. It bounds their memory (8 MB): one record may have a
/// thousand values.
const CHANGES_MAX: usize = 200_000;

/// Applies segments to the indexes.
pub(super) struct Application<'a> {
    indexes: &'a [Index],
    segments: &'a Segments,
    pending: Pending,
    /// Change of the number of records.
    pub(super) records: i64,
    /// Change of the number of live rows of each segment.
    pub(super) live: Vec<i64>,
}

#[derive(Default)]
struct Pending {
    /// By secondary index.
    coming: Vec<Vec<Change>>,
    primary: Vec<Change>,
    /// By secondary index.
    going: Vec<Vec<Change>>,
    count: usize,
}

impl<'a> Application<'a> {
    /// `segments` already has the change segments, so that readers can resolve new locations.
    pub(super) fn new(indexes: &'a [Index], segments: &'a Segments) -> Self {
        let lists = || indexes[1..].iter().map(|_| Vec::new()).collect();
        let pending = Pending { coming: lists(), going: lists(), ..Pending::default() };
        Self { indexes, segments, pending, records: 0, live: vec![0; segments.len()] }
    }

    /// Applies segment `number`.
    pub(super) fn apply(&mut self, number: usize) {
        let Some(segment) = self.segments.get(number) else { return };
        let mut start = 0;
        while start < segment.rows() {
            let end = start.saturating_add(BATCH_ROWS).min(segment.rows());
            for (place, row) in self.last_rows(segment, start, end) {
                self.gather(number, segment, place, row);
                if self.pending.count >= CHANGES_MAX {
                    self.flush();
                }
            }
            self.flush();
            start = end;
        }
    }

    /// The rows from `start` to `end`, ordered by the shard of their key; of rows with one key only the last.
    /// Larder writes no such rows, but a file may come from elsewhere.
    fn last_rows(&self, segment: &Segment, start: u32, end: u32) -> Vec<(Place, u32)> {
        let mut rows: Vec<_> =
            (start..end).map(|row| (self.indexes[0].place(segment.key(row)), row)).collect();
        rows.sort_unstable_by(|a, b| {
            let by_key = || segment.key(a.1).cmp(segment.key(b.1)).then(b.1.cmp(&a.1));
            Table::order(a.0).cmp(&Table::order(b.0)).then_with(by_key)
        });
        rows.dedup_by(|next, kept| next.0 == kept.0 && segment.key(next.1) == segment.key(kept.1));
        rows
    }

    /// Gathers all changes of one row.
    fn gather(&mut self, number: usize, segment: &Segment, place: Place, row: u32) {
        let old = match self.indexes[0].locate(self.segments, segment.key(row)) {
            Located::At(at) => Some(at),
            // The only writer has all segments, and no set is removed while it does not write.
            Located::Nowhere | Located::Stale => None,
        };
        let new = (!segment.is_delete(row)).then(|| Location::new(number, row));
        if old.is_none() && new.is_none() {
            return;
        }
        self.records += i64::from(new.is_some()) - i64::from(old.is_some());
        for (at, sign) in [(old, -1), (new, 1)] {
            if let Some(at) = at {
                self.live[at.segment()] += sign;
            }
        }
        self.pending.primary.push(Change { place, old, new });
        self.pending.count += 1;
        for (number, index) in self.indexes[1..].iter().enumerate() {
            let (before, after) = (self.places(index, old), self.places(index, new));
            for &place in &after {
                let old = old.filter(|_| before.binary_search(&place).is_ok());
                self.pending.coming[number].push(Change { place, old, new });
            }
            for &place in before.iter().filter(|place| after.binary_search(place).is_err()) {
                self.pending.going[number].push(Change { place, old, new: None });
            }
            self.pending.count += after.len() + before.len();
        }
    }

    /// The places of a record under `index`, ordered, each once.
    fn places(&self, index: &Index, at: Option<Location>) -> Vec<Place> {
        let at = at.filter(|_| index.is_looked_up());
        let Some((segment, row)) = at.and_then(|at| Some((self.segments.get(at.segment())?, at.row())))
        else {
            return Vec::new();
        };
        let mut places: Vec<_> =
            values(segment, index.column(), row).map(|value| index.place(value)).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Writes the gathered changes, in the order that readers need.
    fn flush(&mut self) {
        for (index, changes) in self.indexes[1..].iter().zip(&mut self.pending.coming) {
            index.change(self.segments, changes);
        }
        self.indexes[0].change(self.segments, &mut self.pending.primary);
        for (index, changes) in self.indexes[1..].iter().zip(&mut self.pending.going) {
            index.change(self.segments, changes);
        }
        self.pending.count = 0;
    }
}
