//! Rewriting the segments of a manifest. Its functions block.

use std::{collections::HashMap, ops::Range, sync::Arc};

use super::reencode::{Reencoding, is_live};
use crate::{
    domain::{
        manifest::{Manifest, SegmentKind},
        record::IndexValues,
    },
    engine::{
        Engine,
        base::{Base, SegmentReader},
        error::Error,
        ingest::{
            BaseTable, Location, Origin, SegmentWriter, UploadQueue, read_table, segment_header, threads,
            train_codec,
        },
        spec::Compression,
    },
    segment::{self, Codec, Decoder, Entry, SAMPLES_MAX, Segment},
};

/// Rewrites the segments of `base`.
pub(super) struct Rewrite {
    base: Arc<Base>,
    compression: Compression,
    reader: SegmentReader,
    bytes_max: u64,
}

impl Rewrite {
    pub(super) fn new(engine: &Engine, base: Arc<Base>, compression: Compression) -> Self {
        let (reader, bytes_max) = (SegmentReader::new(engine), engine.settings.spool_bytes_max);
        Self { base, compression, reader, bytes_max }
    }

    /// Writes all live records as a new base, with a codec of its own.
    pub(super) fn write_base(mut self, queue: UploadQueue) -> Result<(), Error> {
        let base = self.base.clone();
        let (live, _) = read_table(&mut self.reader, &base.manifest)?;
        let codec = match self.compression {
            Compression::None => Codec::Plain,
            Compression::Auto => self.train(&live)?,
        };
        let mut writer = self.writer(SegmentKind::Base, &codec, queue);
        let mut values = IndexValues::default();
        let segments = &base.manifest.segments;
        let reencoding = Reencoding { segments, live: &live, codec: &codec, threads: threads() };
        reencoding.run(
            |reference| self.reader.open(reference),
            |segment, row, stored| {
                segment.all_values(row, &mut values);
                writer.push(&entry(segment, row, Some(stored), &values), Origin::FINAL)
            },
        )?;
        writer.close()
    }

    /// Trains a codec from the first live records.
    fn train(&mut self, live: &BaseTable) -> Result<Codec, Error> {
        let mut decoder = Decoder::new();
        let (mut samples, mut sizes, mut body) = (Vec::new(), Vec::new(), Vec::new());
        for (number, reference) in self.base.manifest.segments.iter().enumerate() {
            if sizes.len() >= SAMPLES_MAX {
                break;
            }
            let segment = self.reader.open(reference)?;
            let rows = (0..segment.rows()).filter(|&row| is_live(live, &segment, number, row));
            for row in rows.take(SAMPLES_MAX - sizes.len()) {
                decoder.decode(&segment, row, &mut body)?;
                samples.extend_from_slice(&body);
                sizes.push(body.len());
            }
        }
        Ok(train_codec(&samples, &sizes))
    }

    /// Writes the last put or delete of every key in these change segments.
    pub(super) fn merge_changes(mut self, merged: Range<usize>, queue: UploadQueue) -> Result<(), Error> {
        let base = self.base.clone();
        // The base has the dictionary that change segments name.
        let codec = self.reader.open(&base.manifest.segments[0])?.codec().clone();
        let mut last: HashMap<u128, Location> = HashMap::new();
        for number in merged.clone() {
            let segment = self.reader.open(&base.manifest.segments[number])?;
            for row in 0..segment.rows() {
                last.insert(segment::key_hash(segment.key(row)), location(number, row));
            }
        }
        let mut writer = self.writer(SegmentKind::Changes, &codec, queue);
        let mut values = IndexValues::default();
        for number in merged {
            let segment = self.reader.open(&base.manifest.segments[number])?;
            for row in 0..segment.rows() {
                if last.get(&segment::key_hash(segment.key(row))) == Some(&location(number, row)) {
                    segment.all_values(row, &mut values);
                    let stored = segment.stored_body(row);
                    writer.push(&entry(&segment, row, stored, &values), Origin::FINAL)?;
                }
            }
        }
        writer.close()
    }

    fn writer(&self, kind: SegmentKind, codec: &Codec, queue: UploadQueue) -> SegmentWriter {
        let Manifest { collection, indexes, .. } = &self.base.manifest;
        SegmentWriter::new(segment_header(collection, indexes, kind, codec), self.bytes_max, queue)
    }
}

fn location(segment: usize, row: u32) -> Location {
    Location { segment: segment as u32, row }
}

fn entry<'a>(segment: &'a Segment, row: u32, body: Option<&'a [u8]>, values: &'a IndexValues) -> Entry<'a> {
    let (key, fingerprint, flags) = (segment.key(row), segment.fingerprint(row), segment.flags(row));
    Entry { key, fingerprint, flags, body, values }
}
