//! What a replica is told.

use std::{path::PathBuf, time::Duration};

use crate::{domain::name::RegionName, settings::section::Section};

/// Bounds of the time between two polls: a store is not hammered, a revoked key not kept for long.
const POLL_INTERVAL_MIN: Duration = Duration::from_millis(10);
const POLL_INTERVAL_MAX: Duration = Duration::from_hours(1);

/// How a replica follows the catalog.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The region this node serves.
    pub region: RegionName,
    /// Where segments and the last good state are kept.
    pub data_dir: PathBuf,
    /// Time between two looks at `catalog/head`.
    pub poll_interval: Duration,
}

/// Reads `poll_interval` of `[storage]`.
pub(crate) fn read_poll_interval(storage: &Section<'_>) -> Option<Duration> {
    storage.set("poll_interval").and_then(|item| item.duration(POLL_INTERVAL_MIN..=POLL_INTERVAL_MAX))
}
