//! Reasons why segments or a manifest are refused.

use crate::domain::{error::codes, manifest::Version};

/// Why a collection cannot be built or changed. A refused change leaves the collection as it was, except for
/// [`Error::Miscounted`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The segment at this position, from 0, belongs to another collection.
    #[error("segment {0} belongs to another collection")]
    OtherCollection(usize),
    /// The segment at this position, from 0, has other index columns than the manifest.
    #[error("segment {0} does not have the indexes of the manifest: a new base is needed")]
    OtherIndexes(usize),
    /// The manifest has other index definitions than the collection was built with.
    #[error("the manifest defines other indexes than the collection has: a new base is needed")]
    IndexesChanged,
    /// This property of the segments is not that of the manifest.
    #[error("the segments differ from those of the manifest ({0})")]
    OtherSegments(&'static str),
    /// The manifest has a base segment that is not applied yet.
    #[error("the manifest has a new base: build the collection again")]
    NewBase,
    /// The manifest is older than the served version.
    #[error("version {offered} is older than the served version {served}")]
    Older {
        /// The version served.
        served: Version,
        /// The version of the manifest.
        offered: Version,
    },
    /// The segments hold another number of records than the manifest states. After
    /// [`super::Collection::apply`] the collection must be built again.
    #[error("the segments hold {found} records, the manifest states {expected}")]
    Miscounted {
        /// The number in the manifest.
        expected: u64,
        /// The number of live records.
        found: u64,
    },
    /// A record of a rewritten segment is not served as it stands there.
    #[error("the segments do not hold the served records: build the collection again")]
    OtherContent,
    /// More segments than a location can name.
    #[error("too many segments since the base: build the collection again")]
    TooManySegments,
}

codes! {
    Error {
        "segment_of_other_collection" Corrupt: OtherCollection,
        "segment_of_other_indexes" Conflict: OtherIndexes,
        "indexes_changed" Conflict: IndexesChanged,
        "segments_do_not_match" Corrupt: OtherSegments,
        "new_base_needed" Conflict: NewBase,
        "older_version" Conflict: Older,
        "records_miscounted" Corrupt: Miscounted,
        "other_content" Conflict: OtherContent,
        "too_many_segments" Conflict: TooManySegments,
    }
}
