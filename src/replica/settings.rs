//! What a replica is told.

use std::{path::PathBuf, time::Duration};

use crate::domain::name::RegionName;

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
