//! Settings of the engine.

use std::time::Duration;

use crate::settings::{Declaration, section::Section};

/// Most sync runs at once: each has threads of its own.
const CONCURRENT_RUNS_MAX: u64 = 64;
/// Longest run: the retention of unannounced segments (24 h) relies on it.
const RUN_TIMEOUT_MAX: Duration = Duration::from_hours(12);
/// Smallest limit of a run's segments: a record has up to 1 MB.
const RUN_BYTES_MIN: u64 = 16_000_000;
/// Largest limit of a run's segments, 1 PB: more than any disk.
const RUN_BYTES_MAX: u64 = 1_000_000_000_000_000;

/// Settings that all syncs of a process share.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Most bytes of segments that one run may write; a run that exceeds it fails.
    pub spool_bytes_max: u64,
    /// Longest duration of a run (at most 12 h: the retention of unannounced segments relies on it).
    pub run_timeout: Duration,
    /// Most runs under way at once in this process.
    pub max_concurrent_runs: usize,
}

impl Settings {
    /// The section of these settings.
    pub(crate) const SECTION: Declaration = Declaration::read_at_start("engine");

    /// Reads `[engine]`.
    pub(crate) fn read(section: &Section<'_>) -> Option<Self> {
        let runs = section.set("max_concurrent_runs").and_then(|item| item.count(1..=CONCURRENT_RUNS_MAX));
        let bytes = section.set("spool_bytes_max").and_then(|item| item.size(RUN_BYTES_MIN..=RUN_BYTES_MAX));
        let timeout = section
            .set("run_timeout")
            .and_then(|item| item.duration(Duration::from_secs(1)..=RUN_TIMEOUT_MAX));
        Some(Self {
            spool_bytes_max: bytes?,
            run_timeout: timeout?,
            max_concurrent_runs: usize::try_from(runs?).ok()?,
        })
    }
}
