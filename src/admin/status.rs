//! The announced collections, with their runs, held runs and pauses from metadata.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
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

/// Collections whose manifests are read at the same time.
const CONCURRENCY: usize = 16;

/// The announced state of a deployment.
#[derive(utoipa::ToSchema, Debug, Clone, Serialize, Deserialize)]
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
#[derive(utoipa::ToSchema, Debug, Clone, Serialize, Deserialize)]
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
    Page(Slice<'a>),
    /// All of them. Manifests are read only for some.
    WithManifests(Slice<'a>),
}

/// Some collections, in the order of their names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slice<'a> {
    /// Those behind this name.
    pub(super) after: Option<&'a str>,
    /// Most collections.
    pub(super) limit: usize,
}

impl Slice<'_> {
    fn of<'n>(self, names: impl Iterator<Item = &'n CollectionName>) -> Vec<&'n CollectionName> {
        names.filter(|name| self.after.is_none_or(|after| name.as_str() > after)).take(self.limit).collect()
    }
}

impl Selection<'_> {
    /// The collections that are read, each with whether its manifests are.
    fn of<'n>(self, names: &BTreeSet<&'n CollectionName>) -> Vec<(&'n CollectionName, bool)> {
        let names = names.iter().copied();
        let read = |name| (name, true);
        match self {
            Self::All => names.map(read).collect(),
            Self::One(name) => names.filter(|known| *known == name).map(read).collect(),
            Self::Page(slice) => slice.of(names).into_iter().map(read).collect(),
            Self::WithManifests(slice) => {
                let with: BTreeSet<_> = slice.of(names.clone()).into_iter().collect();
                names.map(|name| (name, with.contains(name))).collect()
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
        let runs = Runs::read(metadata, selection).await?;
        let newest = newest.as_ref();
        let selected = selection.of(&names).into_iter().map(|(name, with_manifests)| {
            let mut one = CollectionStatus::absent(name, newest, &runs);
            if let Some((document, entry)) = newest.and_then(|newest| entry_of(newest, name)) {
                one.orphaned = configured.is_some_and(|configured| !configured.contains(name));
                let hinted = head.as_ref().and_then(|head| head.data_as_of.get(name));
                let hinted = hinted.filter(|hint| hint.version == entry.version);
                one.data_as_of = hinted.map(|hint| hint.data_as_of);
                one.announced(document, entry);
            }
            (one, with_manifests)
        });
        let selected: Vec<(CollectionStatus, bool)> = selected.collect();
        let read = |(mut one, with_manifests): (CollectionStatus, bool)| async move {
            let newest = newest.filter(|_| with_manifests);
            if let Some((document, entry)) = newest.and_then(|newest| entry_of(newest, &one.collection)) {
                one.read_manifests(catalog, document, entry).await?;
            }
            Ok::<_, Error>(one)
        };
        let collections = stream::iter(selected).map(read).buffered(CONCURRENCY);
        status.collections = collections.try_collect().await?;
        Ok(status)
    }
}

/// A document, and its entry for a collection.
fn entry_of<'d>(
    document: &'d CatalogDocument,
    name: &CollectionName,
) -> Option<(&'d CatalogDocument, &'d CollectionEntry)> {
    Some((document, document.collections.get(name)?))
}

/// The last and held runs of syncs.
#[derive(Default)]
struct Runs {
    last: BTreeMap<CollectionName, RunRecord>,
    held: BTreeMap<CollectionName, RunId>,
}

impl Runs {
    /// Reads them with a number of statements that does not depend on the number of syncs.
    async fn read(metadata: Option<&Metadata>, selection: Selection<'_>) -> Result<Self, Error> {
        let Some(metadata) = metadata else { return Ok(Self::default()) };
        let Selection::One(name) = selection else {
            return Ok(Self { last: metadata.last_runs().await?, held: metadata.held_runs().await? });
        };
        let last = metadata.last_run(name).await?.map(|run| (name.clone(), run));
        let held = metadata.held_run(name).await?.map(|held| (name.clone(), held.record.id));
        Ok(Self { last: last.into_iter().collect(), held: held.into_iter().collect() })
    }
}

impl CollectionStatus {
    fn absent(name: &CollectionName, newest: Option<&CatalogDocument>, runs: &Runs) -> Self {
        Self {
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
            last_run: runs.last.get(name).cloned(),
            held_run: runs.held.get(name).copied(),
            dropped: newest.and_then(|document| document.dropped.get(name)).map(|last| last.0),
            paused: newest.and_then(|document| document.pauses.get(name)).cloned(),
            pins: BTreeMap::new(),
            problem: None,
        }
    }

    /// Takes what the catalog document says.
    fn announced(&mut self, document: &CatalogDocument, entry: &CollectionEntry) {
        self.version = Some(entry.version.0);
        self.regions.clone_from(&entry.regions);
        let pins = document.pins_of(&self.collection);
        self.pins = pins.map(|(region, pinned)| (region.clone(), pinned.version.0)).collect();
    }

    /// Takes what the manifest of the announced version says; those of pinned versions are read for their problems.
    async fn read_manifests(
        &mut self,
        catalog: &Catalog,
        document: &CatalogDocument,
        entry: &CollectionEntry,
    ) -> Result<(), Error> {
        let name = self.collection.clone();
        for (_, pinned) in document.pins_of(&name) {
            self.read_manifest(catalog, &name, pinned).await?;
        }
        let Some(manifest) = self.read_manifest(catalog, &name, entry).await? else { return Ok(()) };
        self.records = manifest.records;
        let looked_up = manifest.indexes.iter().filter(|index| !index.is_order);
        self.indexes = looked_up.map(|index| index.name.clone()).collect();
        self.left = manifest.left;
        self.bytes = manifest.segments.iter().map(|segment| segment.bytes).sum();
        let changes = manifest.change_segments();
        self.segments = (manifest.segments.len() - changes, changes);
        self.garbage = (manifest.garbage_ratio() * 1000.0).round() / 1000.0;
        self.data_as_of = self.data_as_of.max(Some(manifest.data_as_of));
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_bounds_the_manifests_that_are_read() {
        let names: Vec<_> = ["a", "b", "c", "d"].map(|name| CollectionName::new(name).unwrap()).to_vec();
        let all: BTreeSet<_> = names.iter().collect();
        let read = |selection: Selection<'_>| {
            let selected = selection.of(&all).into_iter();
            selected.map(|(name, read)| format!("{name}{}", u8::from(read))).collect::<Vec<_>>().join(" ")
        };
        let slice = Slice { after: Some("a"), limit: 2 };
        assert_eq!(read(Selection::All), "a1 b1 c1 d1");
        assert_eq!(read(Selection::One(&names[1])), "b1");
        assert_eq!(read(Selection::Page(slice)), "b1 c1");
        assert_eq!(read(Selection::WithManifests(slice)), "a0 b1 c1 d0");
        assert_eq!(read(Selection::WithManifests(Slice { after: None, limit: 1 })), "a1 b0 c0 d0");
    }
}
