//! What the sync engine writes of one collection: a segment, a manifest and an announcement per run.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use larder::{
    catalog::{AnnouncerHandle, Catalog, Change, SegmentDraft},
    disk::SegmentDirectory,
    domain::{
        catalog::CollectionEntry,
        digest::Digest,
        id::RunId,
        index::IndexDefinition,
        limits::FORMAT,
        manifest::{Manifest, SegmentKind, ServingSettings, Version},
        name::{CollectionName, IndexName},
        record::{IndexValues, RecordFlags},
        row::{Column, ColumnKind},
    },
    segment::{self, Codec, Entry, SegmentBuilder, SegmentHeader},
    support::{clock::Clock, random},
};
use tokio::time::{Instant, sleep_until};

/// Records of a collection.
const RECORDS: u64 = 20;
/// Records that a run changes.
const CHANGED: u64 = 1;
const COLUMNS: [&str; 8] =
    ["user_id", "full_name", "email", "country", "plan", "score", "recommendations", "updated_at"];
const SEED: u64 = 7;

/// What all collections are published through.
#[derive(Clone)]
pub(crate) struct Publishing {
    pub(crate) catalog: Catalog,
    pub(crate) directory: SegmentDirectory,
    pub(crate) handle: AnnouncerHandle,
    pub(crate) clock: Clock,
}

/// One collection and its last manifest.
pub(crate) struct Lane {
    publishing: Arc<Publishing>,
    manifest: Manifest,
    announced: Option<Digest>,
}

impl Lane {
    /// A collection without a version.
    pub(crate) fn new(publishing: &Arc<Publishing>, number: usize) -> Self {
        let column = |name: &&str| Column {
            name: (*name).to_owned(),
            kind: ColumnKind::Text,
            type_name: "text".to_owned(),
        };
        let manifest = Manifest {
            format: FORMAT,
            // Sixteen characters, as docs/scale.md assumes.
            collection: CollectionName::new(&format!("collection_{number:05}")).expect("a name"),
            version: Version(0),
            run_id: RunId::from_uuid(random::uuid()),
            created_at: publishing.clock.now(),
            data_as_of: publishing.clock.now(),
            indexes: vec![IndexDefinition::plain(
                IndexName::new("id").expect("a name"),
                "user_id",
                ColumnKind::Integer,
            )],
            columns: COLUMNS.iter().map(column).collect(),
            fields: COLUMNS.map(str::to_owned).to_vec(),
            mapping: Digest::of(b"mapping"),
            configuration: None,
            fingerprint_seed: SEED,
            serving: ServingSettings::default(),
            segments: Vec::new(),
            records: RECORDS,
            left: 0,
            cursor: None,
        };
        Self { publishing: Arc::clone(publishing), manifest, announced: None }
    }

    /// Runs the sync at `begin`, and then `runs` - 1 times more, `every` so often.
    pub(crate) async fn run(mut self, begin: Instant, every: Duration, runs: u32) {
        for run in 0..runs {
            sleep_until(begin + every * run).await;
            self.publish().await;
        }
    }

    async fn publish(&mut self) {
        let is_first = self.announced.is_none();
        let (kind, rows) =
            if is_first { (SegmentKind::Base, RECORDS) } else { (SegmentKind::Changes, CHANGED) };
        let manifest = &mut self.manifest;
        manifest.version.0 += 1;
        manifest.run_id = RunId::from_uuid(random::uuid());
        (manifest.created_at, manifest.data_as_of) =
            (self.publishing.clock.now(), self.publishing.clock.now());
        let draft = SegmentDraft {
            collection: manifest.collection.clone(),
            run_id: manifest.run_id,
            number: 0,
            rows,
            deletes: 0,
            kind,
            version: manifest.version,
        };
        let file = segment_file(manifest, kind, rows);
        let Publishing { catalog, directory, handle, .. } = &*self.publishing;
        let segment = catalog.publish_segment(directory, &draft, file).await.expect("a segment");
        manifest.segments.push(segment);
        let (object, sha256) = catalog.publish_manifest(manifest).await.expect("a manifest");
        let entry = CollectionEntry {
            version: manifest.version,
            run_id: manifest.run_id,
            regions: None,
            manifest: object,
            sha256,
        };
        let (name, data_as_of) = (manifest.collection.clone(), manifest.data_as_of);
        let change = Change::Collection { name, from: self.announced, entry, data_as_of, pause: None };
        handle.announce(change).await.expect("an announcement");
        self.announced = Some(sha256);
    }
}

fn segment_file(manifest: &Manifest, kind: SegmentKind, rows: u64) -> Bytes {
    let mut builder = SegmentBuilder::new(SegmentHeader {
        collection: manifest.collection.clone(),
        kind,
        secondary: Vec::new(),
        codec: Codec::Plain,
        embed_dictionary: false,
    });
    let (values, flags) = (IndexValues::default(), RecordFlags::default());
    for row in 0..rows {
        let key = (row + manifest.version.0) % RECORDS;
        let body = format!("{{\"user_id\":{key},\"version\":{}}}", manifest.version);
        let key = key.to_string();
        let fingerprint = segment::fingerprint(SEED, body.as_bytes(), &key, &values, flags);
        let body = Some(body.as_bytes());
        builder.push(Entry { key: &key, fingerprint, flags, body, values: &values }).expect("room");
    }
    let mut file = Vec::new();
    builder.finish(&mut file).expect("a segment");
    file.into()
}
