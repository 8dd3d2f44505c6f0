//! Settings of a replica.

use std::{path::PathBuf, time::Duration};

use crate::{domain::name::RegionName, settings::section::Section};

/// Bounds of the poll interval. The minimum protects the store; the maximum limits how long a revoked key
/// stays valid.
const POLL_INTERVAL_MIN: Duration = Duration::from_millis(10);
const POLL_INTERVAL_MAX: Duration = Duration::from_hours(1);

/// How a replica follows the catalog.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The region this node serves.
    pub region: RegionName,
    /// Directory of local segments and of the node's state.
    pub data_dir: PathBuf,
    /// Time between two polls of `catalog/head`.
    pub poll_interval: Duration,
}

/// Reads `poll_interval` of `[storage]`.
pub(crate) fn read_poll_interval(storage: &Section<'_>) -> Option<Duration> {
    storage.set("poll_interval").and_then(|item| item.duration(POLL_INTERVAL_MIN..=POLL_INTERVAL_MAX))
}
