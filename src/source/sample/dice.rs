//! Repeatable chance: the sample is the same on every machine.

/// A small xorshift generator; good enough to pick names.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }

    /// One of `choices`, which is not empty.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// True about once in `n` times.
    pub(super) fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A date within the `days` after 2023-01-01.
    pub(super) fn date(&mut self, days: u64) -> String {
        let day = chrono::Days::new(self.below(days));
        let first = chrono::NaiveDate::from_ymd_opt(2023, 1, 1).unwrap_or_default();
        first.checked_add_days(day).unwrap_or(first).to_string()
    }
}
