//! What the engine is told about a sync.

use serde::Serialize;

use crate::{
    domain::{digest::Digest, manifest::ServingSettings, name::CollectionName},
    mapping::MappingSpec,
    source::Query,
};

/// A sync: model → collection. (A type named `Sync` would hide the marker trait.)
#[derive(Debug, Clone)]
pub struct SyncSpec {
    /// The collection's name, which is the sync's.
    pub collection: CollectionName,
    /// The source's name in the configuration.
    pub source: String,
    /// What the model reads.
    pub query: Query,
    /// How rows become records.
    pub mapping: MappingSpec,
    /// What becomes of records whose row left the model.
    pub on_delete: OnDelete,
    /// When a run is held.
    pub guards: GuardSettings,
    /// How the collection is served.
    pub serving: ServingSettings,
    /// Whether bodies are compressed.
    pub compression: Compression,
}

impl SyncSpec {
    /// Digest of model and mapping as configured: what explains a change of fields.
    pub fn mapping_digest(&self) -> Digest {
        let query = match &self.query {
            Query::Sql(sql) => format!("sql {sql}"),
            Query::Table { name, columns } => format!("table {name} {columns:?}"),
        };
        let mapping = serde_json::to_vec(&self.mapping).expect("a mapping is plain data");
        Digest::of(&[query.as_bytes(), b"\0", &mapping].concat())
    }
}

/// What becomes of records whose row left the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum OnDelete {
    /// They disappear.
    #[default]
    Delete,
    /// They stay as last seen.
    Keep,
    /// They stay, every mapped field null except those of key and index columns.
    Clear,
}

/// Whether bodies are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum Compression {
    /// With a trained dictionary when that pays.
    #[default]
    Auto,
    /// Never.
    None,
}

/// Shares past which a run is held, in 0..=1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GuardSettings {
    /// Largest share of records that may leave in one run (0.3).
    pub max_removed: f64,
    /// Largest share of rows that may be rejected in one run.
    pub max_rejected: f64,
}
