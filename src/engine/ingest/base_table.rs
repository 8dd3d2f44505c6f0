//! Building the table of the served records: from the file that an earlier run left, as far as it goes, and from the
//! segments that were announced since.

use tracing::{debug, warn};

use super::{
    diff::{BaseTable, Location},
    table_file::{self, TableFile},
};
use crate::{
    domain::manifest::Manifest,
    engine::{base::SegmentReader, error::Error},
    segment::{self, Codec},
};

/// The table of the records of `manifest`. Also returns the codec of the base, in which change segments are written.
/// Blocks.
pub(in crate::engine) fn read_table(
    reader: &mut SegmentReader,
    manifest: &Manifest,
) -> Result<(BaseTable, Codec), Error> {
    let collection = &manifest.collection;
    let stored = reader.tables.read(collection, |file| table_file::read(file, manifest));
    if let Some(stored) = stored {
        let file_bytes = table_file::bytes(&stored.table);
        let read = extend_table(reader, manifest, stored)?;
        if read.table.len() as u64 == manifest.records {
            // A long tail of changes costs more to read than a new file costs to write.
            if read.segment_bytes > file_bytes {
                save(reader, manifest, &read);
            }
            return Ok((read.table, read.codec));
        }
        warn!(%collection, "the local table of served records does not fit its manifest and is rebuilt");
        reader.tables.delete(collection);
    }
    let empty = TableFile {
        segments: 0,
        table: BaseTable::with_capacity(manifest.records as usize),
        codec: Codec::Plain,
    };
    let read = extend_table(reader, manifest, empty)?;
    save(reader, manifest, &read);
    Ok((read.table, read.codec))
}

/// A table that has all segments of a manifest.
struct ReadTable {
    table: BaseTable,
    codec: Codec,
    /// Bytes of the segments that were read for it.
    segment_bytes: u64,
}

/// Applies the segments that `file` does not have.
fn extend_table(
    reader: &mut SegmentReader,
    manifest: &Manifest,
    file: TableFile,
) -> Result<ReadTable, Error> {
    let TableFile { segments, mut table, mut codec } = file;
    reader.add_dictionary(&codec);
    let mut segment_bytes = 0;
    for (number, reference) in manifest.segments.iter().enumerate().skip(segments) {
        let segment = reader.open(reference)?;
        segment_bytes += reference.bytes;
        if number == 0 {
            codec = segment.codec().clone();
        }
        for row in 0..segment.rows() {
            let hash = segment::key_hash(segment.key(row));
            if segment.is_delete(row) {
                table.delete(hash);
            } else {
                let at = Location { segment: number as u32, row };
                table.put(hash, segment.fingerprint(row), segment.flags(row), at);
            }
        }
    }
    debug!(collection = %manifest.collection, segments, of = manifest.segments.len(), "read the served records");
    Ok(ReadTable { table, codec, segment_bytes })
}

/// Keeps `read` for the next run. Without it the next run reads the segments again.
fn save(reader: &SegmentReader, manifest: &Manifest, read: &ReadTable) {
    let ReadTable { table, codec, .. } = read;
    let (collection, bytes) = (&manifest.collection, table_file::bytes(table));
    let write = |file: &mut _| table_file::write(file, manifest, table, codec);
    if let Err(error) = reader.tables.write(collection, bytes, write) {
        warn!(%collection, %error, "the table of served records cannot be kept; the next run reads all segments");
    }
}
