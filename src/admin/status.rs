//! The announced collections, with their runs, held runs and pauses from metadata.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    error::Error,
    fleet::{FleetStatus, StoreProblem},
};
use crate::{
    catalog::Catalog,
    domain::{
        CatalogDocument, CollectionEntry, CollectionName, DeploymentId, IndexName, Manifest, MetadataId,
        Pause, RegionName, RunId, RunRecord,
    },
    metadata::Metadata,
};

/// The announced state of a deployment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// The deployment; `None` while nothing was announced.
    pub deployment: Option<DeploymentId>,
    /// The metadata database that publishes.
    pub metadata: Option<MetadataId>,
    /// Whether that is this node's; `None` when this node's is not known.
    pub publishes_here: Option<bool>,
    /// Number of the newest catalog document.
    pub catalog: u64,
    /// Revision of the announced key set.
    pub key_set_revision: Option<u64>,
    /// Keys in it.
    pub keys: Option<usize>,
    /// Why the newest document, its key set or head cannot be read. The status is then that of the last document that
    /// can be.
    pub problem: Option<StoreProblem>,
    /// Every announced collection, and every sync that has not announced one yet.
    pub collections: Vec<CollectionStatus>,
    /// The nodes, when their statuses were read.
    pub fleet: Option<FleetStatus>,
}

/// One collection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CollectionStatus {
    /// Its name.
    pub collection: CollectionName,
    /// The announced version; `None` when there is none yet.
    pub version: Option<u64>,
    /// Records served.
    pub records: u64,
    /// Records among them that are retained although their row has left the model.
    pub left: u64,
    /// Bytes of all segments.
    pub bytes: u64,
    /// Segments of the base, and of changes.
    pub segments: (usize, usize),
    /// Share of stored rows that serve no record, in 0..=1.
    pub garbage: f64,
    /// When the source was last seen with this content.
    pub data_as_of: Option<DateTime<Utc>>,
    /// Regions that serve it; `None` means all.
    pub regions: Option<Vec<RegionName>>,
    /// The indexes by which records are looked up, the primary one first.
    #[serde(default)]
    pub indexes: Vec<IndexName>,
    /// Whether it is announced but no longer configured. It is served until it is dropped. Always false where the
    /// syncs are not known.
    pub orphaned: bool,
    /// The last run.
    pub last_run: Option<RunRecord>,
    /// A run that waits for an operator.
    pub held_run: Option<RunId>,
    /// The version at which it was dropped. Only a requested run brings it back.
    pub dropped: Option<u64>,
    /// Why scheduled runs are paused, if they are.
    pub paused: Option<Pause>,
    /// Pinned regions, and their versions.
    pub pins: BTreeMap<RegionName, u64>,
    /// Why the manifest of the announced version, or of a pinned one, cannot be read. Counts are then 0.
    pub problem: Option<StoreProblem>,
}

/// Which collections are read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Selection<'a> {
    /// All of them.
    All,
    /// This one, if there is one.
    One(&'a CollectionName),
    /// Some behind a name, in the order of their names.
    Page {
        /// The name.
        after: Option<&'a CollectionName>,
        /// Most collections.
        limit: usize,
    },
}

impl<'a> Selection<'a> {
    fn of(self, names: BTreeSet<&'a CollectionName>) -> Vec<&'a CollectionName> {
        match self {
            Self::All => names.into_iter().collect(),
            Self::One(name) => names.into_iter().filter(|known| *known == name).collect(),
            Self::Page { after, limit } => {
                let behind = names.into_iter().filter(|name| after.is_none_or(|after| *name > after));
                behind.take(limit).collect()
            }
        }
    }
}

impl Status {
    /// Reads the store, and metadata if given. `configured` has the names of the configured syncs; only a publisher's
    /// configuration knows them.
    pub(super) async fn read(
        catalog: &Catalog,
        metadata: Option<&Metadata>,
        configured: Option<&BTreeSet<CollectionName>>,
        selection: Selection<'_>,
    ) -> Result<Self, Error> {
        let last = catalog.last_readable(None).await?;
        let newest = last.document;
        let head = catalog.usable_head().await?;
        let mut status = Self {
            deployment: newest.as_ref().map(|document| document.deployment),
            metadata: newest.as_ref().and_then(|document| document.metadata),
            publishes_here: None,
            catalog: newest.as_ref().map_or(0, |document| document.n),
            key_set_revision: None,
            keys: None,
            problem: last.problem.as_ref().map(StoreProblem::of),
            collections: Vec::new(),
            fleet: None,
        };
        if let (Some(found), Some(metadata)) = (status.metadata, metadata) {
            status.publishes_here = Some(metadata.id().await? == found);
        }
        if let Some(reference) = newest.as_ref().and_then(|document| document.keys.as_ref()) {
            status.key_set_revision = Some(reference.revision);
            match catalog.key_set(reference).await {
                Ok(set) => status.keys = Some(set.keys.len()),
                Err(error) if error.is_of_object() => {
                    status.problem.get_or_insert_with(|| StoreProblem::of(&error));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let announced = newest.iter().flat_map(|document| document.collections.keys());
        let paused = newest.iter().flat_map(|document| document.pauses.keys());
        let names: BTreeSet<&CollectionName> =
            announced.chain(paused).chain(configured.into_iter().flatten()).collect();
        for name in selection.of(names) {
            let mut one = CollectionStatus::absent(name, newest.as_ref(), metadata).await?;
            if let Some((document, entry)) =
                newest.as_ref().and_then(|document| Some((document, document.collections.get(name)?)))
            {
                one.version = Some(entry.version.0);
                one.regions.clone_from(&entry.regions);
                one.orphaned = configured.is_some_and(|configured| !configured.contains(name));
                let pins = document.pins_of(name);
                one.pins = pins.map(|(region, pinned)| (region.clone(), pinned.version.0)).collect();
                let hinted = head.as_ref().and_then(|head| head.data_as_of.get(name));
                let hinted = hinted.filter(|hint| hint.version == entry.version).map(|hint| hint.data_as_of);
                one.data_as_of = hinted;
                for (_, pinned) in document.pins_of(name) {
                    one.read_manifest(catalog, name, pinned).await?;
                }
                if let Some(manifest) = one.read_manifest(catalog, name, entry).await? {
                    one.records = manifest.records;
                    let looked_up = manifest.indexes.iter().filter(|index| !index.is_order);
                    one.indexes = looked_up.map(|index| index.name.clone()).collect();
                    one.left = manifest.left;
                    one.bytes = manifest.segments.iter().map(|segment| segment.bytes).sum();
                    let changes = manifest.change_segments();
                    one.segments = (manifest.segments.len() - changes, changes);
                    one.garbage = (manifest.garbage_ratio() * 1000.0).round() / 1000.0;
                    one.data_as_of = hinted.max(Some(manifest.data_as_of));
                }
            }
            status.collections.push(one);
        }
        Ok(status)
    }
}

impl CollectionStatus {
    async fn absent(
        name: &CollectionName,
        newest: Option<&CatalogDocument>,
        metadata: Option<&Metadata>,
    ) -> Result<Self, Error> {
        let (last_run, held_run) = match metadata {
            Some(metadata) => {
                let held = metadata.held_run(name).await?.map(|held| held.record.id);
                (metadata.last_run(name).await?, held)
            }
            None => (None, None),
        };
        Ok(Self {
            collection: name.clone(),
            version: None,
            records: 0,
            left: 0,
            bytes: 0,
            segments: (0, 0),
            garbage: 0.0,
            data_as_of: None,
            regions: None,
            indexes: Vec::new(),
            orphaned: false,
            last_run,
            held_run,
            dropped: newest.and_then(|document| document.dropped.get(name)).map(|last| last.0),
            paused: newest.and_then(|document| document.pauses.get(name)).cloned(),
            pins: BTreeMap::new(),
            problem: None,
        })
    }

    /// Reads a manifest. One that is lost or damaged becomes the problem of the collection.
    async fn read_manifest(
        &mut self,
        catalog: &Catalog,
        name: &CollectionName,
        entry: &CollectionEntry,
    ) -> Result<Option<Manifest>, Error> {
        match catalog.manifest(name, entry).await {
            Ok(manifest) => Ok(Some(manifest)),
            Err(error) if error.is_of_object() => {
                self.problem = Some(StoreProblem::of(&error));
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}
