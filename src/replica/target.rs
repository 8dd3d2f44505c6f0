//! The interface that a replica applies collections to: the cache, or a plain map in fault tests.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::{
    disk::SegmentBuffer,
    domain::{
        error::ErrorKind,
        keyset::KeySet,
        manifest::Manifest,
        name::{CollectionName, RegionName},
    },
    status::MemoryUsage,
};

/// Content that cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct Refusal {
    /// Its kind.
    pub kind: ErrorKind,
    /// The stable code.
    pub code: &'static str,
    /// The cause.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// An exchange of all segments of a collection whose records stay the same. It may be given up at any moment; after
/// a refusal the replica rebuilds the collection.
pub trait Exchange: Send + Sync {
    /// Serves the records of segment `number` from `segment`. May block.
    fn exchange(&self, number: usize, segment: SegmentBuffer) -> Result<(), Refusal>;

    /// Serves the new manifest, after its last segment.
    fn finish(&self) -> Result<(), Refusal>;
}

/// Serves collections and keys.
///
/// [`Target::build`] and [`Target::apply`] may block and run one at a time per collection. The other methods
/// return at once. Buffers hold the requested segments in the manifest's order; their SHA-256 is verified.
pub trait Target: Send + Sync + 'static {
    /// The manifest of the served version.
    fn served(&self, name: &CollectionName) -> Option<Arc<Manifest>>;

    /// Builds `manifest` from all its segments while the served content stays, then swaps the two. When the
    /// version is the same, `data_as_of` never goes back.
    fn build(&self, manifest: Arc<Manifest>, segments: Vec<SegmentBuffer>) -> Result<(), Refusal>;

    /// Applies change segments to the served content, which then equals `manifest`. After a refusal the
    /// replica rebuilds the collection.
    fn apply(&self, manifest: Arc<Manifest>, segments: Vec<SegmentBuffer>) -> Result<(), Refusal>;

    /// Begins to exchange the segments of the served content for those of `manifest`, which has the same records.
    /// `None`: the collection must be built beside itself.
    fn begin_exchange(&self, _manifest: &Arc<Manifest>) -> Option<Arc<dyn Exchange>> {
        None
    }

    /// Serves `manifest`, whose content is already served: only settings, segment boundaries or the version
    /// differ. When the version is the same, `data_as_of` never goes back.
    fn adopt(&self, manifest: Arc<Manifest>) -> Result<(), Refusal>;

    /// Records that the source was unchanged at `data_as_of`. A time before the present value is ignored.
    fn set_freshness(&self, name: &CollectionName, data_as_of: DateTime<Utc>);

    /// Marks a collection that the catalog names and that is not loaded yet.
    fn set_loading(&self, name: &CollectionName);

    /// Marks a collection that only `regions` serve, not this one, and removes its content.
    fn set_elsewhere(&self, name: &CollectionName, regions: Arc<[RegionName]>);

    /// Removes a collection that the catalog no longer names.
    fn remove(&self, name: &CollectionName);

    /// Puts these keys in force. Called before the node reports them and before it reports that it is ready.
    fn use_keys(&self, _keys: &KeySet) {}

    /// Memory used by the collection, when it is loaded and the amount is known.
    fn memory_usage(&self, _name: &CollectionName) -> Option<MemoryUsage> {
        None
    }
}
