//! The file of a table of served records: which segments it was made from, their codec, and 40 bytes a record.
//!
//! A table is a function of the segments alone, in their order. The file names them by SHA-256: it fits every manifest
//! whose segments begin with these, and no other. [`TableDirectory`](crate::disk::TableDirectory) adds and verifies a
//! checksum.

use std::{io, sync::Arc};

use super::diff::{BaseTable, Location, StoredRecord};
use crate::{
    disk::{TableReader, TableWriter},
    domain::manifest::Manifest,
    segment::{self, Codec, Dictionary},
};

/// The first bytes: the format.
const MAGIC: &[u8; 16] = b"larder table 1\r\n";
/// A key whose hash is in every file: a build with another hash refuses the file.
const PROBE: &str = "probe";
/// Bytes of a record in the file.
const RECORD_BYTES: usize = 40;
/// Records that are read and written at a time.
const PIECE_RECORDS: usize = 1024;
/// Marks a retained record, beside its segment.
const RETAINED: u32 = 1 << 31;
/// The length of a dictionary when there is none.
const NO_DICTIONARY: u32 = u32::MAX;
/// Bytes of a file beside its records, about: dictionary and digests.
const HEADER_BYTES: u64 = 64 * 1024;

/// What a file contains.
pub(super) struct TableFile {
    /// How many segments of the manifest the table has.
    pub(super) segments: usize,
    pub(super) table: BaseTable,
    /// The codec of the first segment.
    pub(super) codec: Codec,
}

/// About the length of the file of `table`, in bytes.
pub(super) fn bytes(table: &BaseTable) -> u64 {
    HEADER_BYTES + (table.len() * RECORD_BYTES) as u64
}

/// Writes the table of all segments of `manifest`.
pub(super) fn write(
    file: &mut TableWriter,
    manifest: &Manifest,
    table: &BaseTable,
    codec: &Codec,
) -> io::Result<()> {
    file.append(MAGIC)?;
    file.append(&segment::key_hash(PROBE).to_le_bytes())?;
    file.append(&(manifest.segments.len() as u32).to_le_bytes())?;
    for reference in &manifest.segments {
        file.append(reference.sha256.as_bytes())?;
    }
    match codec {
        Codec::Plain => file.append(&NO_DICTIONARY.to_le_bytes())?,
        Codec::Zstd(dictionary) => {
            file.append(&(dictionary.as_bytes().len() as u32).to_le_bytes())?;
            file.append(dictionary.as_bytes())?;
        }
    }
    let mut piece = Vec::with_capacity(PIECE_RECORDS * RECORD_BYTES);
    for record in table.records() {
        piece.extend_from_slice(&encode(&record));
        if piece.len() == piece.capacity() {
            file.append(&piece)?;
            piece.clear();
        }
    }
    file.append(&piece)
}

/// Reads the table of the first segments of `manifest`; `None` when the file is of others.
pub(super) fn read(file: &mut TableReader, manifest: &Manifest) -> Option<TableFile> {
    let is_known = file.array()? == *MAGIC && file.array()? == segment::key_hash(PROBE).to_le_bytes();
    let segments = u32::from_le_bytes(file.array()?) as usize;
    let made_from = manifest.segments.get(..segments).filter(|_| is_known)?;
    for reference in made_from {
        if file.array()? != *reference.sha256.as_bytes() {
            return None;
        }
    }
    let codec = read_codec(file)?;
    let records = file.left() / RECORD_BYTES as u64;
    let rows: u64 = made_from.iter().map(|reference| reference.rows).sum();
    if records > rows || file.left() % RECORD_BYTES as u64 != 0 {
        return None;
    }
    let mut table = BaseTable::with_capacity(records.max(manifest.records) as usize);
    let mut piece = [0; PIECE_RECORDS * RECORD_BYTES];
    while file.left() > 0 {
        let bytes = file.left().min(piece.len() as u64) as usize;
        file.fill(&mut piece[..bytes])?;
        for record in piece[..bytes].as_chunks().0 {
            let record = decode(record);
            let Location { segment, row } = record.location;
            made_from.get(segment as usize).filter(|reference| u64::from(row) < reference.rows)?;
            table.restore(&record);
        }
    }
    Some(TableFile { segments, table, codec })
}

fn read_codec(file: &mut TableReader) -> Option<Codec> {
    let length = u32::from_le_bytes(file.array()?);
    if length == NO_DICTIONARY {
        return Some(Codec::Plain);
    }
    if u64::from(length) > file.left() {
        return None;
    }
    let mut dictionary = vec![0; length as usize];
    file.fill(&mut dictionary)?;
    Some(Codec::Zstd(Arc::new(Dictionary::from_bytes(dictionary).ok()?)))
}

fn encode(record: &StoredRecord) -> [u8; RECORD_BYTES] {
    let StoredRecord { key, fingerprint, location: Location { segment, row }, is_retained } = *record;
    let mut bytes = [0; RECORD_BYTES];
    bytes[..16].copy_from_slice(&key.to_le_bytes());
    bytes[16..32].copy_from_slice(&fingerprint.to_le_bytes());
    bytes[32..36].copy_from_slice(&row.to_le_bytes());
    let marked = if is_retained { segment | RETAINED } else { segment };
    bytes[36..].copy_from_slice(&marked.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; RECORD_BYTES]) -> StoredRecord {
    let [key, fingerprint] = [0, 16].map(|at| u128::from_le_bytes(bytes[at..at + 16].try_into().expect("16 bytes")));
    let [row, segment] = [32, 36].map(|at| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes")));
    let location = Location { segment: segment & !RETAINED, row };
    StoredRecord { key, fingerprint, location, is_retained: segment & RETAINED != 0 }
}
