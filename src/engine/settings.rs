//! What the engine is told about its own running.

use std::{path::PathBuf, time::Duration};

/// Settings that all syncs of a process share.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Spool files and local segments live here.
    pub data_dir: PathBuf,
    /// Most bytes of spool files of one run; past it the run fails.
    pub spool_bytes_max: u64,
    /// A run older than this ends itself (12 h: the retention of unannounced segments counts on it).
    pub run_timeout: Duration,
    /// Runs under way at once in this process.
    pub max_concurrent_runs: usize,
}
