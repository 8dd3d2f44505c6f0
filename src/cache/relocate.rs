//! Exchanging the segments of a collection whose records stay the same, one segment at a time.
//!
//! Compaction writes the same records into new segments. Building the collection again would hold all of them twice.
//! Here each record moves to the next new segment, and an old segment is dropped when its last record has moved: the
//! new segments have the order of the old ones, so there is about one segment more in memory than before. Nothing that
//! a reader sees changes: a record moves only if its fingerprint, and so key, body and index values, are the same.

use std::sync::{Arc, PoisonError, atomic::Ordering};

use super::{
    Collection, Error,
    collection::{check_references, check_segments},
    index::Located,
    location::Segments,
};
use crate::{domain::manifest::Manifest, segment::Segment};

/// A relocation under way. It holds the number of the first new segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relocation(usize);

impl Collection {
    /// Begins to move all records to other segments. Other changes must wait until the relocation has ended; it may
    /// also be given up at any moment.
    pub fn begin_relocation(&self) -> Relocation {
        Relocation(self.segments.load().len())
    }

    /// Moves the records of `segment`, which is number `number` of `manifest`, to it.
    ///
    /// # Errors
    /// [`Error::OtherContent`] when one of them is not served exactly as it is there. Nothing has changed then.
    pub fn relocate(&self, manifest: &Manifest, number: usize, segment: Arc<Segment>) -> Result<(), Error> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_successor(manifest)?;
        let moved = [segment];
        check_segments(manifest, &moved)?;
        let reference = manifest.segments.get(number).ok_or(Error::OtherSegments("their number"))?;
        check_references(&[reference], &moved)?;
        let [segment] = moved;
        if !self.serves_rows_of(&segment) {
            return Err(Error::OtherContent);
        }
        self.apply_segments(vec![segment], &mut live)
    }

    /// Whether every row of `segment` is served exactly as it is there.
    fn serves_rows_of(&self, segment: &Segment) -> bool {
        let served: Arc<Segments> = self.segments.load_full();
        (0..segment.rows()).all(|row| match self.indexes[0].locate(&served, segment.key(row)) {
            Located::At(at) => {
                let is_same = |old: &Segment| old.fingerprint(at.row()) == segment.fingerprint(row);
                !segment.is_delete(row) && served.get(at.segment()).is_some_and(is_same)
            }
            // The only writer has all segments.
            Located::Nowhere | Located::Stale => false,
        })
    }

    /// Serves `manifest`, all of whose segments were relocated.
    ///
    /// # Errors
    /// [`Error::OtherContent`] when a record is still in an old segment: the collection must be built again.
    pub fn finish_relocation(&self, relocation: Relocation, manifest: Arc<Manifest>) -> Result<(), Error> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let moved: u64 = live.iter().skip(relocation.0).sum();
        let records = self.records.load(Ordering::Relaxed);
        if moved != records || records != manifest.records {
            return Err(Error::OtherContent);
        }
        self.serve(manifest)
    }
}
