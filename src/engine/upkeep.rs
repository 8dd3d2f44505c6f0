//! Keeping a collection in shape: many change segments become one, much garbage becomes a new base.
//! No record and no version changes; readers notice nothing.

use std::{collections::HashMap, sync::Arc};

use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};
use tracing::{info, warn};

use super::{
    Engine,
    base::{Base, SegmentReader},
    diff::{BaseTable, Location, Origin},
    error::Error,
    lease::KeptLease,
    prepare::Published,
    publishing::Publishing,
    spec::{Compression, SyncSpec},
    spool::{Outbox, Spool},
    stream,
};
use crate::{
    catalog,
    domain::{
        id::RunId,
        limits::{CHANGE_SEGMENTS_MAX, GARBAGE_RATIO_MAX},
        manifest::{Manifest, SegmentKind, SegmentReference},
        record::IndexValues,
    },
    segment::{self, Codec, Decoder, Encoder, Entry, IndexColumn, SAMPLES_MAX, Segment, SegmentHeader},
    support::{background::spawn_thread, random},
};

/// What a collection needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upkeep {
    /// All change segments into one.
    Merge,
    /// Everything into a new base.
    NewBase,
}

/// Rows of change segments from which a base that is smaller than they are is written anew.
const CHANGED_ROWS_MIN: u64 = 1_000;

fn due(manifest: &Manifest) -> Option<Upkeep> {
    let rows = |kind| -> u64 {
        manifest.segments.iter().filter(|segment| segment.kind == kind).map(|segment| segment.rows).sum()
    };
    let (base, changes) = (rows(SegmentKind::Base), rows(SegmentKind::Changes));
    // A collection that began empty or small has no dictionary that fits what it has become.
    let has_outgrown_base = changes > base.max(CHANGED_ROWS_MIN);
    let is_garbage = manifest.garbage_ratio() > GARBAGE_RATIO_MAX && changes > 0;
    if has_outgrown_base || is_garbage {
        Some(Upkeep::NewBase)
    } else if manifest.change_segments() > CHANGE_SEGMENTS_MAX {
        Some(Upkeep::Merge)
    } else {
        None
    }
}

impl Engine {
    /// Merges or rewrites the collection of `spec` when it is due. A failure is logged and waits
    /// for the next run: the collection is served all the same.
    pub(super) async fn upkeep(&self, lease: &KeptLease, spec: &SyncSpec) {
        if let Err(error) = self.try_upkeep(lease, spec).await {
            warn!(sync = %spec.collection, code = error.code(), %error, "upkeep failed; the next run tries again");
        }
    }

    async fn try_upkeep(&self, lease: &KeptLease, spec: &SyncSpec) -> Result<(), Error> {
        let newest = self.store.newest(Some(self.deployment)).await?;
        let entry = newest.and_then(|mut document| document.collections.remove(&spec.collection));
        let Some(entry) = entry else { return Ok(()) };
        let base = Arc::new(Base::read(&self.store, &spec.collection, entry).await?);
        let Some(upkeep) = due(&base.manifest) else { return Ok(()) };
        let now = self.clock.now();
        let run_id = RunId::from_uuid(random::uuid_at(now.timestamp_millis().unsigned_abs()));
        let publishing = Publishing {
            store: self.store.clone(),
            directory: self.directory.clone(),
            collection: spec.collection.clone(),
            run_id,
            kind: if upkeep == Upkeep::NewBase { SegmentKind::Base } else { SegmentKind::Changes },
            version: base.manifest.version,
        };
        let (sender, drafts) = mpsc::channel(1);
        let rewrite = Rewrite {
            engine: self.clone(),
            base: base.clone(),
            compression: spec.compression,
            upkeep,
            runtime: Handle::current(),
        };
        // A thread of its own: one of the runtime's would stay niced for whatever it does next.
        let (done, written) = oneshot::channel();
        // The caller may be gone: a run that ends wants no result.
        let work = move || drop(done.send(rewrite.write(Outbox::Publish(sender))));
        spawn_thread("larder-upkeep", work).map_err(|source| Error::ThreadRefused { source })?;
        let (written, references) = tokio::join!(written, publishing.run(drafts));
        let references = references?;
        written.map_err(|_| Error::WorkerDied)??;
        let mut segments: Vec<SegmentReference> = match upkeep {
            Upkeep::NewBase => Vec::new(),
            Upkeep::Merge => {
                let segments = base.manifest.segments.iter();
                segments.filter(|segment| segment.kind == SegmentKind::Base).cloned().collect()
            }
        };
        segments.extend(references.into_values());
        let manifest = Manifest { run_id, created_at: now, segments, ..base.manifest.clone() };
        let (object, sha256) = catalog::publish_manifest(&self.store, &manifest).await?;
        lease.confirm().await?;
        self.announce(Some(base.sha256), &Published { manifest, object, sha256 }).await?;
        info!(sync = %spec.collection, ?upkeep, "rewrote segments");
        Ok(())
    }
}

struct Rewrite {
    engine: Engine,
    base: Arc<Base>,
    compression: Compression,
    upkeep: Upkeep,
    runtime: Handle,
}

impl Rewrite {
    fn write(&self, outbox: Outbox) -> Result<(), Error> {
        let mut reader = SegmentReader::new(&self.engine.store, &self.engine.directory, &self.runtime);
        match self.upkeep {
            Upkeep::NewBase => self.write_base(&mut reader, outbox),
            Upkeep::Merge => self.merge_changes(&mut reader, outbox),
        }
    }

    fn write_base(&self, reader: &mut SegmentReader<'_>, outbox: Outbox) -> Result<(), Error> {
        let manifest = &self.base.manifest;
        let (live, _) = reader.table(manifest)?;
        let mut decoder = Decoder::new();
        let codec = match self.compression {
            Compression::None => Codec::Plain,
            Compression::Auto => self.train(reader, &live, &mut decoder)?,
        };
        let mut encoder = Encoder::new(&codec)?;
        let header = self.header(SegmentKind::Base, codec);
        let mut spool = Spool::new(header, self.engine.settings.spool_bytes_max, outbox);
        let (mut body, mut stored, mut values) = (Vec::new(), Vec::new(), IndexValues::default());
        for number in 0..manifest.segments.len() {
            let segment = reader.open(manifest, number)?;
            for row in (0..segment.rows()).filter(|&row| is_live(&live, &segment, number, row)) {
                decoder.decode(&segment, row, &mut body)?;
                encoder.encode(&body, &mut stored)?;
                segment.all_values(row, &mut values);
                spool.push(&entry(&segment, row, Some(&stored), &values), Origin::SETTLED)?;
            }
        }
        spool.close()
    }

    fn train(
        &self,
        reader: &mut SegmentReader<'_>,
        live: &BaseTable,
        decoder: &mut Decoder,
    ) -> Result<Codec, Error> {
        let (mut samples, mut sizes, mut body) = (Vec::new(), Vec::new(), Vec::new());
        let manifest = &self.base.manifest;
        for number in 0..manifest.segments.len() {
            if sizes.len() >= SAMPLES_MAX {
                break;
            }
            let segment = reader.open(manifest, number)?;
            let rows = (0..segment.rows()).filter(|&row| is_live(live, &segment, number, row));
            for row in rows.take(SAMPLES_MAX - sizes.len()) {
                decoder.decode(&segment, row, &mut body)?;
                samples.extend_from_slice(&body);
                sizes.push(body.len());
            }
        }
        Ok(stream::codec_for(&samples, &sizes))
    }

    /// The last put or delete of every key that the change segments name, in one run of segments.
    fn merge_changes(&self, reader: &mut SegmentReader<'_>, outbox: Outbox) -> Result<(), Error> {
        let manifest = &self.base.manifest;
        let changes: Vec<usize> = (0..manifest.segments.len())
            .filter(|&number| manifest.segments[number].kind == SegmentKind::Changes)
            .collect();
        // The base's dictionary, which change segments name.
        let codec = reader.open(manifest, 0)?.codec().clone();
        let mut last: HashMap<u128, (usize, u32)> = HashMap::new();
        for &number in &changes {
            let segment = reader.open(manifest, number)?;
            for row in 0..segment.rows() {
                last.insert(segment::key_hash(segment.key(row)), (number, row));
            }
        }
        let header = self.header(SegmentKind::Changes, codec);
        let mut spool = Spool::new(header, self.engine.settings.spool_bytes_max, outbox);
        let mut values = IndexValues::default();
        for &number in &changes {
            let segment = reader.open(manifest, number)?;
            for row in 0..segment.rows() {
                if last.get(&segment::key_hash(segment.key(row))) == Some(&(number, row)) {
                    segment.all_values(row, &mut values);
                    let stored = segment.stored_body(row);
                    spool.push(&entry(&segment, row, stored, &values), Origin::SETTLED)?;
                }
            }
        }
        spool.close()
    }

    fn header(&self, kind: SegmentKind, codec: Codec) -> SegmentHeader {
        let manifest = &self.base.manifest;
        let secondary = manifest.indexes.iter().skip(1);
        SegmentHeader {
            collection: manifest.collection.clone(),
            kind,
            secondary: secondary
                .map(|index| IndexColumn { name: index.name.clone(), each: index.each })
                .collect(),
            codec,
            embed_dictionary: kind == SegmentKind::Base,
        }
    }
}

fn is_live(live: &BaseTable, segment: &Segment, number: usize, row: u32) -> bool {
    let at = Location { segment: number as u32, row };
    !segment.is_delete(row)
        && live.find(segment::key_hash(segment.key(row))).is_some_and(|entry| live.location(entry) == at)
}

fn entry<'a>(segment: &'a Segment, row: u32, body: Option<&'a [u8]>, values: &'a IndexValues) -> Entry<'a> {
    let (key, fingerprint, flags) = (segment.key(row), segment.fingerprint(row), segment.flags(row));
    Entry { key, fingerprint, flags, body, values }
}
