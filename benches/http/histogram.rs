//! Latencies in buckets of 1.6 % width.

/// Buckets of each power of two.
const STEPS: u64 = 64;

/// Counts of nanoseconds.
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { buckets: vec![0; 64 * STEPS as usize], count: 0, max: 0 }
    }

    pub(crate) fn record(&mut self, nanos: u64) {
        self.buckets[bucket(nanos)] += 1;
        self.count += 1;
        self.max = self.max.max(nanos);
    }

    /// The latency, in microseconds, that a share of `quantile` did not exceed.
    pub(crate) fn quantile_micros(&self, quantile: f64) -> f64 {
        let above = (self.count as f64 * (1.0 - quantile)).floor();
        let mut seen = 0;
        for (at, count) in self.buckets.iter().enumerate().rev() {
            seen += count;
            if seen as f64 > above {
                return floor(at as u64) as f64 / 1000.0;
            }
        }
        0.0
    }

    pub(crate) fn max_micros(&self) -> f64 {
        self.max as f64 / 1000.0
    }
}

fn bucket(nanos: u64) -> usize {
    if nanos < STEPS {
        return nanos as usize;
    }
    let power = 63 - u64::from(nanos.leading_zeros());
    let shift = power - u64::from(STEPS.trailing_zeros());
    ((shift + 1) * STEPS + ((nanos >> shift) - STEPS)) as usize
}

/// The lowest value of a bucket.
fn floor(bucket: u64) -> u64 {
    if bucket < STEPS { bucket } else { (bucket % STEPS + STEPS) << (bucket / STEPS - 1) }
}
