//! Conflicts of index values: several records claim one value. It belongs to one of them, by the index's rule for
//! shared values, or to none; the others lose it.
//!
//! A claim is kept as a 64-bit hash, 12 bytes in all. That is enough to count; the keys of the few losers
//! that are listed are read from segments. Claims are kept in buckets by hash that grow by an eighth: one vector
//! that doubles would take up to twice as much, and three times while it grows.

use super::diff::{BaseTable, NewTable, Origin};
use crate::segment;

/// Most contested values of one index whose losers are listed, and most losers listed per value.
const LISTED_MAX: usize = 100;

/// The hash that stands for `value` in claims.
pub(super) fn claim_hash(value: &str) -> u64 {
    segment::key_hash(value) as u64
}

/// Buckets of the claims of one index: each is small enough to be copied when it grows.
const BUCKETS: usize = 256;

/// The claims to values of one index. A bucket has the claims whose hash begins with its number.
pub(super) struct Claims(Vec<Vec<[u32; 3]>>);

impl Default for Claims {
    fn default() -> Self {
        Self(vec![Vec::new(); BUCKETS])
    }
}

/// A value that several records claim.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contested {
    /// The number of its index.
    pub(super) index: usize,
    /// Two or more, in no order.
    pub(super) claimants: Vec<Origin>,
}

/// The conflicts of one index.
pub(super) struct Conflicts {
    /// Claims that lose their value, all counted.
    pub(super) losers: u64,
    /// The first contested values.
    pub(super) contested: Vec<Contested>,
}

impl Claims {
    pub(super) fn add(&mut self, hash: u64, claimant: Origin) {
        let bucket = &mut self.0[(hash >> 56) as usize];
        if bucket.len() == bucket.capacity() {
            bucket.reserve_exact(bucket.len() / 8 + 1);
        }
        bucket.push([(hash >> 32) as u32, hash as u32, claimant.to_bits()]);
    }

    /// Removes the claims of retracted puts. Call it after the last row and before the claims of remaining
    /// records are added: the served record of a duplicate key keeps its claims.
    pub(super) fn retract(&mut self, base: &BaseTable, new: &NewTable) {
        for bucket in &mut self.0 {
            bucket.retain(|claim| !Origin::from_bits(claim[2]).is_retracted(base, new));
        }
    }

    /// Finds the values of index number `index` that several records claim. With `all_lose` none of them gets it.
    pub(super) fn find_conflicts(self, index: usize, all_lose: bool) -> Conflicts {
        let mut losers = 0;
        let mut contested = Vec::new();
        for mut bucket in self.0 {
            bucket.sort_unstable();
            for claims in bucket.chunk_by(|a, b| a[..2] == b[..2]).filter(|claims| claims.len() > 1) {
                losers += claims.len() as u64 - u64::from(!all_lose);
                if contested.len() < LISTED_MAX {
                    // Any claimant but the first of these loses the value, whichever of all claimants holds it.
                    let claimants = claims.iter().take(LISTED_MAX + 1);
                    let claimants = claimants.map(|claim| Origin::from_bits(claim[2])).collect();
                    contested.push(Contested { index, claimants });
                }
            }
        }
        Conflicts { losers, contested }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claim_takes_at_most_14_bytes() {
        let mut claims = Claims::default();
        let mut origins = 0;
        for count in [200_000, 300_000, 500_000] {
            for number in origins..count {
                claims.add(claim_hash(&number.to_string()), Origin::served(number));
            }
            origins = count;
            let capacity: usize = claims.0.iter().map(Vec::capacity).sum();
            let bytes = (capacity * size_of::<[u32; 3]>()) as f64 / f64::from(count);
            assert!(bytes <= 14.0, "{bytes} bytes a claim of {count}");
        }
        // Every value once, and some of them again.
        for number in 0..1000 {
            claims.add(claim_hash(&number.to_string()), Origin::served(origins + number));
        }
        assert_eq!(claims.find_conflicts(1, false).losers, 1000);
    }

    #[test]
    fn losers_are_counted_and_retracted_claims_are_not() {
        let base = BaseTable::with_capacity(0);
        let mut new = NewTable::default();
        let origins: Vec<Origin> = (0..5).map(|key| Origin::new_key(new.visit(key, false).0)).collect();
        new.visit(4, false);
        let mut claims = Claims::default();
        for (hash, number) in [(9, 0), (7, 1), (9, 2), (9, 3), (7, 4)] {
            claims.add(hash, origins[number]);
        }
        claims.retract(&base, &new);
        let conflicts = claims.find_conflicts(1, false);
        assert_eq!(conflicts.losers, 2);
        let claimants = vec![origins[0], origins[2], origins[3]];
        assert_eq!(conflicts.contested, vec![Contested { index: 1, claimants }]);
    }
}
