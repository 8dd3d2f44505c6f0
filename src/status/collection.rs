//! One collection on a node.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Problem;
use crate::domain::{manifest::Version, name::RegionName};

/// A collection that the catalog names, as one node serves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionStatus {
    /// The version that the catalog names, as the node knows it.
    pub wanted: Version,
    /// The version served.
    pub served: Option<Version>,
    /// Since when it serves another version than it wants: an older one, none, or one above its pin.
    pub behind_since: Option<DateTime<Utc>>,
    /// When the source was last seen with the content that is served.
    pub data_as_of: Option<DateTime<Utc>>,
    /// Records served.
    pub records: u64,
    /// Bytes of the segments served.
    pub bytes: u64,
    /// Why what is served is not what is wanted. The last good version is served on.
    pub problem: Option<Problem>,
    /// The regions that serve it, when this node's region does not. Only the node itself knows.
    #[serde(skip)]
    pub other_regions: Option<Arc<[RegionName]>>,
    /// What it takes in memory, when it is loaded. Only the node itself knows.
    #[serde(skip)]
    pub loaded: Option<MemoryUsage>,
}

/// What a loaded collection takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MemoryUsage {
    /// Records served.
    pub records: u64,
    /// Memory held, in bytes.
    pub bytes: u64,
    /// Records that share an index value with one of a lower primary key.
    pub conflicts: u64,
}

impl CollectionStatus {
    /// Whether this node serves the collection, or should.
    pub fn is_here(&self) -> bool {
        self.other_regions.is_none()
    }

    /// Whether the node has loaded it or failed to, or need not.
    pub(super) fn is_settled(&self) -> bool {
        !self.is_here() || self.served.is_some() || self.problem.is_some()
    }

    /// Versions that are wanted beyond the one served; all of them when none is served.
    pub fn versions_behind(&self) -> u64 {
        self.wanted.0.saturating_sub(self.served_number())
    }

    /// Versions by which the one served is above the wanted one. Versions only rise, so the region is
    /// pinned to an earlier one.
    pub fn versions_above_pin(&self) -> u64 {
        self.served_number().saturating_sub(self.wanted.0)
    }

    fn served_number(&self) -> u64 {
        self.served.map_or(0, |served| served.0)
    }
}
