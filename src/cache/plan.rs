//! How many shards a table has, how many of them are used, and how large they are made.
//!
//! A shard's table has a power of two of buckets and is full at 7/8. With all shards alike and their
//! number a power of two as well, a collection just past a threshold would leave half of every
//! table empty. So only as many shards are used as fill their tables to about 6/7 of what they
//! take: 21 bytes an entry at any size, where a plain map takes between 20 and 39.

/// Entries that a shard is meant for, at least: the table of one fits a core's second-level cache,
/// and it is rebuilt in about 0.1 ms when it grows.
const SHARD_ENTRIES: usize = 4096;
/// Fewest shards: a small collection that all cores read at once.
const SHARDS_MIN: usize = 16;
/// Most shards: 128 bytes each, used or not.
const SHARDS_MAX: usize = 1024;

/// The shape of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// A power of two.
    pub(super) shards: usize,
    /// Those that hold entries, at most `shards`.
    pub(super) used: usize,
    /// Entries that each of the used ones has room for at first.
    pub(super) capacity: usize,
}

impl Plan {
    /// The shape for `entries` entries.
    pub(super) fn new(entries: usize) -> Self {
        let shards = entries.div_ceil(SHARD_ENTRIES).next_power_of_two().clamp(SHARDS_MIN, SHARDS_MAX);
        let mut full = 7;
        loop {
            let used = entries.div_ceil(comfortable(full));
            if used <= shards {
                let capacity = if entries == 0 { 0 } else { full };
                return Self { shards, used: if full == 7 { shards } else { used.max(1) }, capacity };
            }
            full *= 2;
        }
    }
}

/// How many entries a table that takes `full` is given: so many less that hashes, which do not
/// spread evenly, rarely overfill one (four standard deviations), and with a sixteenth to grow by.
fn comfortable(full: usize) -> usize {
    (full - (full / 16).max(4 * full.isqrt()).min(full / 2)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_well_filled_at_any_size() {
        assert_eq!(Plan::new(0), Plan { shards: 16, used: 16, capacity: 0 });
        for entries in (100_000..20_000_000).step_by(77_777) {
            let Plan { shards, used, capacity } = Plan::new(entries);
            assert!(shards.is_power_of_two() && used <= shards, "{entries}");
            let buckets = used * capacity / 7 * 8;
            let bytes = (buckets * 17 + shards * 128) as f64 / entries as f64;
            assert!((19.4..23.0).contains(&bytes), "{bytes} bytes an entry for {entries}");
            assert!(used * comfortable(capacity) >= entries);
        }
    }
}
