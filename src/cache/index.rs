//! One index: from a value to the location of the record that holds it.

use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{
    build::Dead,
    location::{Location, Segments},
    overflow::{Few, OverflowSet},
    table::{Hashed, Place, Scratch, Table},
};

/// Stands in a table where an overflow set holds the locations: the bit that no location has.
const OVERFLOW: u64 = 1 << 63;

/// How values are hashed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hashing {
    /// Random per process, so that nobody outside can choose values that collide.
    pub(super) seed: u64,
    /// The bits that are kept: all, but in tests that force collisions.
    pub(super) mask: u64,
}

/// One index of a collection. Written by one thread at a time, read by any.
#[derive(Debug)]
pub(super) struct Index {
    /// Its column in the segments: 0 is the key.
    column: usize,
    hashing: Hashing,
    table: Table,
    /// By place. A set is here before the table says so, and until after the table says otherwise.
    sets: DashMap<Place, OverflowSet, Hashed>,
    conflicts: AtomicU64,
}

/// What a look-up finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Located {
    /// The record lies here.
    At(Location),
    /// No record holds the value.
    Nowhere,
    /// The index speaks of a segment that the caller does not have yet, or of a set that has
    /// just gone: take the segments again and ask again.
    Stale,
}

/// One record's coming to a place, moving at it, or leaving it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    pub(super) place: Place,
    /// Where the record lay under this place, if it stood there.
    pub(super) old: Option<Location>,
    /// Where it lies now, if it stays or comes.
    pub(super) new: Option<Location>,
}

impl Index {
    pub(super) fn new(column: usize, hashing: Hashing, entries: usize) -> Self {
        let sets = DashMap::with_hasher_and_shard_amount(Hashed::default(), 16);
        Self { column, hashing, table: Table::new(entries), sets, conflicts: AtomicU64::new(0) }
    }

    /// The place of a value.
    pub(super) fn place(&self, value: &str) -> Place {
        self.table.place(xxh3_64_with_seed(value.as_bytes(), self.hashing.seed) & self.hashing.mask)
    }

    /// Finds the record that holds `value`: of all that claim it the one with the lowest key.
    pub(super) fn locate(&self, segments: &Segments, value: &str) -> Located {
        let place = self.place(value);
        let Some(bits) = self.table.get(place) else { return Located::Nowhere };
        if bits != OVERFLOW {
            let at = Location::from_bits(bits);
            return self.judge(segments, at, value).unwrap_or(Located::Nowhere);
        }
        let Some(set) = self.sets.get(&place) else { return Located::Stale };
        set.iter().find_map(|at| self.judge(segments, at, value)).unwrap_or(Located::Nowhere)
    }

    /// Looks whether the record at `at` has `value`: the hash alone proves nothing.
    fn judge(&self, segments: &Segments, at: Location, value: &str) -> Option<Located> {
        match segments.values(self.column, at) {
            None => Some(Located::Stale),
            Some(mut values) => values.any(|stored| stored == value).then_some(Located::At(at)),
        }
    }

    /// Claims (a record and a value of it) that a record with a lower key holds.
    pub(super) fn conflicts(&self) -> u64 {
        self.conflicts.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn overflow_sets(&self) -> usize {
        self.sets.len()
    }

    /// Memory that it holds, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.table.memory() + self.sets.iter().map(|set| set.memory() + 32).sum::<usize>()
    }

    /// Makes all `changes`, in any order; readers see each place before or after its change. A record
    /// has at most one change for a place. Leaves `changes` empty.
    pub(super) fn change(&self, segments: &Segments, changes: &mut Vec<Change>) {
        changes.sort_unstable_by_key(|change| Table::order(change.place));
        let (mut writes, mut gone) = (Vec::new(), Vec::new());
        for group in changes.chunk_by(|a, b| a.place == b.place) {
            let place = group[0].place;
            let before = self.table.get(place);
            let after = match before {
                Some(OVERFLOW) => self.change_set(segments, place, group, None),
                _ => self.change_single(segments, before.map(Location::from_bits), group),
            };
            if after != before {
                writes.push((place, after));
            }
            if after != Some(OVERFLOW) && (before == Some(OVERFLOW) || group.len() > 1) {
                gone.push(place);
            }
        }
        self.table.write(&writes);
        // A reader that has seen the table before the write may still come for a set: it finds it with
        // its last member, or not at all and asks again.
        for place in gone {
            self.sets.remove(&place);
        }
        changes.clear();
    }

    /// Changes a place where one record stands or none; answers what the table is to say.
    fn change_single(
        &self,
        segments: &Segments,
        mut here: Option<Location>,
        group: &[Change],
    ) -> Option<u64> {
        for (done, change) in group.iter().enumerate() {
            here = match (here, change.new) {
                (None, new) => new,
                (Some(at), new) if Some(at) == change.old => new,
                (Some(at), None) => Some(at),
                (Some(at), Some(new)) => {
                    let set = OverflowSet::pair(segments, at, new);
                    self.count(segments, change.place, &set, Some(new), 1);
                    return self.change_set(segments, change.place, &group[done + 1..], Some(set));
                }
            };
        }
        here.map(Location::bits)
    }

    /// Changes a place where an overflow set stands, or comes to stand when `set` is given; answers what
    /// the table is to say.
    fn change_set(
        &self,
        segments: &Segments,
        place: Place,
        group: &[Change],
        set: Option<OverflowSet>,
    ) -> Option<u64> {
        if let Some(set) = set {
            self.sets.insert(place, set);
        }
        let mut set = self.sets.get_mut(&place)?;
        for change in group {
            // The values of a record that moves may differ: what it claimed goes, what it claims comes.
            self.count(segments, place, &set, change.old, -1);
            match (change.new, change.old) {
                (Some(new), _) => set.put(segments, new),
                (None, Some(old)) => drop(set.remove(segments, old)),
                (None, None) => {}
            }
            self.count(segments, place, &set, change.new, 1);
        }
        match set.few() {
            Few::None => None,
            Few::One(at) => Some(at.bits()),
            Few::Many => Some(OVERFLOW),
        }
    }

    /// Counts the claims of the record at `at`, a member of `set`, that another member makes too.
    fn count(&self, segments: &Segments, place: Place, set: &OverflowSet, at: Option<Location>, sign: i64) {
        let Some(at) = at.filter(|_| self.column > 0) else { return };
        for value in segments.values(self.column, at).into_iter().flatten() {
            if self.place(value) == place && self.is_claimed(segments, set, at, value) {
                self.conflicts.fetch_add(sign.cast_unsigned(), Ordering::Relaxed);
            }
        }
    }

    fn is_claimed(&self, segments: &Segments, set: &OverflowSet, but: Location, value: &str) -> bool {
        let claims =
            |at| segments.values(self.column, at).is_some_and(|mut values| values.any(|v| v == value));
        set.iter().any(|at| at != but && claims(at))
    }
}

/// Building.
impl Index {
    pub(super) fn column(&self) -> usize {
        self.column
    }

    /// See [`Table::fill`].
    pub(super) fn fill(
        &self,
        batch: &[(Place, u64)],
        scratch: &mut Scratch,
        first: usize,
        clashes: &mut Vec<(Place, u64)>,
    ) {
        self.table.fill(batch, scratch, first, clashes);
    }

    /// Settles the rows of a primary index whose place was taken: of rows with one key the latest
    /// stays, the others are `dead`; different keys make an overflow set.
    pub(super) fn settle_keys(&self, segments: &Segments, clashes: Vec<(Place, u64)>, dead: &mut Dead) {
        self.settle(clashes, |_, members| {
            // The latest first, so that it is the one that is kept.
            members.sort_unstable_by(|a, b| segments.key(*a).cmp(&segments.key(*b)).then(b.cmp(a)));
            members.dedup_by(|next, kept| {
                let is_same = segments.key(*next) == segments.key(*kept);
                if is_same {
                    dead.insert(*next);
                }
                is_same
            });
            0
        });
    }

    /// Settles the rows of a secondary index whose place was taken: they make overflow sets.
    pub(super) fn settle_values(&self, segments: &Segments, clashes: Vec<(Place, u64)>) {
        self.settle(clashes, |place, members| {
            members.sort_unstable_by(|a, b| segments.key(*a).cmp(&segments.key(*b)).then(a.cmp(b)));
            // A record with two values of one place.
            members.dedup();
            self.claims_lost(segments, place, members)
        });
    }

    /// Claims of `members` at `place` that a record with a lower key holds.
    fn claims_lost(&self, segments: &Segments, place: Place, members: &[Location]) -> u64 {
        // One value a place, but for collisions: then a handful.
        let (mut held, mut lost) = (Vec::<&str>::new(), 0);
        for value in members.iter().filter_map(|&at| segments.values(self.column, at)).flatten() {
            if self.place(value) != place {
                continue;
            }
            if held.contains(&value) {
                lost += 1;
            } else {
                held.push(value);
            }
        }
        lost
    }

    fn settle(
        &self,
        mut clashes: Vec<(Place, u64)>,
        mut order: impl FnMut(Place, &mut Vec<Location>) -> u64,
    ) {
        clashes.sort_unstable_by_key(|clash| Table::order(clash.0));
        let (mut members, mut writes) = (Vec::new(), Vec::new());
        for group in clashes.chunk_by(|a, b| a.0 == b.0) {
            let place = group[0].0;
            members.clear();
            members.extend(self.table.get(place).map(Location::from_bits));
            members.extend(group.iter().map(|clash| Location::from_bits(clash.1)));
            self.conflicts.fetch_add(order(place, &mut members), Ordering::Relaxed);
            if let [at] = members.as_slice() {
                writes.push((place, Some(at.bits())));
            } else {
                self.sets.insert(place, OverflowSet::from_ordered(&members));
                writes.push((place, Some(OVERFLOW)));
            }
        }
        self.table.write(&writes);
    }

    /// Gives back room that building turned out not to need.
    pub(super) fn shrink(&self) {
        self.table.shrink();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_that_has_just_gone_is_asked_for_again() {
        let index = Index::new(1, Hashing { seed: 1, mask: u64::MAX }, 10);
        index.table.write(&[(index.place("a"), Some(OVERFLOW))]);
        assert_eq!(index.locate(&Segments::default(), "a"), Located::Stale);
        assert_eq!(index.locate(&Segments::default(), "b"), Located::Nowhere);
    }

    #[test]
    fn a_segment_that_has_just_come_is_asked_for_again() {
        let index = Index::new(0, Hashing { seed: 1, mask: u64::MAX }, 10);
        index.table.write(&[(index.place("a"), Some(Location::new(3, 9).bits()))]);
        assert_eq!(index.locate(&Segments::default(), "a"), Located::Stale);
    }
}
