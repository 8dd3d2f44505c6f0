//! How a run writes: what follows from comparing sync and mapping with the base's manifest.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{base::Base, spec::SyncSpec};
use crate::{
    domain::{
        id::RunId,
        limits::FORMAT,
        manifest::{Manifest, SegmentKind, SegmentReference, Version},
        row::Column,
        run::RunCounts,
    },
    mapping::Mapping,
    support::random,
};

/// What a run starts from and how it writes.
pub(super) struct Plan {
    pub(super) spec: SyncSpec,
    pub(super) columns: Vec<Column>,
    pub(super) mapping: Mapping,
    pub(super) base: Option<Arc<Base>>,
    /// Write a new base: there is none, or indexes or fields changed.
    pub(super) rebuild: bool,
    /// The model's fields changed although nothing was configured.
    pub(super) fields_changed: bool,
    pub(super) fingerprint_seed: u64,
    pub(super) version: Version,
    /// Begin from nothing: there is no base, its primary key is another column, or its records are lost.
    anew: bool,
}

impl Plan {
    /// A plan from `base`, of which all that it holds may be lost; `last` is the version after which the next
    /// one comes.
    pub(super) fn new(
        spec: SyncSpec,
        columns: Vec<Column>,
        mapping: Mapping,
        (base, is_lost): (Option<Arc<Base>>, bool),
        last: Version,
    ) -> Self {
        let manifest = base.as_deref().map(|base| &base.manifest);
        let key = &spec.mapping.primary_key;
        let other_key = |manifest: &Manifest| manifest.indexes.first().map(|i| &i.column) != Some(key);
        let anew = is_lost || manifest.is_none_or(other_key);
        let same_fields = manifest.is_some_and(|manifest| manifest.fields == mapping.fields());
        let same_indexes = manifest.is_some_and(|manifest| manifest.indexes == mapping.indexes());
        let same_mapping = manifest.is_some_and(|manifest| manifest.mapping == spec.mapping_digest());
        Self {
            rebuild: anew || !same_fields || !same_indexes,
            fields_changed: !anew && !same_fields && same_mapping,
            fingerprint_seed: manifest
                .filter(|_| !anew)
                .map_or_else(random::seed, |manifest| manifest.fingerprint_seed),
            version: Version(last.0 + 1),
            spec,
            columns,
            mapping,
            base,
            anew,
        }
    }

    /// The manifest that the run is compared with.
    pub(super) fn compared(&self) -> Option<&Manifest> {
        self.base.as_deref().map(|base| &base.manifest).filter(|_| !self.anew)
    }

    /// What the run's segments are.
    pub(super) fn kind(&self) -> SegmentKind {
        if self.rebuild { SegmentKind::Base } else { SegmentKind::Changes }
    }

    /// Whether settings must be announced although no record changed.
    pub(super) fn settings_differ(&self) -> bool {
        self.compared().is_none_or(|manifest| {
            manifest.serving != self.spec.serving || manifest.mapping != self.spec.mapping_digest()
        })
    }

    /// The manifest that the run publishes.
    pub(super) fn manifest(
        &self,
        run_id: RunId,
        created_at: DateTime<Utc>,
        data_as_of: DateTime<Utc>,
        counts: &RunCounts,
        written: Vec<SegmentReference>,
    ) -> Manifest {
        let is_same = !self.rebuild && written.is_empty();
        let version = match self.compared() {
            Some(manifest) if is_same => manifest.version,
            _ => self.version,
        };
        let mut segments = match self.compared() {
            Some(manifest) if !self.rebuild => manifest.segments.clone(),
            _ => Vec::new(),
        };
        segments.extend(written);
        Manifest {
            format: FORMAT,
            collection: self.spec.collection.clone(),
            version,
            run_id,
            created_at,
            data_as_of,
            indexes: self.mapping.indexes().to_vec(),
            columns: self.columns.clone(),
            fields: self.mapping.fields(),
            mapping: self.spec.mapping_digest(),
            fingerprint_seed: self.fingerprint_seed,
            serving: self.spec.serving.clone(),
            segments,
            records: counts.records,
            left: counts.left,
        }
    }
}
