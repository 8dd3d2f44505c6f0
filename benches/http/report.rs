//! What came back, as one line of `name=value`.

use std::{
    fmt,
    time::{Duration, Instant},
};

use crate::histogram::Histogram;

/// What came back in one phase of a run.
pub(crate) struct Report {
    /// The phase; empty when the run has no phases.
    phase: String,
    begin: Instant,
    requests: u64,
    /// Answers that were not a 200 of the length they said, connections lost, requests without an answer.
    failures: u64,
    /// From when a request was due to its answer.
    latency: Histogram,
    /// From when a request was due to when the generator woke for it, with a connection free: what it was
    /// late by itself. A server that stalls keeps all connections busy, which counts as its latency alone.
    late: Histogram,
}

impl Report {
    /// Begins a phase.
    pub(crate) fn begin(phase: String) -> Self {
        let (latency, late) = (Histogram::new(), Histogram::new());
        Self { phase, begin: Instant::now(), requests: 0, failures: 0, latency, late }
    }

    pub(crate) fn answered(&mut self, after: Duration, is_good: bool) {
        self.requests += 1;
        self.failures += u64::from(!is_good);
        self.latency.record(after.as_nanos() as u64);
    }

    pub(crate) fn woke(&mut self, after: Duration) {
        self.late.record(after.as_nanos() as u64);
    }

    pub(crate) fn failed(&mut self, count: u64) {
        self.failures += count;
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests
    }

    pub(crate) fn failures(&self) -> u64 {
        self.failures
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.phase.is_empty() {
            write!(f, "phase={} ", self.phase)?;
        }
        let seconds = self.begin.elapsed().as_secs_f64();
        let quantile = |quantile| self.latency.quantile_micros(quantile);
        write!(
            f,
            "requests={} failures={} seconds={seconds:.3} rate={:.0} p50={:.0} p99={:.0} p999={:.0} max={:.0} late999={:.0}",
            self.requests,
            self.failures,
            self.requests as f64 / seconds,
            quantile(0.5),
            quantile(0.99),
            quantile(0.999),
            self.latency.max_micros(),
            self.late.quantile_micros(0.999),
        )
    }
}
