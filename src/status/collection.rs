//! One collection on a node.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Problem;
use crate::domain::{RegionName, Version};

/// A collection that the catalog names, as one node serves it.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeCollectionStatus {
    /// The version that the catalog names, as the node knows it.
    #[serde(rename = "announced_version")]
    pub wanted: Version,
    /// The version served.
    #[serde(rename = "served_version")]
    pub served: Option<Version>,
    /// Since when the served version is not the wanted one: it is older, missing or above the pin.
    pub behind_since: Option<DateTime<Utc>>,
    /// When the source was last seen with the content that is served.
    pub data_as_of: Option<DateTime<Utc>>,
    /// Records served.
    pub records: u64,
    /// Bytes of the segments served.
    pub bytes: u64,
    /// Why the wanted version is not served. The last good version is served meanwhile.
    pub problem: Option<Problem>,
    /// The regions that serve it, when this node's region does not. Such a collection is not in the store.
    #[serde(default, rename = "served_in_other_regions", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<RegionName>>)]
    pub other_regions: Option<Arc<[RegionName]>>,
    /// Memory used, when loaded.
    #[serde(default)]
    pub loaded: Option<MemoryUsage>,
}

/// The memory use of a loaded collection.
#[derive(utoipa::ToSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryUsage {
    /// Records served.
    pub records: u64,
    /// Memory held, in bytes.
    pub bytes: u64,
    /// Records that share an index value and do not hold it.
    pub conflicts: u64,
}

impl NodeCollectionStatus {
    /// Whether this node serves the collection, or should.
    pub fn is_here(&self) -> bool {
        self.other_regions.is_none()
    }

    /// Whether it has a load outcome: loaded, failed, or not needed here.
    pub(super) fn has_load_outcome(&self) -> bool {
        !self.is_here() || self.served.is_some() || self.problem.is_some()
    }

    /// Versions between the served and the wanted one; all of them when none is served.
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
