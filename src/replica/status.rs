//! What a replica tells the rest of the process.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};

use crate::domain::{
    id::DeploymentId,
    keyset::KeySet,
    manifest::Version,
    name::{CollectionName, RegionName},
    node::LastError,
};

/// Where a replica stands. Published whenever any of it changes.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    /// The newest catalog document known; 0 before the first.
    pub n: u64,
    /// The catalog's deployment.
    pub deployment: Option<DeploymentId>,
    /// The keys in force. Their revision never falls.
    pub keys: Arc<KeySet>,
    /// When the store last said that these are the keys in force, by this node's clock.
    pub keys_at: Option<DateTime<Utc>>,
    /// When the store last answered a look, by this node's clock.
    pub polled_at: Option<DateTime<Utc>>,
    /// Why the catalog or the keys cannot be followed now.
    pub problem: Option<Problem>,
    /// Whether requests may come; stays so.
    pub ready: bool,
    /// Every collection that the catalog names.
    pub collections: Arc<BTreeMap<CollectionName, CollectionStatus>>,
}

/// Where the publishing side of the same node stands.
#[derive(Debug, Clone, Default)]
pub struct PublisherStatus {
    /// Whether syncs that are due run here.
    pub is_up: bool,
    /// When a run last ended here.
    pub last_run_at: Option<DateTime<Utc>>,
    /// The last run that failed here.
    pub last_error: Option<LastError>,
    /// Why nothing is announced from here.
    pub problem: Option<Problem>,
}

/// Where one collection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionStatus {
    /// The version that the catalog names.
    pub wanted: Version,
    /// The version that is served.
    pub served: Option<Version>,
    /// When the source was last seen with the content that is served.
    pub data_as_of: Option<DateTime<Utc>>,
    /// Records served.
    pub records: u64,
    /// Bytes of the segments served.
    pub bytes: u64,
    /// Whether this node serves it.
    pub place: Place,
    /// Why what is served is not what is wanted; the last good version goes on.
    pub problem: Option<Problem>,
}

/// Where a collection is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On this node.
    Here,
    /// In these regions, not in this one.
    Elsewhere(Arc<[RegionName]>),
}

/// Something that goes wrong, and is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The stable code.
    pub code: &'static str,
    /// What happened.
    pub message: String,
    /// Since when, by this node's clock.
    pub since: DateTime<Utc>,
}
