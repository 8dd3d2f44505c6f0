//! The catalog decides which versions are visible: numbered, immutable documents, and `head`, a hint at the
//! newest one.

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    bounded::{list_or_null, map},
    digest::Digest,
    id::{AnnouncementId, DeploymentId, MetadataId, RunId},
    limits::{COLLECTIONS_MAX, DROPPED_MAX, PAUSES_MAX, PINS_MAX, REGIONS_MAX},
    manifest::Version,
    name::{CollectionName, RegionName},
};

/// References the key set in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySetReference {
    /// Object path in the store.
    pub object: String,
    /// SHA-256 of the object.
    pub sha256: Digest,
    /// Its revision; the higher one wins.
    pub revision: u64,
}

/// One collection in a catalog document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionEntry {
    /// The version announced.
    pub version: Version,
    /// The run that announced it.
    pub run_id: RunId,
    /// Regions that serve it; `None` means all.
    #[serde(default, deserialize_with = "list_or_null::<_, _, REGIONS_MAX>")]
    pub regions: Option<Vec<RegionName>>,
    /// Object path of the manifest.
    pub manifest: String,
    /// SHA-256 of the manifest.
    pub sha256: Digest,
}

/// Why the scheduled runs of a sync wait for an operator.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when, by the publisher's clock.
    pub at: DateTime<Utc>,
    /// Who paused it: `cli:jane@host`.
    pub by: String,
    /// Why: `rolled back to 41`.
    pub why: String,
}

/// Why, for people.
impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// `catalog/{n:020}.json`: immutable, created only if absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogDocument {
    /// Format number; a reader refuses one above its own.
    pub format: u32,
    /// The same in every document of a catalog.
    pub deployment: DeploymentId,
    /// The metadata database whose publishers may announce; only a takeover changes it. `None` until a publisher
    /// with a database announces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataId>,
    /// Its number; the first is 1.
    pub n: u64,
    /// Random, so that an announcer recognises its own document.
    pub announced_by: AnnouncementId,
    /// The key set, once a key exists.
    pub keys: Option<KeySetReference>,
    /// Every visible collection.
    #[serde(deserialize_with = "map::<_, _, _, COLLECTIONS_MAX>")]
    pub collections: BTreeMap<CollectionName, CollectionEntry>,
    /// Pins: regions that serve another version of a collection than the one above. Only visible
    /// collections are pinned, and no region has an empty map. At most [`PINS_MAX`] pins in all.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "map::<_, _, _, PINS_MAX>"
    )]
    pub pins: BTreeMap<RegionName, BTreeMap<CollectionName, CollectionEntry>>,
    /// The last version of each dropped collection. A collection that is announced again continues from
    /// that version. At most [`DROPPED_MAX`].
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "map::<_, _, _, DROPPED_MAX>"
    )]
    pub dropped: BTreeMap<CollectionName, Version>,
    /// Paused syncs, of visible and of dropped collections. At most [`PAUSES_MAX`].
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "map::<_, _, _, PAUSES_MAX>"
    )]
    pub pauses: BTreeMap<CollectionName, Pause>,
    /// The number of the newest document, up to this one, that dropped a collection or ended a pin; 0 when none
    /// did. The document before that one names what was released: see `catalog::retention`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub last_release: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl CatalogDocument {
    /// Whether this document can follow `earlier` in one catalog. Versions of collections only increase, also
    /// by a rollback and across a drop. In a catalog that was restored to an earlier state, or created again,
    /// they may decrease. (Key sets are compared by their own revision.)
    pub fn succeeds(&self, earlier: &Self) -> bool {
        let last = |document: &Self, name| {
            let entry = document.collections.get(name).map(|entry| entry.version);
            entry.or_else(|| document.dropped.get(name).copied())
        };
        let increases = |name| match last(self, name) {
            Some(version) => last(earlier, name) <= Some(version),
            // Beyond the limit, dropped collections are forgotten.
            None => self.dropped.len() >= DROPPED_MAX,
        };
        earlier.collections.keys().chain(earlier.dropped.keys()).all(increases)
    }

    /// The pin of `name` in `region`.
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

    /// The number of pins.
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

/// The freshness of one collection version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freshness {
    /// The version.
    pub version: Version,
    /// Only increases for one version.
    pub data_as_of: DateTime<Utc>,
}

/// `catalog/head`: a hint. Apart from node statuses, it is the only object that is overwritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Format number.
    pub format: u32,
    /// Must equal the documents' deployment.
    pub deployment: DeploymentId,
    /// The number of the newest document that the writer knew of.
    pub n: u64,
    /// Freshness per collection.
    #[serde(deserialize_with = "map::<_, _, _, COLLECTIONS_MAX>")]
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
            metadata: None,
            n: 1,
            announced_by: AnnouncementId::from_uuid(random::uuid()),
            keys: None,
            collections: served.iter().map(|(of, version)| (name(of), entry(*version))).collect(),
            pins: BTreeMap::new(),
            dropped: dropped.iter().map(|(of, version)| (name(of), Version(*version))).collect(),
            pauses: BTreeMap::new(),
            last_release: 0,
        }
    }

    #[test]
    fn a_document_follows_only_lower_or_equal_versions() {
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
