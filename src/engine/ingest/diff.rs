//! Comparing a run's rows with the served records: which are new, changed, gone, or have a duplicate key.
//!
//! Nothing is decided before the stream ends. While it runs, workers on several threads *visit* keys. The
//! second visit of a key makes it a duplicate, whatever the order. A 128-bit hash stands for a key, never
//! its text: 52 bytes per served record, 28 bytes per new one.

use std::sync::atomic::{AtomicU32, Ordering};

use hashbrown::HashTable;

use crate::domain::record::RecordFlags;

/// Where a served record is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) struct Location {
    /// Position in [`crate::domain::manifest::Manifest::segments`].
    pub(in crate::engine) segment: u32,
    /// Row in the segment.
    pub(in crate::engine) row: u32,
}

/// What a visit of a key found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visit {
    /// The key was not visited before in this run.
    First,
    /// The second row of a key: both are duplicates now.
    Duplicate {
        /// Whether the first row had been counted as rejected for another reason.
        first_was_rejected: bool,
    },
    /// The third or a later row of a key.
    LaterDuplicate,
}

const SEEN: u8 = 1;
const DUPLICATE: u8 = 2;
const REJECTED: u8 = 4;
/// The row left the model in an earlier run; `on_delete` keeps or clears the record.
const RETAINED: u8 = 8;
/// A record that a change segment deleted. Dead entries count as seen, so that no walk over the
/// unseen ones meets them.
const DEAD: u8 = 16;
/// A row says that the record is deleted.
const DELETED: u8 = 64;
/// In a run that writes a new base: the row of this record equals the served one.
const SAME: u8 = 32;

fn visit_of(before: u8) -> Visit {
    if before & SEEN == 0 {
        Visit::First
    } else if before & DUPLICATE == 0 {
        Visit::Duplicate { first_was_rejected: before & REJECTED != 0 }
    } else {
        Visit::LaterDuplicate
    }
}

/// A 128-bit number without the padding that its alignment would cost.
type Packed = [u64; 2];

const fn pack(wide: u128) -> Packed {
    [wide as u64, (wide >> 64) as u64]
}

const fn unpack(packed: Packed) -> u128 {
    packed[0] as u128 | (packed[1] as u128) << 64
}

/// A served record, as a table file has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StoredRecord {
    /// The hash of its key.
    pub(super) key: u128,
    pub(super) fingerprint: u128,
    pub(super) location: Location,
    /// Whether its row has left the model.
    pub(super) is_retained: bool,
}

/// 40 bytes, most often in one cache line: key, fingerprint, row, and the segment with the state in
/// its upper eight bits.
struct Served {
    key: Packed,
    fingerprint: Packed,
    row: u32,
    segment_and_state: AtomicU32,
}

/// Position of the state in [`Served::segment_and_state`].
const STATE_SHIFT: u32 = 24;
/// Most segments of a manifest that a table can tell apart.
const SEGMENT_MASK: u32 = (1 << STATE_SHIFT) - 1;

impl Served {
    fn new(key: Packed, fingerprint: Packed, location: Location, state: u8) -> Self {
        let segment_and_state = location.segment & SEGMENT_MASK | u32::from(state) << STATE_SHIFT;
        Self { key, fingerprint, row: location.row, segment_and_state: AtomicU32::new(segment_and_state) }
    }

    fn location(&self) -> Location {
        Location { segment: self.segment_and_state.load(Ordering::Relaxed) & SEGMENT_MASK, row: self.row }
    }

    fn state(&self) -> u8 {
        (self.segment_and_state.load(Ordering::Relaxed) >> STATE_SHIFT) as u8
    }

    /// Adds `marks` and returns the state before.
    fn mark(&self, marks: u8) -> u8 {
        let marks = u32::from(marks) << STATE_SHIFT;
        (self.segment_and_state.fetch_or(marks, Ordering::Relaxed) >> STATE_SHIFT) as u8
    }
}

/// The served records that a run is compared with. All workers of a run share it.
pub(in crate::engine) struct BaseTable {
    index: HashTable<u32>,
    served: Vec<Served>,
    dead: Vec<u32>,
}

impl BaseTable {
    /// A table with room for `rows` records.
    pub(in crate::engine) fn with_capacity(rows: usize) -> Self {
        Self { index: HashTable::with_capacity(rows), served: Vec::with_capacity(rows), dead: Vec::new() }
    }

    /// Adds a put of the base or of a change segment. Call it in the order of the manifest.
    pub(in crate::engine) fn put(
        &mut self,
        key_hash: u128,
        fingerprint: u128,
        flags: RecordFlags,
        location: Location,
    ) {
        let state = if flags.has_left() { RETAINED } else { 0 };
        let record = Served::new(pack(key_hash), pack(fingerprint), location, state);
        if let Some(entry) = self.find(key_hash) {
            self.served[entry as usize] = record;
            return;
        }
        self.insert(record);
    }

    /// Adds a record whose key the table does not have.
    fn insert(&mut self, record: Served) {
        let hash = record.key[0];
        let entry = if let Some(entry) = self.dead.pop() {
            self.served[entry as usize] = record;
            entry
        } else {
            self.served.push(record);
            self.served.len() as u32 - 1
        };
        let served = &self.served;
        self.index.insert_unique(hash, entry, |&other| served[other as usize].key[0]);
    }

    /// Adds a record of [`BaseTable::records`]. The table does not have its key.
    pub(super) fn restore(&mut self, record: &StoredRecord) {
        let state = if record.is_retained { RETAINED } else { 0 };
        self.insert(Served::new(pack(record.key), pack(record.fingerprint), record.location, state));
    }

    /// The served records, as they were before any visit.
    pub(super) fn records(&self) -> impl Iterator<Item = StoredRecord> {
        self.served.iter().filter(|served| served.state() & DEAD == 0).map(|served| StoredRecord {
            key: unpack(served.key),
            fingerprint: unpack(served.fingerprint),
            location: served.location(),
            is_retained: served.state() & RETAINED != 0,
        })
    }

    /// Applies a delete of a change segment.
    pub(in crate::engine) fn delete(&mut self, key_hash: u128) {
        let key = pack(key_hash);
        let served = &self.served;
        if let Ok(found) = self.index.find_entry(key[0], |&entry| served[entry as usize].key == key) {
            let (entry, _) = found.remove();
            self.served[entry as usize].mark(SEEN | DEAD);
            self.dead.push(entry);
        }
    }

    /// Records served.
    pub(super) fn len(&self) -> usize {
        self.served.len() - self.dead.len()
    }

    /// The entry of a key.
    pub(in crate::engine) fn find(&self, key_hash: u128) -> Option<u32> {
        let key = pack(key_hash);
        self.index.find(key[0], |&entry| self.served[entry as usize].key == key).copied()
    }

    /// Marks the key of `entry` as seen. `rejected` tells that its row has no record.
    pub(super) fn visit(&self, entry: u32, rejected: bool) -> Visit {
        // In one atomic step: only the rejection of the first visitor counts.
        let first = u32::from(if rejected { SEEN | REJECTED } else { SEEN }) << STATE_SHIFT;
        let (seen, duplicate) = (u32::from(SEEN) << STATE_SHIFT, u32::from(DUPLICATE) << STATE_SHIFT);
        let state = &self.served[entry as usize].segment_and_state;
        let visit = |now| Some(if now & seen == 0 { now | first } else { now | duplicate });
        let before = state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, visit);
        let before = before.unwrap_or_else(|now| now);
        visit_of((before >> STATE_SHIFT) as u8)
    }

    /// Whether a record with this fingerprint equals the served one of `entry`.
    pub(super) fn is_unchanged(&self, entry: u32, fingerprint: u128) -> bool {
        self.served[entry as usize].fingerprint == pack(fingerprint)
    }

    /// Marks that a row says that the record of `entry` is deleted.
    pub(super) fn mark_deleted(&self, entry: u32) {
        self.served[entry as usize].mark(DELETED);
    }

    /// Marks that a put of `entry` writes the served record again.
    pub(super) fn mark_same(&self, entry: u32) {
        self.served[entry as usize].mark(SAME);
    }

    /// Whether a put of `entry` writes the served record again.
    pub(super) fn is_same(&self, entry: u32) -> bool {
        self.served[entry as usize].state() & SAME != 0
    }

    /// Whether more than one row has this key.
    pub(super) fn is_duplicate(&self, entry: u32) -> bool {
        self.served[entry as usize].state() & DUPLICATE != 0
    }

    /// Where the record of `entry` is stored.
    pub(in crate::engine) fn location(&self, entry: u32) -> Location {
        self.served[entry as usize].location()
    }

    /// The records without a row in this run.
    pub(super) fn unseen(&self) -> impl Iterator<Item = Remaining> {
        self.remaining(|state| state & SEEN == 0)
    }

    /// The records that stay as they are because their row was rejected.
    pub(super) fn kept_on_rejection(&self) -> impl Iterator<Item = Remaining> {
        self.remaining(|state| state & (DUPLICATE | REJECTED) != 0)
    }

    fn remaining(&self, wanted: impl Fn(u8) -> bool) -> impl Iterator<Item = Remaining> {
        (0_u32..).zip(&self.served).filter_map(move |(entry, served)| {
            let state = served.state();
            let is_retained = state & RETAINED != 0;
            let is_deleted = state & DELETED != 0;
            wanted(state).then_some(Remaining { entry, location: served.location(), is_retained, is_deleted })
        })
    }
}

/// A served record that no put of this run replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remaining {
    /// Its entry in the table.
    pub(super) entry: u32,
    /// Where it is stored.
    pub(super) location: Location,
    /// Whether its row left the model before this run.
    pub(super) is_retained: bool,
    /// Whether a row says that it is deleted.
    pub(super) is_deleted: bool,
}

/// The keys of a run that are not served yet. One thread owns it.
#[derive(Default)]
pub(super) struct NewTable {
    index: HashTable<u32>,
    keys: Vec<Packed>,
    states: Vec<u8>,
}

impl NewTable {
    /// Marks a key as seen and returns its number.
    pub(super) fn visit(&mut self, key_hash: u128, rejected: bool) -> (u32, Visit) {
        let key = pack(key_hash);
        let mark = if rejected { SEEN | REJECTED } else { SEEN };
        if let Some(&number) = self.index.find(key[0], |&number| self.keys[number as usize] == key) {
            let state = &mut self.states[number as usize];
            let visit = visit_of(*state);
            *state |= mark | DUPLICATE;
            return (number, visit);
        }
        let number = self.keys.len() as u32;
        self.keys.push(key);
        self.states.push(mark);
        let keys = &self.keys;
        self.index.insert_unique(key[0], number, |&other| keys[other as usize][0]);
        (number, Visit::First)
    }

    /// Whether more than one row has this key.
    pub(super) fn is_duplicate(&self, number: u32) -> bool {
        self.states[number as usize] & DUPLICATE != 0
    }
}

/// The key of a written put: an entry of the base, or a new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Origin(u32);

impl Origin {
    const NEW: u32 = 1 << 31;

    /// Written after the last row: never retracted.
    pub(in crate::engine) const FINAL: Self = Self(u32::MAX);

    /// A change of what is served.
    pub(super) const fn served(entry: u32) -> Self {
        Self(entry)
    }

    /// A record that is not served yet.
    pub(super) const fn new_key(number: u32) -> Self {
        Self(number | Self::NEW)
    }

    /// As a number; [`Origin::from_bits`] is the inverse.
    pub(super) const fn to_bits(self) -> u32 {
        self.0
    }

    /// The origin of [`Origin::to_bits`].
    pub(super) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The base entry, when it is one.
    pub(super) const fn entry(self) -> Option<u32> {
        if self.0 & Self::NEW == 0 { Some(self.0) } else { None }
    }

    /// Whether the key turned out to be a duplicate, so that its put is retracted.
    pub(super) fn is_retracted(self, base: &BaseTable, new: &NewTable) -> bool {
        match self.entry() {
            Some(entry) => base.is_duplicate(entry),
            None if self == Self::FINAL => false,
            None => new.is_duplicate(self.0 & !Self::NEW),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn at(row: u32) -> Location {
        Location { segment: 0, row }
    }

    proptest! {
        /// For any history of the base and any order of rows.
        #[test]
        fn tables_agree_with_a_reference_model_of_sets(
            history in prop::collection::vec((0_u128..40, any::<bool>(), 0_u128..3), 0..80),
            rows in prop::collection::vec((0_u128..60, 0_u128..3, prop::bool::weighted(0.2)), 0..80),
        ) {
            let mut base = BaseTable::with_capacity(0);
            let mut served = BTreeMap::new();
            for (row, &(key, put, fingerprint)) in history.iter().enumerate() {
                if put {
                    let flags = if row % 3 == 0 { RecordFlags::LEFT } else { RecordFlags::default() };
                    base.put(key, fingerprint, flags, at(row as u32));
                    served.insert(key, (fingerprint, row as u32));
                } else {
                    base.delete(key);
                    served.remove(&key);
                }
            }
            prop_assert_eq!(base.len(), served.len());

            let mut new = NewTable::default();
            let mut puts = Vec::new();
            let mut rejected = 0;
            for &(key, fingerprint, reject) in &rows {
                let (origin, visit) = if let Some(entry) = base.find(key) {
                    (Origin::served(entry), base.visit(entry, reject))
                } else {
                    let (number, visit) = new.visit(key, reject);
                    (Origin::new_key(number), visit)
                };
                rejected += match visit {
                    Visit::First => u64::from(reject),
                    Visit::Duplicate { first_was_rejected } => 2 - u64::from(first_was_rejected),
                    Visit::LaterDuplicate => 1,
                };
                let unchanged = origin.entry().is_some_and(|entry| base.is_unchanged(entry, fingerprint));
                if visit == Visit::First && !reject && !unchanged {
                    puts.push((origin, key));
                }
            }

            let mut count = BTreeMap::<u128, usize>::new();
            for &(key, ..) in &rows {
                *count.entry(key).or_default() += 1;
            }
            let good: BTreeMap<u128, u128> =
                rows.iter().filter(|row| count[&row.0] == 1 && !row.2).map(|row| (row.0, row.1)).collect();
            prop_assert_eq!(rejected as usize, rows.len() - good.len());
            let kept: BTreeSet<u128> =
                puts.iter().filter(|(origin, _)| !origin.is_retracted(&base, &new)).map(|put| put.1).collect();
            let expected: BTreeSet<u128> = good
                .iter()
                .filter(|&(key, print)| served.get(key).is_none_or(|record| record.0 != *print))
                .map(|(&key, _)| key)
                .collect();
            prop_assert_eq!(kept, expected);
            let unseen: BTreeSet<u32> = base.unseen().map(|record| record.location.row).collect();
            let gone: BTreeSet<u32> =
                served.iter().filter(|(key, _)| !count.contains_key(key)).map(|(_, record)| record.1).collect();
            prop_assert_eq!(unseen, gone);
            let kept_on_rejection: BTreeSet<u32> = base.kept_on_rejection().map(|record| record.location.row).collect();
            let stay: BTreeSet<u32> = served
                .iter()
                .filter(|(key, _)| count.contains_key(key) && !good.contains_key(key))
                .map(|(_, record)| record.1)
                .collect();
            prop_assert_eq!(kept_on_rejection, stay);
        }
    }
}
