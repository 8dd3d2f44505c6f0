//! Contested index values: records that claim a value which a record of lower primary key holds.
//! Claims are known by 64-bit hashes, 12 bytes each, for counting; the few listed are looked up.

use std::ops::Range;

use super::diff::{BaseTable, NewTable, Origin};
use crate::segment;

/// Most contested values of one index whose claimants are listed by name.
const LISTED_MAX: usize = 100;

/// The hash by which a claim to `value` is known.
pub(super) fn claim_hash(value: &str) -> u64 {
    segment::key_hash(value) as u64
}

/// The claims of one index.
#[derive(Default)]
pub(super) struct Claims(Vec<[u32; 3]>);

/// One value's claimants, two or more.
pub(super) type Contested = Vec<Origin>;

impl Claims {
    pub(super) fn add(&mut self, hash: u64, claimant: Origin) {
        self.0.push([(hash >> 32) as u32, hash as u32, claimant.to_bits()]);
    }

    /// Takes out the claims of struck puts. To be called when all rows were seen, before the claims of
    /// records that stay without a row are added: a twin's served record keeps its own.
    pub(super) fn strike(&mut self, base: &BaseTable, new: &NewTable) {
        self.0.retain(|claim| !Origin::from_bits(claim[2]).is_struck(base, new));
    }

    /// Counts the records that do not hold a value they claim, and names the first contested
    /// values' claimants.
    pub(super) fn judge(mut self) -> (u64, Vec<Contested>) {
        self.0.sort_unstable();
        let mut losers = 0;
        let mut listed = Vec::new();
        for range in groups(&self.0) {
            losers += range.len() as u64 - 1;
            if listed.len() < LISTED_MAX {
                // Of a crowd some are enough: whoever has a lower one beside it does not hold the value.
                let claimants = self.0[range].iter().take(LISTED_MAX + 1);
                listed.push(claimants.map(|claim| Origin::from_bits(claim[2])).collect());
            }
        }
        (losers, listed)
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
    fn losers_are_counted_and_struck_claims_are_not() {
        let base = BaseTable::with_capacity(0);
        let mut new = NewTable::default();
        let origins: Vec<Origin> = (0..5).map(|key| Origin::new_key(new.visit(key, false).0)).collect();
        new.visit(4, false);
        let mut claims = Claims::default();
        for (hash, number) in [(9, 0), (7, 1), (9, 2), (9, 3), (7, 4)] {
            claims.add(hash, origins[number]);
        }
        claims.strike(&base, &new);
        let (losers, listed) = claims.judge();
        assert_eq!(losers, 2);
        assert_eq!(listed, vec![vec![origins[0], origins[2], origins[3]]]);
    }
}
