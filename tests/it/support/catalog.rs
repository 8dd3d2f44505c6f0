//! Small manifests, entries and announcers.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use larder::{
    catalog::{Announcer, AnnouncerHandle, AnnouncerPace, Catalog, Change, SegmentDraft, SigningKeys},
    disk::SegmentDirectory,
    domain::{
        catalog::CollectionEntry,
        digest::Digest,
        id::{DeploymentId, RunId},
        index::IndexDefinition,
        limits::FORMAT,
        manifest::{Manifest, SegmentKind, SegmentReference, ServingSettings, Version},
        name::{CollectionName, IndexName},
        row::ColumnKind,
    },
    store::{Location, Store},
    support::{clock::Clock, random, shutdown::Shutdown},
};
use object_store::ObjectStore;
use tokio::task::JoinHandle;

pub(crate) use super::http::DEADLINE;

pub(crate) fn name(text: &str) -> CollectionName {
    CollectionName::new(text).unwrap()
}

/// The catalog in a store over `objects`, without signatures.
pub(crate) fn catalog_over(objects: Arc<dyn ObjectStore>) -> Catalog {
    Catalog::new(Store::from_object_store(objects), SigningKeys::default())
}

/// The catalog in the store at `location`, without signatures.
pub(crate) fn open_catalog(location: &Location) -> Catalog {
    Catalog::new(Store::open(location).unwrap(), SigningKeys::default())
}

pub(crate) fn run_id() -> RunId {
    RunId::from_uuid(random::uuid())
}

pub(crate) fn deployment() -> DeploymentId {
    DeploymentId::from_uuid(random::uuid())
}

/// `seconds` after a fixed moment.
pub(crate) fn at(seconds: u64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + Duration::from_secs(1_750_000_000 + seconds)
}

/// A manifest of `segments`.
pub(crate) fn manifest(
    collection: &CollectionName,
    version: u64,
    segments: Vec<SegmentReference>,
) -> Manifest {
    Manifest {
        format: FORMAT,
        collection: collection.clone(),
        version: Version(version),
        run_id: run_id(),
        created_at: at(0),
        data_as_of: at(version),
        indexes: vec![IndexDefinition::plain(IndexName::new("id").unwrap(), "id", ColumnKind::Integer)],
        columns: Vec::new(),
        fields: Vec::new(),
        mapping: Digest::of(b"mapping"),
        configuration: None,
        fingerprint_seed: 7,
        serving: ServingSettings::default(),
        records: segments.iter().map(|segment| segment.rows).sum(),
        left: 0,
        cursor: None,
        segments,
    }
}

/// Publishes a manifest and returns the entry that names it.
pub(crate) async fn publish(catalog: &Catalog, manifest: &Manifest) -> CollectionEntry {
    let (object, sha256) = catalog.publish_manifest(manifest).await.unwrap();
    CollectionEntry {
        version: manifest.version,
        run_id: manifest.run_id,
        regions: None,
        manifest: object,
        sha256,
    }
}

/// Publishes a segment of these bytes.
pub(crate) async fn segment(
    catalog: &Catalog,
    directory: &SegmentDirectory,
    collection: &CollectionName,
    kind: SegmentKind,
    version: u64,
    content: impl Into<Bytes>,
) -> SegmentReference {
    let content = content.into();
    let draft = SegmentDraft {
        collection: collection.clone(),
        run_id: run_id(),
        number: 0,
        // A row takes at least 16 bytes.
        rows: u64::from(content.len() >= 16),
        deletes: 0,
        kind,
        version: Version(version),
    };
    catalog.publish_segment(directory, &draft, content).await.unwrap()
}

/// An entry whose manifest does not exist. An announcer does not read it.
pub(crate) fn entry(version: u64) -> CollectionEntry {
    let run_id = run_id();
    CollectionEntry {
        version: Version(version),
        run_id,
        regions: None,
        manifest: format!("collections/none/{run_id}/manifest.json"),
        sha256: Digest::of(run_id.to_string().as_bytes()),
    }
}

/// The change from one entry to the next.
pub(crate) fn change(
    collection: &CollectionName,
    from: Option<&CollectionEntry>,
    entry: &CollectionEntry,
) -> Change {
    Change::Collection {
        name: collection.clone(),
        from: from.map(|from| from.sha256),
        entry: entry.clone(),
        data_as_of: at(entry.version.0),
        pause: None,
    }
}

/// A pace without waiting.
pub(crate) fn quick() -> AnnouncerPace {
    AnnouncerPace {
        interval: Duration::ZERO,
        patience: Duration::from_secs(20),
        backoff: (Duration::from_millis(1), Duration::from_millis(5)),
        reading_age: Duration::from_mins(1),
    }
}

/// A running announcer. It ends on `shutdown`, or when the handle is dropped.
pub(crate) struct Running {
    pub(crate) handle: AnnouncerHandle,
    pub(crate) shutdown: Shutdown,
    pub(crate) task: JoinHandle<()>,
}

pub(crate) fn announcer(catalog: &Catalog, deployment: Option<DeploymentId>, pace: AnnouncerPace) -> Running {
    announcer_at(catalog, deployment, pace, Clock::default())
}

pub(crate) fn announcer_at(
    catalog: &Catalog,
    deployment: Option<DeploymentId>,
    pace: AnnouncerPace,
    clock: Clock,
) -> Running {
    let (announcer, handle) = Announcer::new(catalog.clone(), clock, deployment, pace);
    let shutdown = Shutdown::new();
    let task = tokio::spawn(announcer.run(shutdown.clone()));
    Running { handle, shutdown, task }
}

impl Running {
    /// Shuts it down and waits for its end.
    pub(crate) async fn end(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}
