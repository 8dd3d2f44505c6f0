//! Exponential backoff with jitter.

use std::time::Duration;

use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

/// Delays that double from `first` to `longest`.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    attempts: u32,
    began: Instant,
}

impl Backoff {
    /// The first delay is at most `first`; no delay exceeds `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, attempts: 0, began: Instant::now() }
    }

    /// The next delay: the doubled one, minus a jitter of up to a half, so that many clients do not retry at the
    /// same moment. The jitter is derived from the nanoseconds since the backoff began; under a simulated
    /// clock it is deterministic.
    pub fn next_delay(&mut self) -> Duration {
        let full =
            self.first.saturating_mul(1_u32.checked_shl(self.attempts).unwrap_or(u32::MAX)).min(self.longest);
        self.attempts = (self.attempts + 1).min(31);
        let elapsed = self.began.elapsed().as_nanos().to_le_bytes();
        let part = xxh3_64(&elapsed) as u32;
        full.mul_f64(1.0 - 0.5 * f64::from(part) / f64::from(u32::MAX))
    }

    /// Starts over after a success.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_and_stay_bounded() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for full in [100, 200, 400, 800, 1000, 1000] {
            let delay = backoff.next_delay().as_millis();
            assert!((full / 2..=full).contains(&delay), "{delay} of {full}");
        }
        for _ in 0..100 {
            assert!(backoff.next_delay() <= Duration::from_secs(1));
        }
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_millis(100));
    }
}
