//! The plan of a run: its base, and whether it writes changes or a new base. It is made by comparing the sync with the
//! manifest of the base.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{
    base::{Announced, Base},
    increment::IncrementPlan,
    spec::SyncSpec,
};
use crate::{
    domain::{
        cursor::Cursor,
        digest::Digest,
        id::RunId,
        manifest::{Manifest, SegmentKind, SegmentReference, Version},
        row::Column,
        run::RunCounts,
    },
    mapping::Mapping,
    support::random,
};

/// What a run starts from and how it writes.
pub(super) struct RunPlan {
    pub(super) spec: SyncSpec,
    pub(super) columns: Vec<Column>,
    pub(super) mapping: Mapping,
    pub(super) base: Option<Arc<Base>>,
    /// SHA-256 of the announced manifest, which the announcement names as its predecessor.
    pub(super) from: Option<Digest>,
    /// Write a new base: there is none, or indexes or fields changed.
    pub(super) rebuild: bool,
    /// The fields of records changed although the mapping did not.
    pub(super) fields_changed: bool,
    pub(super) fingerprint_seed: u64,
    pub(super) version: Version,
    /// How a sync with increments reads.
    pub(super) increment: Option<IncrementPlan>,
    /// Compare with nothing: there is no base, its primary key is another column, or it cannot be read.
    starts_empty: bool,
}

impl RunPlan {
    /// `is_base_lost` tells that segments of the announced base cannot be read.
    pub(super) fn new(
        spec: SyncSpec,
        columns: Vec<Column>,
        mapping: Mapping,
        announced: Announced,
        is_base_lost: bool,
    ) -> Self {
        let Announced { base, from, last, .. } = announced;
        let manifest = base.as_deref().map(|base| &base.manifest);
        let key = mapping.indexes().first().map(|index| (&index.column, &index.hash));
        let has_other_key =
            |manifest: &Manifest| manifest.indexes.first().map(|index| (&index.column, &index.hash)) != key;
        let starts_empty = is_base_lost || manifest.is_none_or(has_other_key);
        let same_fields = manifest.is_some_and(|manifest| manifest.fields == mapping.fields());
        let same_indexes = manifest.is_some_and(|manifest| manifest.indexes == mapping.indexes());
        let same_mapping = manifest.is_some_and(|manifest| manifest.mapping == spec.mapping_digest());
        Self {
            rebuild: starts_empty || !same_fields || !same_indexes,
            fields_changed: !starts_empty && !same_fields && same_mapping,
            fingerprint_seed: manifest
                .filter(|_| !starts_empty)
                .map_or_else(random::seed, |manifest| manifest.fingerprint_seed),
            version: Version(last.0 + 1),
            spec,
            columns,
            mapping,
            base,
            from,
            increment: None,
            starts_empty,
        }
    }

    /// The manifest that the run is compared with.
    pub(super) fn compared(&self) -> Option<&Manifest> {
        self.base.as_deref().map(|base| &base.manifest).filter(|_| !self.starts_empty)
    }

    /// The kind of the run's segments.
    pub(super) fn kind(&self) -> SegmentKind {
        if self.rebuild { SegmentKind::Base } else { SegmentKind::Changes }
    }

    /// Whether settings must be announced although no record changed.
    pub(super) fn settings_differ(&self) -> bool {
        self.compared().is_none_or(|manifest| {
            manifest.serving != self.spec.serving || manifest.mapping != self.spec.mapping_digest()
        })
    }

    /// The manifest that the run publishes, with its new `segments`.
    pub(super) fn manifest(
        &self,
        run_id: RunId,
        created_at: DateTime<Utc>,
        data_as_of: DateTime<Utc>,
        counts: &RunCounts,
        new: Vec<SegmentReference>,
        cursor: Option<Cursor>,
    ) -> Manifest {
        let kept = self.compared().filter(|_| !self.rebuild);
        let version = kept.filter(|_| new.is_empty()).map_or(self.version, |manifest| manifest.version);
        let mut segments = kept.map(|manifest| manifest.segments.clone()).unwrap_or_default();
        segments.extend(new);
        Manifest {
            format: Manifest::format_of(self.mapping.indexes()),
            collection: self.spec.collection.clone(),
            version,
            run_id,
            created_at,
            data_as_of,
            indexes: self.mapping.indexes().to_vec(),
            columns: self.columns.clone(),
            fields: self.mapping.fields(),
            mapping: self.spec.mapping_digest(),
            configuration: Some(self.spec.configuration().announced_at(created_at)),
            fingerprint_seed: self.fingerprint_seed,
            serving: self.spec.serving.clone(),
            segments,
            records: counts.records,
            left: counts.left,
            cursor,
        }
    }
}
