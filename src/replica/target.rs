//! What a replica applies to: the cache, or a plain map in tests of faults.

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
    /// What a caller may do about it.
    pub kind: ErrorKind,
    /// The stable code.
    pub code: &'static str,
    /// What is wrong.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Where collections are served from. [`Target::build`] and [`Target::apply`] run where blocking is
/// allowed and one at a time per collection; the others return at once. Buffers hold the bytes of
/// the segments asked for, in the manifest's order, with the right SHA-256.
pub trait Target: Send + Sync + 'static {
    /// The manifest of what is served now.
    fn served(&self, name: &CollectionName) -> Option<Arc<Manifest>>;

    /// Builds the whole of `manifest` beside what is served, then swaps. Within one version the time of
    /// the data stays, as in [`Target::adopt`].
    fn build(&self, manifest: Arc<Manifest>, segments: Vec<SegmentBuffer>) -> Result<(), Refusal>;

    /// Applies change segments to what is served, which then is `manifest`. After a refusal the
    /// replica builds the collection anew.
    fn apply(&self, manifest: Arc<Manifest>, segments: Vec<SegmentBuffer>) -> Result<(), Refusal>;

    /// Serves `manifest`, whose content is what is served already: other settings, other segments
    /// with the same content, a higher version. Within one version the time of the data stays.
    fn adopt(&self, manifest: Arc<Manifest>) -> Result<(), Refusal>;

    /// The source was seen unchanged at `data_as_of`; an earlier time than the present one is
    /// ignored.
    fn set_freshness(&self, name: &CollectionName, data_as_of: DateTime<Utc>);

    /// The catalog names the collection, and nothing of it is here yet.
    fn set_loading(&self, name: &CollectionName);

    /// The collection is served in these regions, not in this one; content of it goes.
    fn set_elsewhere(&self, name: &CollectionName, regions: Arc<[RegionName]>);

    /// The catalog no longer names the collection.
    fn remove(&self, name: &CollectionName);

    /// Puts these keys in force. It happens before the node says that it has them, or that it is ready.
    fn use_keys(&self, _keys: &KeySet) {}

    /// What the collection takes in memory, when it is loaded and that is known.
    fn memory_usage(&self, _name: &CollectionName) -> Option<MemoryUsage> {
        None
    }
}
