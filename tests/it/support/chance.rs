//! Random numbers that follow from the seed.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Random numbers (`SplitMix64`) that follow from the place that requests them.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The numbers of `place` of `seed`. They do not depend on earlier requests.
    pub(crate) fn at(seed: u64, place: u64) -> Self {
        let mut chance = Self(seed ^ place.rotate_left(32));
        Self(chance.next() ^ place)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    /// True in `percent` of cases.
    pub(crate) fn is(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    /// One of `weights`, by its number.
    pub(crate) fn weighed(&mut self, weights: &[u64]) -> usize {
        let mut at = self.next() % weights.iter().sum::<u64>();
        for (number, weight) in weights.iter().enumerate() {
            if at < *weight {
                return number;
            }
            at -= weight;
        }
        unreachable!("the weights add up")
    }
}

/// A place for [`Chance::at`], made of texts.
pub(crate) fn place(texts: &[&str]) -> u64 {
    texts.iter().fold(0, |hash, text| xxh3_64_with_seed(text.as_bytes(), hash))
}
