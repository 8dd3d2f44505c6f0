//! Building the indexes of a collection from its segments, on all cores.
//!
//! The rows of all segments are indexed at once, in any order. Of rows with one key the latest counts: it has
//! the highest location. The primary index is therefore built first. It decides which rows are live, and only
//! those go into the secondary indexes.

use std::{
    num::NonZero,
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
    thread::Builder,
};

use super::{
    index::{Change, Hashing, Index, Rule},
    location::{Location, Segments, values},
    overflow::Order,
    table::{Place, Scratch},
};

/// Rows that a thread indexes at once: their places fit the second-level cache, and each shard gets a few
/// hundred of them.
const BATCH_ROWS: u32 = 65_536;
/// Most threads: more of them wait for memory and for each other's shards.
const THREADS_MAX: usize = 8;

/// Distance between the shards of a table at which threads begin.
const SHARDS_APART: usize = 37;

/// The result of [`build`].
pub(super) struct Built {
    pub(super) indexes: Vec<Index>,
    pub(super) records: u64,
    /// Live rows of each segment.
    pub(super) live: Vec<u64>,
}

/// Indexes `segments` by the key and by more columns, one for each of `rules`. `records` is the expected number of records; it
/// only decides the initial capacity.
pub(super) fn build(segments: &Segments, rules: &[Rule], records: u64, hashing: Hashing) -> Built {
    let rows: u64 = segments.iter().map(|segment| u64::from(segment.rows())).sum();
    let records = records.min(rows);
    let mut dead = Dead::new(segments);
    let primary = Index::new(0, Rule::First(Order::default()), hashing, records as usize);
    let clashes = fill(&primary, segments, None);
    primary.resolve_key_clashes(segments, clashes, &mut dead);
    remove_deletes(&primary, segments, &mut dead);
    let live: Vec<u64> = dead.live(segments);

    let dead = Some(dead).filter(|dead| dead.count > 0);
    let mut indexes = vec![primary];
    for (column, &rule) in rules.iter().enumerate().skip(1) {
        if matches!(rule, Rule::OnlyOrders) {
            indexes.push(Index::new(column, rule, hashing, 0));
            continue;
        }
        let stored: usize = segments.iter().map(|segment| segment.value_count(column)).sum();
        // `stored` includes values of dead rows, which need no capacity.
        let expected = (stored as u64).saturating_mul(records).div_ceil(rows.max(1));
        let index = Index::new(column, rule, hashing, expected as usize);
        let clashes = fill(&index, segments, dead.as_ref());
        index.resolve_value_clashes(segments, clashes);
        index.shrink();
        indexes.push(index);
    }
    Built { indexes, records: live.iter().sum(), live }
}

/// Rows that serve no record: superseded ones and deletes.
#[derive(Debug)]
pub(super) struct Dead {
    bits: Vec<Vec<u64>>,
    count: u64,
}

impl Dead {
    fn new(segments: &Segments) -> Self {
        let bits = segments.iter().map(|segment| vec![0; (segment.rows() as usize).div_ceil(64)]).collect();
        Self { bits, count: 0 }
    }

    pub(super) fn insert(&mut self, at: Location) {
        let word = &mut self.bits[at.segment()][at.row() as usize / 64];
        let bit = 1 << (at.row() % 64);
        self.count += u64::from(*word & bit == 0);
        *word |= bit;
    }

    fn contains(&self, at: Location) -> bool {
        self.bits[at.segment()][at.row() as usize / 64] & 1 << (at.row() % 64) != 0
    }

    /// Live rows of each segment.
    fn live(&self, segments: &Segments) -> Vec<u64> {
        let dead = |bits: &Vec<u64>| bits.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
        segments
            .iter()
            .zip(&self.bits)
            .map(|(segment, bits)| u64::from(segment.rows()) - dead(bits))
            .collect()
    }
}

/// Adds the rows of all segments that are not `dead` to `index`; returns those whose place was occupied.
fn fill(index: &Index, segments: &Segments, dead: Option<&Dead>) -> Vec<(Place, u64)> {
    let tasks: Vec<(usize, Range<u32>)> = (0..segments.len())
        .filter_map(|number| Some((number, segments.get(number)?.rows())))
        .flat_map(|(number, rows)| {
            let starts = (0..rows).step_by(BATCH_ROWS as usize);
            starts.map(move |start| (number, start..start.saturating_add(BATCH_ROWS).min(rows)))
        })
        .collect();
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = cores.min(THREADS_MAX).min(tasks.len());
    let next = AtomicUsize::new(0);
    let work = |thread: usize| {
        let (mut batch, mut scratch, mut clashes) = (Vec::new(), Scratch::default(), Vec::new());
        while let Some((number, rows)) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            gather(index, segments, *number, rows.clone(), dead, &mut batch);
            index.fill(&batch, &mut scratch, thread * SHARDS_APART, &mut clashes);
        }
        clashes
    };
    if threads <= 1 {
        return work(0);
    }
    std::thread::scope(|scope| {
        let work = &work;
        // When the system refuses a thread, the others do its part.
        let start = |thread| Builder::new().spawn_scoped(scope, move || work(thread)).ok();
        let others: Vec<_> = (1..threads).filter_map(start).collect();
        let mut clashes = work(0);
        for other in others {
            clashes.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        clashes
    })
}

/// The places and locations of some rows of one segment.
fn gather(
    index: &Index,
    segments: &Segments,
    number: usize,
    rows: Range<u32>,
    dead: Option<&Dead>,
    batch: &mut Vec<(Place, u64)>,
) {
    batch.clear();
    let Some(segment) = segments.get(number) else { return };
    for row in rows {
        let at = Location::new(number, row);
        if dead.is_none_or(|dead| !dead.contains(at)) {
            batch.extend(values(segment, index.column(), row).map(|value| (index.place(value), at.bits())));
        }
    }
}

/// Removes the keys from `primary` whose latest row is a delete.
fn remove_deletes(primary: &Index, segments: &Segments, dead: &mut Dead) {
    let mut changes = Vec::new();
    for number in 0..segments.len() {
        let Some(segment) = segments.get(number).filter(|segment| segment.deletes() > 0) else { continue };
        for row in (0..segment.rows()).filter(|&row| segment.is_delete(row)) {
            let at = Location::new(number, row);
            if !dead.contains(at) {
                dead.insert(at);
                changes.push(Change { place: primary.place(segment.key(row)), old: Some(at), new: None });
            }
        }
    }
    primary.change(segments, &mut changes);
}
