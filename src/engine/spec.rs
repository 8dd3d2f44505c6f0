//! What a sync is.

use chrono::{DateTime, Utc};

use super::{error::Error, increment::IncrementSettings};
use crate::{
    domain::{
        digest::Digest,
        manifest::{Configuration, Manifest, ServingSettings},
        name::CollectionName,
    },
    mapping::MappingSpec,
    model::{self, Model, Target},
    source::{Query, Source},
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
    /// How it reads increments; `None` when every run reads the whole model.
    pub increment: Option<IncrementSettings>,
    /// Which of two configurations of the sync is newer; 0 unless it is written.
    pub revision: u64,
    /// When the files were last changed that the sync is configured in.
    pub changed_at: DateTime<Utc>,
    /// Digest of these files; `None` of a configuration that is in no file.
    pub files: Option<Digest>,
}

impl SyncSpec {
    /// The query that a run which begins now reads of `source`.
    ///
    /// # Errors
    /// Those of [`Model::resolve`].
    pub async fn resolve(&self, source: &Source) -> Result<Query, model::Error> {
        let target = Target { sync: &self.collection, primary_key: Some(&self.mapping.primary_key), source };
        self.model.resolve(target).await
    }

    /// Digest of the mapping, its indexes and its primary key.
    ///
    /// A digest that changed explains changed fields: somebody configured them. The model is no part of it,
    /// so fields that change with the query alone are caught by the `fields_changed` guard.
    pub fn mapping_digest(&self) -> Digest {
        Digest::of(&serde_json::to_vec(&self.mapping).expect("a mapping is plain data"))
    }

    /// The configuration, as a manifest has it. The digest covers the settings that decide the announced records
    /// and how they are served, but not guards and schedule. Another build may have another digest.
    pub fn configuration(&self) -> Configuration {
        let Self { model, on_delete, serving, compression, increment, .. } = self;
        let mapping = self.mapping_digest();
        let text = format!("{model:?} {mapping} {on_delete:?} {serving:?} {compression:?} {increment:?}");
        Configuration {
            revision: self.revision,
            changed_at: self.changed_at,
            files: self.files,
            build: Some(env!("CARGO_PKG_VERSION").to_owned()),
            sha256: Digest::of(text.as_bytes()),
        }
    }

    /// Checks that no newer configuration made `manifest`.
    ///
    /// # Errors
    /// [`Error::ConfigurationOutdated`].
    pub(super) fn check_newest(&self, manifest: &Manifest) -> Result<(), Error> {
        let own = self.configuration();
        match &manifest.configuration {
            Some(newest) if newest.supersedes(&own) => Err(Error::ConfigurationOutdated {
                sync: self.collection.clone(),
                newest: Box::new(newest.clone()),
                own: Box::new(own),
            }),
            _ => Ok(()),
        }
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
