//! Why content cannot be served as given.

use crate::domain::{error::codes, manifest::Version};

/// Why a collection cannot be built or changed. A collection that refuses stays as it was, but
/// for [`Error::Miscounted`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A segment of another collection.
    #[error("segment {number} belongs to another collection")]
    OtherCollection {
        /// The segment's place among those given, from 0.
        number: usize,
    },
    /// A segment whose index columns are not those of the manifest.
    #[error("segment {number} does not have the indexes of the manifest: a new base is needed")]
    OtherIndexes {
        /// The segment's place among those given, from 0.
        number: usize,
    },
    /// A manifest with other index definitions than the content was built with.
    #[error("the manifest defines other indexes than the content has: a new base is needed")]
    IndexesChanged,
    /// Segments that are not those that the manifest names.
    #[error("the segments given are not those that the manifest names ({what})")]
    OtherSegments {
        /// What differs.
        what: &'static str,
    },
    /// A base among the changes.
    #[error("the manifest has a new base: changes cannot lead to it, build it anew")]
    NewBase,
    /// A manifest below the version that is served.
    #[error("version {offered} is older than version {served}, which is served")]
    Older {
        /// The version served.
        served: Version,
        /// The version of the manifest given.
        offered: Version,
    },
    /// The segments do not add up to what the manifest says. After [`super::Collection::apply`] the
    /// content is not to be trusted: build it anew.
    #[error("the segments hold {found} records, the manifest says {expected}")]
    Miscounted {
        /// What the manifest says.
        expected: u64,
        /// What was counted.
        found: u64,
    },
    /// More segments than a location can name.
    #[error("too many segments since the base: build it anew")]
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
        "too_many_segments" Conflict: TooManySegments,
    }
}
