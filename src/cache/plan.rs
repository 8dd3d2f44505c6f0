//! The shape of a table: the number of shards, how many of them are used, and their capacity.
//!
//! A shard's table has a power of two of buckets and is full at 7/8. If all shards were used, and their number
//! is a power of two as well, a collection just above a threshold would leave half of every table empty. Only
//! as many shards are used as fill their tables to about 6/7 of their capacity. That is 21 bytes per entry at any
//! size; a plain map takes between 20 and 39.

/// Least entries that a shard is meant for: its table fits a core's second-level cache, and growing it takes
/// about 0.1 ms.
const SHARD_ENTRIES: usize = 4096;
/// Fewest shards: all cores may read a small collection at once.
const SHARDS_MIN: usize = 16;
/// Most shards: 128 bytes each, used or not.
const SHARDS_MAX: usize = 1024;

/// The shape of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TablePlan {
    /// A power of two.
    pub(super) shards: usize,
    /// Shards that hold entries, at most `shards`.
    pub(super) used: usize,
    /// Initial capacity of each used shard, in entries.
    pub(super) capacity: usize,
}

impl TablePlan {
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

/// The number of entries to give a table of capacity `full`. Hashes do not spread evenly: the margin is four
/// standard deviations, and at least a sixteenth for growth.
fn comfortable(full: usize) -> usize {
    (full - (full / 16).max(4 * full.isqrt()).min(full / 2)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_take_about_21_bytes_per_entry_at_any_size() {
        assert_eq!(TablePlan::new(0), TablePlan { shards: 16, used: 16, capacity: 0 });
        for entries in (100_000..20_000_000).step_by(77_777) {
            let TablePlan { shards, used, capacity } = TablePlan::new(entries);
            assert!(shards.is_power_of_two() && used <= shards, "{entries}");
            let buckets = used * capacity / 7 * 8;
            let bytes = (buckets * 17 + shards * 128) as f64 / entries as f64;
            assert!((19.4..23.0).contains(&bytes), "{bytes} bytes per entry for {entries}");
            assert!(used * comfortable(capacity) >= entries);
        }
    }
}
