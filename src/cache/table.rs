//! A `DashMap` of hashes whose changes are written shard by shard.

use std::hash::{BuildHasherDefault, Hasher};

use dashmap::{DashMap, SharedValue};

use super::plan::TablePlan;

/// The place of a value in a table: its hash, with the shard's number written into it.
pub(super) type Place = u64;

/// Bits that a shard's own table uses from the top of a hash; the shard's number is below them.
const TAG_BITS: u32 = 7;
/// Most entries that are written under one lock: readers of the shard wait a few microseconds, and a writer is
/// rarely preempted there.
const WRITES_MAX: usize = 64;

/// A hash is its own hash.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PassThrough(u64);

impl Hasher for PassThrough {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only 64-bit hashes are keys");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

pub(super) type Hashed = BuildHasherDefault<PassThrough>;

/// Entries of 16 bytes: a place and its value.
#[derive(Debug)]
pub(super) struct Table {
    map: DashMap<Place, u64, Hashed>,
    used: u64,
    shift: u32,
}

impl Table {
    /// A table with capacity for `entries`.
    pub(super) fn new(entries: usize) -> Self {
        let plan = TablePlan::new(entries);
        let map = DashMap::with_capacity_and_hasher_and_shard_amount(0, Hashed::default(), plan.shards);
        for shard in &map.shards()[..plan.used] {
            shard.write().reserve(plan.capacity, |entry| entry.0);
        }
        Self { map, used: plan.used as u64, shift: 64 - TAG_BITS - plan.shards.trailing_zeros() }
    }

    /// The place of a value with `hash`.
    pub(super) fn place(&self, hash: u64) -> Place {
        let number = ((hash >> 25 & u64::from(u32::MAX)) * self.used) >> 32;
        let field = (self.map.shards().len() as u64 - 1) << self.shift;
        hash & !field | number << self.shift
    }

    /// Sorts by shard, then by place.
    pub(super) fn order(place: Place) -> u64 {
        place.rotate_left(TAG_BITS)
    }

    fn shard(&self, place: Place) -> usize {
        self.map.determine_shard(place as usize)
    }

    /// The value at `place`.
    pub(super) fn get(&self, place: Place) -> Option<u64> {
        self.map.get(&place).map(|entry| *entry)
    }

    /// Writes the value of each place; `None` removes it. The writes are sorted by [`Table::order`], one per
    /// place.
    pub(super) fn write(&self, writes: &[(Place, Option<u64>)]) {
        for group in writes.chunk_by(|a, b| self.shard(a.0) == self.shard(b.0)) {
            for group in group.chunks(WRITES_MAX) {
                let mut shard = self.map.shards()[self.shard(group[0].0)].write();
                for &(place, value) in group {
                    match (value, shard.get_mut(place, |entry| entry.0 == place)) {
                        (Some(value), Some(entry)) => *entry.1.get_mut() = value,
                        (Some(value), None) => {
                            shard.insert(place, (place, SharedValue::new(value)), |entry| entry.0);
                        }
                        (None, Some(_)) => drop(shard.remove_entry(place, |entry| entry.0 == place)),
                        (None, None) => {}
                    }
                }
            }
        }
    }

    /// Puts the entries of `batch` whose place is free; the others go to `clashes`. For building, by
    /// many threads at once, which begin at different shards (`first`, taken modulo their number) and so
    /// rarely wait for each other.
    pub(super) fn fill(
        &self,
        batch: &[(Place, u64)],
        scratch: &mut Scratch,
        first: usize,
        clashes: &mut Vec<(Place, u64)>,
    ) {
        scratch.group(batch, self.used as usize, |place| self.shard(place));
        let start = first % self.used as usize;
        for number in (start..self.used as usize).chain(0..start) {
            let group = scratch.group_of(number);
            if group.is_empty() {
                continue;
            }
            let mut shard = self.map.shards()[number].write();
            for &(place, value) in group {
                if shard.get(place, |entry| entry.0 == place).is_some() {
                    clashes.push((place, value));
                } else {
                    shard.insert(place, (place, SharedValue::new(value)), |entry| entry.0);
                }
            }
        }
    }

    /// Frees capacity that building did not need.
    pub(super) fn shrink(&self) {
        for shard in self.map.shards() {
            let mut shard = shard.write();
            let entries = shard.len();
            if shard.capacity() / 2 > entries {
                shard.shrink_to(entries, |entry| entry.0);
            }
        }
    }

    /// Its memory in bytes.
    pub(super) fn memory(&self) -> usize {
        let shards = self.map.shards();
        // One byte of control per bucket, and one group of 16 more per table.
        shards.iter().map(|shard| shard.read().buckets() * 17 + 16).sum::<usize>() + shards.len() * 128
    }
}

/// Entries grouped by shard, in reusable buffers.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    entries: Vec<(Place, u64)>,
    ends: Vec<usize>,
}

impl Scratch {
    /// Groups `batch` into `groups` groups: a counting sort.
    fn group(&mut self, batch: &[(Place, u64)], groups: usize, group_of: impl Fn(Place) -> usize) {
        self.ends.clear();
        self.ends.resize(groups + 1, 0);
        for &(place, _) in batch {
            self.ends[group_of(place) + 1] += 1;
        }
        for group in 1..=groups {
            self.ends[group] += self.ends[group - 1];
        }
        self.entries.clear();
        self.entries.resize(batch.len(), (0, 0));
        // Each start moves to its end; after the loop the ends are one group too low.
        for &entry in batch {
            let group = group_of(entry.0);
            self.entries[self.ends[group]] = entry;
            self.ends[group] += 1;
        }
    }

    fn group_of(&self, group: usize) -> &[(Place, u64)] {
        let start = if group == 0 { 0 } else { self.ends[group - 1] };
        &self.entries[start..self.ends[group]]
    }
}
