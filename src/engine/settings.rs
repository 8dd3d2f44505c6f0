//! Settings of the engine.

use std::time::Duration;

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
