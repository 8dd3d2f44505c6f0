//! The catalog: what is visible. Small immutable documents, numbered, and one hint that moves.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    digest::Digest,
    id::{AnnouncementId, DeploymentId, RunId},
    limits::DROPPED_MAX,
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
    /// Whether it can have come after `earlier` in one catalog: versions of collections only rise, by a
    /// rollback and across a drop as well. Those of a catalog that was put back to an earlier state, or begun
    /// anew, may not. (Key sets are judged by their own revision.)
    pub fn succeeds(&self, earlier: &Self) -> bool {
        let last = |document: &Self, name| {
            let entry = document.collections.get(name).map(|entry| entry.version);
            entry.or_else(|| document.dropped.get(name).copied())
        };
        let rises = |name| match last(self, name) {
            Some(version) => last(earlier, name) <= Some(version),
            // Of many dropped ones some are forgotten.
            None => self.dropped.len() >= DROPPED_MAX,
        };
        earlier.collections.keys().chain(earlier.dropped.keys()).all(rises)
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::limits::FORMAT, support::random};

    fn name(name: &str) -> CollectionName {
        CollectionName::new(name).unwrap()
    }

    fn document(served: &[(&str, u64)], dropped: &[(&str, u64)]) -> CatalogDocument {
        let entry = |version| CollectionEntry {
            version: Version(version),
            run_id: RunId::from_uuid(random::uuid()),
            regions: None,
            manifest: String::new(),
            sha256: Digest::of(b""),
        };
        CatalogDocument {
            format: FORMAT,
            deployment: DeploymentId::from_uuid(random::uuid()),
            n: 1,
            announced_by: AnnouncementId::from_uuid(random::uuid()),
            keys: None,
            collections: served.iter().map(|(of, version)| (name(of), entry(*version))).collect(),
            pins: BTreeMap::new(),
            dropped: dropped.iter().map(|(of, version)| (name(of), Version(*version))).collect(),
        }
    }

    #[test]
    fn versions_only_rise_within_a_catalog() {
        let earlier = document(&[("a", 3), ("b", 5)], &[("c", 7)]);
        for (served, dropped, expected) in [
            (&[("a", 3), ("b", 5)][..], &[("c", 7)][..], true),
            (&[("a", 4), ("b", 5), ("d", 1)], &[("c", 7)], true),
            (&[("b", 5)], &[("a", 3), ("c", 7)], true),
            (&[("a", 3), ("b", 5), ("c", 8)], &[], true),
            (&[("a", 2), ("b", 9)], &[("c", 7)], false),
            (&[("a", 3)], &[("c", 7)], false),
            (&[("a", 3), ("b", 5)], &[], false),
            (&[("a", 3), ("b", 5), ("c", 1)], &[], false),
            (&[], &[], false),
        ] {
            assert_eq!(document(served, dropped).succeeds(&earlier), expected, "{served:?} {dropped:?}");
        }
    }
}
