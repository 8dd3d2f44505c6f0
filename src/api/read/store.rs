//! What the read path asks of whatever holds the records.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::{manifest::Manifest, name::RegionName};

/// The version that a collection serves, whole, and how fresh it is. The same `Arc` is given for
/// as long as neither changes: what is derived from it is kept by its address.
#[derive(Debug, Clone, PartialEq)]
pub struct Served {
    /// The version's manifest.
    pub manifest: Arc<Manifest>,
    /// How fresh it is.
    pub data_as_of: DateTime<Utc>,
}

/// What became of a look-up.
#[derive(Debug, Clone)]
pub enum Found {
    /// The catalog names no such collection.
    UnknownCollection,
    /// The catalog names it; it is not loaded here yet.
    Loading,
    /// It is served in these regions only.
    InOtherRegion(Arc<[RegionName]>),
    /// It is served, without such an index.
    UnknownIndex(Arc<Served>),
    /// No record has the value.
    Miss(Arc<Served>),
    /// The record is in the body that was handed in; its fingerprint is this. `Served` was read
    /// before the record: the record is of that version or the next, never of an older one.
    Hit(Arc<Served>, u128),
}

/// Records in memory. A look-up never waits.
pub trait Records: Clone + Send + Sync + 'static {
    /// Looks `value` up, as it came (the index's normal form is applied here), and writes the
    /// record into `body`, which is empty.
    fn find(&self, collection: &str, index: &str, value: &str, body: &mut Vec<u8>) -> Found;
}
