//! Conflicts of index values: several records claim one value. It belongs to the record with the lowest
//! primary key; the others lose it.
//!
//! A claim is kept as a 64-bit hash, 12 bytes in all. That is enough to count; the keys of the few losers
//! that are listed are read from segments.

use std::ops::Range;

use super::diff::{BaseTable, NewTable, Origin};
use crate::segment;

/// Most contested values of one index whose losers are listed, and most losers listed per value.
const LISTED_MAX: usize = 100;

/// The hash that stands for `value` in claims.
pub(super) fn claim_hash(value: &str) -> u64 {
    segment::key_hash(value) as u64
}

/// The claims to values of one index.
#[derive(Default)]
pub(super) struct Claims(Vec<[u32; 3]>);

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
        self.0.push([(hash >> 32) as u32, hash as u32, claimant.to_bits()]);
    }

    /// Removes the claims of retracted puts. Call it after the last row and before the claims of remaining
    /// records are added: the served record of a duplicate key keeps its claims.
    pub(super) fn retract(&mut self, base: &BaseTable, new: &NewTable) {
        self.0.retain(|claim| !Origin::from_bits(claim[2]).is_retracted(base, new));
    }

    /// Finds the values of index number `index` that several records claim.
    pub(super) fn find_conflicts(mut self, index: usize) -> Conflicts {
        self.0.sort_unstable();
        let mut losers = 0;
        let mut contested = Vec::new();
        for range in groups(&self.0) {
            losers += range.len() as u64 - 1;
            if contested.len() < LISTED_MAX {
                // Any claimant but the lowest of these loses the value, whichever of all claimants holds it.
                let claimants = self.0[range].iter().take(LISTED_MAX + 1);
                let claimants = claimants.map(|claim| Origin::from_bits(claim[2])).collect();
                contested.push(Contested { index, claimants });
            }
        }
        Conflicts { losers, contested }
    }
}

fn groups(sorted: &[[u32; 3]]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        while start < sorted.len() {
            let value = &sorted[start][..2];
            let len = sorted[start..].iter().take_while(|claim| &claim[..2] == value).count();
            let range = start..start + len;
            start += len;
            if len > 1 {
                return Some(range);
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let conflicts = claims.find_conflicts(1);
        assert_eq!(conflicts.losers, 2);
        let claimants = vec![origins[0], origins[2], origins[3]];
        assert_eq!(conflicts.contested, vec![Contested { index: 1, claimants }]);
    }
}
