//! Writes segment files and a manifest as a publisher does.

use std::{fs, path::Path, sync::Arc, time::Instant};

use chrono::DateTime;
use larder::{
    domain::{
        digest::Digest,
        id::RunId,
        index::IndexDefinition,
        limits::{FORMAT, SEGMENT_BYTES_TARGET},
        manifest::{Manifest, SegmentKind, SegmentReference, ServingSettings, Version},
        name::{CollectionName, IndexName},
        record::{Record, RecordFlags},
        row::ColumnKind,
    },
    segment::{self, Codec, Dictionary, Encoder, Entry, IndexColumn, SegmentBuilder, SegmentHeader},
};

use crate::{SEED, records};

/// Writes the files of one collection.
pub(crate) struct Publisher<'a> {
    folder: &'a Path,
    size: u64,
    codec: Codec,
    manifest: Manifest,
}

/// A codec with a dictionary trained from the records.
pub(crate) fn codec() -> Codec {
    let (mut samples, mut sizes) = (Vec::new(), Vec::new());
    let mut record = Record::default();
    for n in 0..3000 {
        records::record(SEED, 0, n * 331, &mut record);
        samples.extend_from_slice(&record.body);
        sizes.push(record.body.len());
    }
    let start = Instant::now();
    let dictionary = Arc::new(Dictionary::train(&samples, &sizes).expect("enough samples"));
    let trained = start.elapsed();
    assert!(segment::pays(&samples, &sizes, &dictionary));
    println!("dictionary of {} bytes trained in {trained:?}", dictionary.as_bytes().len());
    Codec::Zstd(dictionary)
}

impl<'a> Publisher<'a> {
    /// A publisher of `size` records into `folder`.
    pub(crate) fn new(folder: &'a Path, size: u64, is_plain: bool) -> Self {
        let index =
            |name: &str, kind| IndexDefinition::plain(IndexName::new(name).expect("a name"), name, kind);
        let manifest = Manifest {
            format: FORMAT,
            collection: CollectionName::new("customer").expect("a name"),
            version: Version(0),
            run_id: RunId::from_uuid(uuid::Uuid::from_u128(1)),
            created_at: DateTime::UNIX_EPOCH,
            data_as_of: DateTime::UNIX_EPOCH,
            indexes: vec![index("id", ColumnKind::Integer), index("email", ColumnKind::Text)],
            columns: vec![],
            fields: vec![],
            mapping: Digest::of(b""),
            configuration: None,
            fingerprint_seed: SEED,
            serving: ServingSettings::default(),
            segments: vec![],
            records: 0,
            left: 0,
            cursor: None,
        };
        Self { folder, size, codec: if is_plain { Codec::Plain } else { codec() }, manifest }
    }

    fn builder(&self, kind: SegmentKind) -> SegmentBuilder {
        SegmentBuilder::new(SegmentHeader {
            collection: self.manifest.collection.clone(),
            kind,
            secondary: vec![IndexColumn { name: self.manifest.indexes[1].name.clone(), each: false }],
            codec: self.codec.clone(),
            embed_dictionary: kind == SegmentKind::Base,
        })
    }

    fn write(&mut self, builder: SegmentBuilder, kind: SegmentKind) {
        let object = format!("{:06}.segment", self.manifest.segments.len());
        let mut file = fs::File::create(self.folder.join(&object)).expect("a file");
        let written = builder.finish(&mut file).expect("a segment");
        self.manifest.segments.push(SegmentReference {
            object,
            sha256: Digest::of(b""),
            bytes: written.bytes,
            rows: written.rows.into(),
            deletes: written.deletes.into(),
            kind,
            version: self.manifest.version,
        });
        let json = serde_json::to_vec(&self.manifest).expect("JSON");
        fs::write(self.folder.join("manifest.json"), json).expect("a file");
    }

    /// Writes the base in a shuffled order, as a warehouse returns rows.
    pub(crate) fn base(&mut self) {
        self.manifest.version = Version(1);
        self.manifest.records = self.size;
        let mut encoder = Encoder::new(&self.codec).expect("an encoder");
        let (mut record, mut stored) = (Record::default(), Vec::new());
        let mut builder = self.builder(SegmentKind::Base);
        let (mut raw, mut packed) = (0, 0);
        for n in 0..self.size {
            records::record(SEED, 0, n * 7_919 % self.size, &mut record);
            encoder.encode(&record.body, &mut stored).expect("a body");
            (raw, packed) = (raw + record.body.len(), packed + stored.len());
            push(&mut builder, &record, Some(&stored));
            if builder.bytes() > SEGMENT_BYTES_TARGET {
                let next = self.builder(SegmentKind::Base);
                self.write(std::mem::replace(&mut builder, next), SegmentKind::Base);
            }
        }
        self.write(builder, SegmentKind::Base);
        let size = self.size as usize;
        println!("bodies of {} bytes stored as {} bytes", raw / size, packed / size);
    }

    /// Writes a segment of changes. Of ten rows, eight change a body, one is new and one is deleted.
    pub(crate) fn changes(&mut self, count: u64) {
        self.manifest.version.0 += 1;
        let mut encoder = Encoder::new(&self.codec).expect("an encoder");
        let (mut record, mut stored) = (Record::default(), Vec::new());
        let mut builder = self.builder(SegmentKind::Changes);
        let round = self.manifest.version.0;
        for n in 0..count {
            let number = round * 100_000_000 + n;
            // Every version changes other rows, spread over the base.
            let known = (n * 10 + round) * 7_919 % self.size;
            match n % 10 {
                9 => records::record(SEED, round, number, &mut record),
                _ => records::record(SEED, round, known, &mut record),
            }
            encoder.encode(&record.body, &mut stored).expect("a body");
            push(&mut builder, &record, (n % 10 != 8).then_some(&stored));
        }
        self.write(builder, SegmentKind::Changes);
    }
}

fn push(builder: &mut SegmentBuilder, record: &Record, body: Option<&Vec<u8>>) {
    let flags = RecordFlags::default();
    let fingerprint = segment::fingerprint(SEED, &record.body, &record.key, &record.values, flags);
    let body = body.map(Vec::as_slice);
    builder.push(Entry { key: &record.key, fingerprint, flags, body, values: &record.values }).expect("room");
}
