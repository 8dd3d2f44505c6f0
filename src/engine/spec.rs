//! What a sync is.

use crate::{
    domain::{digest::Digest, manifest::ServingSettings, name::CollectionName},
    mapping::MappingSpec,
    model::Model,
};

/// A sync: model → collection. (A type named `Sync` would hide the marker trait.)
#[derive(Debug, Clone)]
pub struct SyncSpec {
    /// The collection's name, which is the sync's.
    pub collection: CollectionName,
    /// The source's name in the configuration.
    pub source: String,
    /// What the sync reads.
    pub model: Model,
    /// How rows become records.
    pub mapping: MappingSpec,
    /// What happens to records whose row left the model.
    pub on_delete: OnDelete,
    /// When a run is held.
    pub guards: GuardSettings,
    /// How the collection is served.
    pub serving: ServingSettings,
    /// Whether bodies are compressed.
    pub compression: Compression,
}

impl SyncSpec {
    /// Digest of the mapping, its indexes and its primary key.
    ///
    /// A digest that changed explains changed fields: somebody configured them. The model is no part of it,
    /// so fields that change with the query alone are caught by the `fields_changed` guard.
    pub fn mapping_digest(&self) -> Digest {
        Digest::of(&serde_json::to_vec(&self.mapping).expect("a mapping is plain data"))
    }
}

/// What happens to records whose row left the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDelete {
    /// They are removed.
    #[default]
    Delete,
    /// They stay as last seen.
    Keep,
    /// They stay, every mapped field null except those of key and index columns.
    Clear,
}

/// Whether bodies are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// With a trained dictionary when that makes them smaller.
    #[default]
    Auto,
    /// Never.
    None,
}

/// When a run is held; shares are in 0..=1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GuardSettings {
    /// Largest share of records that may leave in one run (0.3).
    pub max_removed: f64,
    /// Largest share of rows that may be rejected in one run (0.1).
    pub max_rejected: f64,
    /// Whether a first run without a row is announced (no).
    pub allow_empty: bool,
}
