//! The manifest: immutable, one per collection version, with everything that a replica needs to serve it.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    bounded::{list, list_or_null},
    cursor::Cursor,
    digest::Digest,
    fields::FieldPath,
    id::RunId,
    index::{IndexDefinition, SharedValues},
    limits::{
        COLUMNS_MAX, FIELDS_MAX, FORMAT, INCLUDES_MAX, INDEXES_MAX, ORIGINS_MAX, REGIONS_MAX, SEGMENTS_MAX,
    },
    name::{CollectionName, IndexName, RegionName},
    row::Column,
};

/// The number of a collection's state. It only increases; the first announced version is 1.
#[derive(
    utoipa::ToSchema, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Version(pub u64);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The answer to a request for a record that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMiss {
    /// 404 `record_not_found`.
    #[default]
    NotFound,
    /// 200 and `{}`.
    Empty,
    /// 200 and this object, given as compact JSON text.
    Record(String),
}

/// How a collection is served. Announced with the collection, so that replicas need no configuration for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServingSettings {
    /// The answer to a miss.
    #[serde(default)]
    pub on_miss: OnMiss,
    /// `Cache-Control` of records; the default is `private, no-store`.
    #[serde(default)]
    pub cache_control: Option<String>,
    /// Regions that serve the collection; `None` means all.
    #[serde(default, deserialize_with = "list_or_null::<_, _, REGIONS_MAX>")]
    pub regions: Option<Vec<RegionName>>,
    /// Pages that may read records; `None` means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<CorsSettings>,
    /// The collections that a look-up may join. A node of an earlier build serves records without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list::<_, _, INCLUDES_MAX>")]
    pub includes: Vec<Include>,
}

/// Pages of other origins that browsers let read a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorsSettings {
    /// Their origins, as browsers write them: `https://app.example.com`.
    #[serde(deserialize_with = "list::<_, _, ORIGINS_MAX>")]
    pub origins: Vec<String>,
    /// How long a browser may keep the answer to whether it may send a request.
    pub max_age_seconds: u64,
}

/// Records of another collection, which a look-up adds to a record under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Include {
    /// The member of the answer that holds them.
    pub name: IndexName,
    /// The field of the record with the value, or the array of values, to look up. A dot enters an object.
    pub from: FieldPath,
    /// The collection.
    pub collection: CollectionName,
    /// Its index.
    pub index: IndexName,
    /// Most values of an array that are looked up; those behind them are ignored.
    pub limit: usize,
    /// Whether a value without a record is null instead of left out.
    #[serde(default)]
    pub nulls: bool,
    /// Whether every answer has it.
    #[serde(default)]
    pub always: bool,
}

/// The content of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentKind {
    /// Part of the complete content at one version.
    Base,
    /// Puts and deletes that turn one version into a later one.
    Changes,
}

/// A segment as referenced by a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentReference {
    /// The object's path in the store, relative to its root.
    pub object: String,
    /// SHA-256 of the whole file.
    pub sha256: Digest,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// Puts and deletes together.
    pub rows: u64,
    /// Deletes among them.
    pub deletes: u64,
    /// Base or changes.
    pub kind: SegmentKind,
    /// The version that the collection has when this segment and all before it are applied.
    pub version: Version,
}

/// The configuration of a sync that a manifest was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// `revision` of the sync; a higher one is newer, whatever its time.
    pub revision: u64,
    /// When its files were last changed, by the publisher's file system.
    pub changed_at: DateTime<Utc>,
    /// Digest of its files, which is the same for every build; `None` in manifests of earlier builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Digest>,
    /// The version of the build that has made `sha256`: another one may represent a configuration in another way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// Digest of all that decides what is announced.
    pub sha256: Digest,
}

impl Configuration {
    /// This configuration as it is announced at `now`: a file that is dated in the future would go before every later
    /// change.
    #[must_use]
    pub fn announced_at(self, now: DateTime<Utc>) -> Self {
        Self { changed_at: self.changed_at.min(now), ..self }
    }

    /// Whether this is another configuration than `other`, and goes before it: the one of the higher revision, then
    /// the one that was changed later. Of two that were changed at the same time it is the one whose files have the
    /// higher digest: nobody knows which is right, but publishers that agree on one do not take turns.
    pub fn supersedes(&self, other: &Self) -> bool {
        let rank = |it: &Self| (it.revision, it.changed_at);
        self.sha256 != other.sha256
            && match rank(self).cmp(&rank(other)) {
                Ordering::Equal => self.build == other.build && self.files > other.files,
                order => order == Ordering::Greater,
            }
    }
}

/// One version of one collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format number; a reader refuses one above its own.
    pub format: u32,
    /// The collection.
    pub collection: CollectionName,
    /// Its version.
    pub version: Version,
    /// The run that created this manifest.
    pub run_id: RunId,
    /// When the manifest was created, by the publisher's clock.
    pub created_at: DateTime<Utc>,
    /// The publisher's clock just before the read transaction opened.
    pub data_as_of: DateTime<Utc>,
    /// The first one is the primary index.
    #[serde(deserialize_with = "list::<_, _, { 1 + INDEXES_MAX }>")]
    pub indexes: Vec<IndexDefinition>,
    /// The model's columns when the version was created.
    #[serde(deserialize_with = "list::<_, _, COLUMNS_MAX>")]
    pub columns: Vec<Column>,
    /// Top-level field names of a record, in order; what the `fields_changed` guard compares.
    #[serde(deserialize_with = "list::<_, _, FIELDS_MAX>")]
    pub fields: Vec<String>,
    /// Digest of the mapping and model as configured: a changed one explains changed fields.
    pub mapping: Digest,
    /// The configuration that it was made with; `None` in manifests of earlier builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Configuration>,
    /// Seed of fingerprints; chosen with the first version of the collection.
    pub fingerprint_seed: u64,
    /// How the collection is served.
    pub serving: ServingSettings,
    /// Base segments, then change segments in the order in which they are applied.
    #[serde(deserialize_with = "list::<_, _, SEGMENTS_MAX>")]
    pub segments: Vec<SegmentReference>,
    /// Records served.
    pub records: u64,
    /// Records among them whose row has left the model (`keep`, `clear`).
    pub left: u64,
    /// How far a sync that reads increments has read; `None` for other syncs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
}

/// The format of a manifest that has a rule for shared values: a reader that does not know the rule would serve
/// another record.
const SHARED_VALUES_FORMAT: u32 = 2;

impl Manifest {
    /// The newest format of a manifest that this build reads.
    pub const FORMAT_MAX: u32 = SHARED_VALUES_FORMAT;

    /// The format of a manifest with these indexes: the lowest whose readers serve it right.
    pub fn format_of(indexes: &[IndexDefinition]) -> u32 {
        let is_known = |index: &IndexDefinition| index.shared == SharedValues::LowestKey;
        if indexes.iter().all(is_known) { FORMAT } else { SHARED_VALUES_FORMAT }
    }

    /// Records that the segments can hold.
    pub fn puts(&self) -> u64 {
        self.segments.iter().map(|segment| segment.rows.saturating_sub(segment.deletes)).sum()
    }

    /// The share of stored rows that serve no record, in 0..=1.
    pub fn garbage_ratio(&self) -> f64 {
        let rows: u64 = self.segments.iter().map(|segment| segment.rows).sum();
        if rows == 0 { 0.0 } else { rows.saturating_sub(self.records) as f64 / rows as f64 }
    }

    /// The number of change segments.
    pub fn change_segments(&self) -> usize {
        self.segments.iter().filter(|segment| segment.kind == SegmentKind::Changes).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_higher_revision_is_newer_and_then_the_later_time() {
        let of = |revision, seconds, text: &str| Configuration {
            revision,
            changed_at: DateTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds),
            files: None,
            build: None,
            sha256: Digest::of(text.as_bytes()),
        };
        for (one, other, expected) in [
            (of(0, 2, "a"), of(0, 1, "b"), true),
            (of(0, 1, "a"), of(0, 2, "b"), false),
            (of(0, 1, "a"), of(0, 1, "b"), false), // neither is newer
            (of(1, 1, "a"), of(0, 2, "b"), true),
            (of(0, 2, "a"), of(1, 1, "b"), false),
            (of(1, 2, "a"), of(0, 1, "a"), false), // it is the same configuration
        ] {
            assert_eq!(one.supersedes(&other), expected, "{one:?} {other:?}");
        }
    }

    #[test]
    fn of_two_configurations_of_the_same_time_one_goes_first() {
        let of = |files: &str, build: &str, text: &str| Configuration {
            revision: 0,
            changed_at: DateTime::UNIX_EPOCH,
            files: Some(Digest::of(files.as_bytes())),
            build: Some(build.to_owned()),
            sha256: Digest::of(text.as_bytes()),
        };
        let (one, other) = (of("x", "1", "a"), of("y", "1", "b"));
        assert_ne!(one.supersedes(&other), other.supersedes(&one));
        // The same files with another environment, or of another build, and a manifest of an earlier build.
        let earlier = Configuration { files: None, build: None, ..of("y", "1", "b") };
        for same in [of("x", "1", "b"), of("y", "2", "b"), of("y", "1", "a"), earlier] {
            assert!(!one.supersedes(&same) && !same.supersedes(&one), "{same:?}");
        }
    }
}
