//! One index: from a value to the location of the record that holds it.

use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{
    build::Dead,
    location::{ColumnValues, Location, Segments},
    overflow::{Few, Order, OverflowSet},
    table::{Hashed, Place, Scratch, Table},
};
use crate::domain::index::{IndexDefinition, SharedValues};

/// Marks a place of the table whose locations are in an overflow set. No location has this bit.
const OVERFLOW: u64 = 1 << 63;

/// How values are hashed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hashing {
    /// Random per process, so that no client can choose values that collide.
    pub(super) seed: u64,
    /// The bits that are kept: all of them, except in tests that force collisions.
    pub(super) mask: u64,
}

/// Which record holds a value that several have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    /// The first one of the order.
    First(Order),
    /// None.
    Nobody,
    /// No value is looked up: the index only orders records.
    OnlyOrders,
}

impl Rule {
    /// The rules of a collection's indexes.
    pub(super) fn of_all(definitions: &[IndexDefinition]) -> Vec<Self> {
        let rule = |index: &IndexDefinition| match &index.shared {
            _ if index.is_order => Self::OnlyOrders,
            SharedValues::LowestKey => Self::First(Order::default()),
            SharedValues::Reject => Self::Nobody,
            SharedValues::Newest(order) => {
                Self::First(Order { newest: definitions.iter().position(|other| other.name == *order) })
            }
        };
        definitions.iter().map(rule).collect()
    }

    fn order(self) -> Order {
        match self {
            Self::First(order) => order,
            Self::Nobody | Self::OnlyOrders => Order::default(),
        }
    }

    /// Returns how many more claims lose when one more record claims a value that `others` records claim.
    fn losers_of_one_more(self, others: usize) -> u64 {
        match (self, others) {
            (_, 0) => 0,
            // The record that held the value alone loses it, too.
            (Self::Nobody, 1) => 2,
            _ => 1,
        }
    }
}

/// One index of a collection. Written by one thread at a time, read by any.
#[derive(Debug)]
pub(super) struct Index {
    /// Its column in the segments: 0 is the key.
    column: usize,
    rule: Rule,
    hashing: Hashing,
    table: Table,
    /// By place. A set is inserted before its marker appears in the table and removed after the marker is
    /// gone. Readers therefore never see a marker without its set, unless both are just being removed.
    sets: DashMap<Place, OverflowSet, Hashed>,
    conflicts: AtomicU64,
}

/// The result of a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Located {
    /// The location of the record.
    At(Location),
    /// No record holds the value.
    Nowhere,
    /// The index refers to a segment that the caller does not have yet, or to a set that was just removed:
    /// load the segments again and retry.
    Stale,
}

/// A change of one record at one place: it is added, moved or removed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    pub(super) place: Place,
    /// Its location at this place before, if it had one.
    pub(super) old: Option<Location>,
    /// Its location after, if it has one.
    pub(super) new: Option<Location>,
}

impl Index {
    pub(super) fn new(column: usize, rule: Rule, hashing: Hashing, entries: usize) -> Self {
        let sets = DashMap::with_hasher_and_shard_amount(Hashed::default(), 16);
        Self { column, rule, hashing, table: Table::new(entries), sets, conflicts: AtomicU64::new(0) }
    }

    pub(super) fn place(&self, value: &str) -> Place {
        self.table.place(xxh3_64_with_seed(value.as_bytes(), self.hashing.seed) & self.hashing.mask)
    }

    /// Whether values are looked up in it.
    pub(super) fn is_looked_up(&self) -> bool {
        !matches!(self.rule, Rule::OnlyOrders)
    }

    /// Finds the record that holds `value`, by the rule for a value that several records claim.
    pub(super) fn locate(&self, segments: &Segments, value: &str) -> Located {
        let place = self.place(value);
        let Some(bits) = self.table.get(place) else { return Located::Nowhere };
        if bits != OVERFLOW {
            let at = Location::from_bits(bits);
            return self.check(segments, at, value).unwrap_or(Located::Nowhere);
        }
        let Some(set) = self.sets.get(&place) else { return Located::Stale };
        let mut claimants = set.iter().filter_map(|at| self.check(segments, at, value));
        let first = claimants.next().unwrap_or(Located::Nowhere);
        match self.rule {
            Rule::Nobody => claimants.next().map_or(first, |second| match (first, second) {
                (Located::At(_), Located::At(_)) => Located::Nowhere,
                _ => Located::Stale,
            }),
            _ => first,
        }
    }

    /// Where `value` most likely is; `None` also when several records may have it.
    pub(super) fn likely(&self, value: &str) -> Option<Location> {
        self.table.get(self.place(value)).filter(|bits| *bits != OVERFLOW).map(Location::from_bits)
    }

    /// The values under this index of the record at `at`; `None` if the caller does not have its segment yet.
    pub(super) fn values_at<'a>(&self, segments: &'a Segments, at: Location) -> Option<ColumnValues<'a>> {
        segments.values(self.column, at)
    }

    /// Checks that the record at `at` has `value`: an equal hash alone does not prove it.
    fn check(&self, segments: &Segments, at: Location, value: &str) -> Option<Located> {
        match segments.values(self.column, at) {
            None => Some(Located::Stale),
            Some(mut values) => values.any(|stored| stored == value).then_some(Located::At(at)),
        }
    }

    /// Claims (a record and a value of it) that lose: the record does not hold the value.
    pub(super) fn conflicts(&self) -> u64 {
        self.conflicts.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn overflow_sets(&self) -> usize {
        self.sets.len()
    }

    /// Its memory in bytes.
    pub(super) fn memory(&self) -> usize {
        self.table.memory() + self.sets.iter().map(|set| set.memory() + 32).sum::<usize>()
    }

    /// Makes all `changes`, in any order, and leaves `changes` empty. Readers see each place before or after its
    /// change. A record has at most one change per place.
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
        // A reader that read the table before the write may still look for a set. It finds the set with its
        // last member, or no set and retries.
        for place in gone {
            self.sets.remove(&place);
        }
        changes.clear();
    }

    /// Changes a place with at most one record; returns the new entry of the table.
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
                    let set = OverflowSet::pair(self.rule.order(), segments, at, new);
                    self.count(segments, change.place, &set, Some(new), 1);
                    return self.change_set(segments, change.place, &group[done + 1..], Some(set));
                }
            };
        }
        here.map(Location::bits)
    }

    /// Changes a place with an overflow set, which `set` creates when given; returns the new entry of the
    /// table.
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
            // The values of a moved record may differ: uncount its old claims, count its new ones.
            self.count(segments, place, &set, change.old, -1);
            match (change.new, change.old) {
                (Some(new), old) => set.put(segments, old, new),
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

    /// Adds the conflicts that the claims of the record at `at` make in `set`, or with `sign` -1 takes them away.
    fn count(&self, segments: &Segments, place: Place, set: &OverflowSet, at: Option<Location>, sign: i64) {
        let Some(at) = at.filter(|_| self.column > 0) else { return };
        for value in segments.values(self.column, at).into_iter().flatten() {
            if self.place(value) == place {
                let losers = self.rule.losers_of_one_more(self.other_claims(segments, set, at, value));
                self.conflicts.fetch_add(losers.wrapping_mul(sign.cast_unsigned()), Ordering::Relaxed);
            }
        }
    }

    /// The members of `set` but one that claim `value`; more than two count as two.
    fn other_claims(&self, segments: &Segments, set: &OverflowSet, but: Location, value: &str) -> usize {
        let claims =
            |at| segments.values(self.column, at).is_some_and(|mut values| values.any(|v| v == value));
        set.iter().filter(|&at| at != but && claims(at)).take(2).count()
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

    /// Resolves clashes of a primary index. Of rows with one key the latest stays and the others are `dead`;
    /// different keys make an overflow set.
    pub(super) fn resolve_key_clashes(
        &self,
        segments: &Segments,
        clashes: Vec<(Place, u64)>,
        dead: &mut Dead,
    ) {
        self.resolve_clashes(clashes, |_, members| {
            // The latest first, so that it is kept.
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

    /// Resolves clashes of a secondary index: they make overflow sets.
    pub(super) fn resolve_value_clashes(&self, segments: &Segments, clashes: Vec<(Place, u64)>) {
        let order = self.rule.order();
        self.resolve_clashes(clashes, |place, members| {
            members.sort_unstable_by(|a, b| {
                order.rank(segments, *a).cmp(&order.rank(segments, *b)).then(a.cmp(b))
            });
            // A record may have two values with one place.
            members.dedup();
            self.claims_lost(segments, place, members)
        });
    }

    /// Claims of `members` at `place` that lose.
    fn claims_lost(&self, segments: &Segments, place: Place, members: &[Location]) -> u64 {
        // A place has one value, or a few when hashes collide.
        let (mut claimed, mut lost) = (Vec::<(&str, usize)>::new(), 0);
        for value in members.iter().filter_map(|&at| segments.values(self.column, at)).flatten() {
            if self.place(value) != place {
                continue;
            }
            match claimed.iter_mut().find(|(known, _)| *known == value) {
                Some((_, claims)) => {
                    lost += self.rule.losers_of_one_more(*claims);
                    *claims += 1;
                }
                None => claimed.push((value, 1)),
            }
        }
        lost
    }

    /// `order` orders the members of a place and returns the claims that they lose.
    fn resolve_clashes(
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
                self.sets.insert(place, OverflowSet::from_ordered(self.rule.order(), &members));
                writes.push((place, Some(OVERFLOW)));
            }
        }
        self.table.write(&writes);
    }

    /// Frees capacity that building did not need.
    pub(super) fn shrink(&self) {
        self.table.shrink();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Rule = Rule::First(Order { newest: None });

    #[test]
    fn a_marker_without_its_set_is_stale() {
        let index = Index::new(1, FIRST, Hashing { seed: 1, mask: u64::MAX }, 10);
        index.table.write(&[(index.place("a"), Some(OVERFLOW))]);
        assert_eq!(index.locate(&Segments::default(), "a"), Located::Stale);
        assert_eq!(index.locate(&Segments::default(), "b"), Located::Nowhere);
    }

    #[test]
    fn a_location_in_an_unknown_segment_is_stale() {
        let index = Index::new(0, FIRST, Hashing { seed: 1, mask: u64::MAX }, 10);
        index.table.write(&[(index.place("a"), Some(Location::new(3, 9).bits()))]);
        assert_eq!(index.locate(&Segments::default(), "a"), Located::Stale);
    }
}
