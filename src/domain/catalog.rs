//! The catalog: what is visible. Small immutable documents, numbered, and one hint that moves.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    digest::Digest,
    id::{AnnouncementId, DeploymentId, RunId},
    manifest::Version,
    name::{CollectionName, RegionName},
};

/// Names the key set that is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySetReference {
    /// Object path in the store.
    pub object: String,
    /// SHA-256 of the object.
    pub sha256: Digest,
    /// Its revision; the higher wins.
    pub revision: u64,
}

/// One collection as the catalog names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionEntry {
    /// The version announced.
    pub version: Version,
    /// The run that announced it.
    pub run_id: RunId,
    /// Regions that serve it; `None` means all.
    pub regions: Option<Vec<RegionName>>,
    /// Object path of the manifest.
    pub manifest: String,
    /// SHA-256 of the manifest.
    pub sha256: Digest,
}

/// `catalog/{n:020}.json`: immutable, created only where nothing was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogDocument {
    /// Format number; a reader refuses one above its own.
    pub format: u32,
    /// Fixed by the first document.
    pub deployment: DeploymentId,
    /// Its number; the first is 1.
    pub n: u64,
    /// How an announcer knows its own document.
    pub announced_by: AnnouncementId,
    /// The key set, once there is one.
    pub keys: Option<KeySetReference>,
    /// Every visible collection.
    pub collections: BTreeMap<CollectionName, CollectionEntry>,
    /// Regions that follow another version of a collection than the one above. Only of collections
    /// that are visible; no region without one. At most [`PINS_MAX`] in all.
    ///
    /// [`PINS_MAX`]: super::limits::PINS_MAX
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pins: BTreeMap<RegionName, BTreeMap<CollectionName, CollectionEntry>>,
    /// The last version of collections that were dropped: one that begins anew goes on from there.
    /// At most [`DROPPED_MAX`].
    ///
    /// [`DROPPED_MAX`]: super::limits::DROPPED_MAX
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped: BTreeMap<CollectionName, Version>,
}

impl CatalogDocument {
    /// What pins `name` in `region`.
    pub fn pin(&self, region: &RegionName, name: &CollectionName) -> Option<&CollectionEntry> {
        self.pins.get(region)?.get(name)
    }

    /// The pins of `name`, by region.
    pub fn pins_of<'a>(
        &'a self,
        name: &'a CollectionName,
    ) -> impl Iterator<Item = (&'a RegionName, &'a CollectionEntry)> {
        self.pins.iter().filter_map(move |(region, pinned)| Some((region, pinned.get(name)?)))
    }

    /// How many pins there are.
    pub fn pins_count(&self) -> usize {
        self.pins.values().map(BTreeMap::len).sum()
    }
}

impl CollectionEntry {
    /// Whether nodes of `region` serve the collection.
    pub fn is_served_in(&self, region: &RegionName) -> bool {
        self.regions.as_ref().is_none_or(|regions| regions.contains(region))
    }
}

/// How fresh one collection version is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freshness {
    /// The version this speaks of.
    pub version: Version,
    /// Only rises for one version.
    pub data_as_of: DateTime<Utc>,
}

/// `catalog/head`: a hint, the only object that is ever overwritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Format number.
    pub format: u32,
    /// Must equal the documents' deployment.
    pub deployment: DeploymentId,
    /// The newest document's number, as far as the writer knew.
    pub n: u64,
    /// Freshness per collection.
    pub data_as_of: BTreeMap<CollectionName, Freshness>,
}
