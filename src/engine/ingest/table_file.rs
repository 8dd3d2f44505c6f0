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
    if records > rows || !file.left().is_multiple_of(RECORD_BYTES as u64) {
        return None;
    }
    let mut table = BaseTable::with_capacity(records.max(manifest.records) as usize);
    let mut piece = vec![0; PIECE_RECORDS * RECORD_BYTES];
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
    let [key, fingerprint] =
        [0, 16].map(|at| u128::from_le_bytes(bytes[at..at + 16].try_into().expect("16 bytes")));
    let [row, segment] =
        [32, 36].map(|at| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes")));
    let location = Location { segment: segment & !RETAINED, row };
    StoredRecord { key, fingerprint, location, is_retained: segment & RETAINED != 0 }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use chrono::DateTime;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::{
        disk::TableDirectory,
        domain::{
            digest::Digest,
            id::RunId,
            limits::FORMAT,
            manifest::{SegmentKind, SegmentReference, ServingSettings, Version},
            name::CollectionName,
            record::RecordFlags,
        },
        support::clock::Clock,
    };

    const ROWS: u64 = 5000;

    fn manifest(segments: &[&str]) -> Manifest {
        let segment = |label: &&str| SegmentReference {
            object: (*label).into(),
            sha256: Digest::of(label.as_bytes()),
            bytes: 1,
            rows: ROWS,
            deletes: 0,
            kind: SegmentKind::Base,
            version: Version(1),
        };
        Manifest {
            format: FORMAT,
            collection: CollectionName::new("a").unwrap(),
            version: Version(1),
            run_id: RunId::from_uuid(Uuid::nil()),
            created_at: DateTime::UNIX_EPOCH,
            data_as_of: DateTime::UNIX_EPOCH,
            indexes: Vec::new(),
            columns: Vec::new(),
            fields: Vec::new(),
            mapping: Digest::of(b""),
            configuration: None,
            fingerprint_seed: 1,
            serving: ServingSettings::default(),
            segments: segments.iter().map(segment).collect(),
            records: 0,
            left: 0,
            cursor: None,
        }
    }

    fn directory() -> (tempfile::TempDir, TableDirectory) {
        let root = tempfile::tempdir().unwrap();
        let directory = TableDirectory::open(root.path(), Clock::default()).unwrap();
        (root, directory)
    }

    fn save(directory: &TableDirectory, manifest: &Manifest, table: &BaseTable, codec: &Codec) {
        let write = |file: &mut TableWriter| write(file, manifest, table, codec);
        directory.write(&manifest.collection, 1, write).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn table_is_read_as_it_was_written(
            history in prop::collection::vec((0_u128..200, any::<bool>(), any::<u128>(), 0_u32..3), 0..300),
            // Around the number of records of a piece, too.
            others in prop::sample::select(vec![0, 1, PIECE_RECORDS - 200, PIECE_RECORDS, 2 * PIECE_RECORDS]),
        ) {
            let (_root, directory) = directory();
            let made_from = manifest(&["one", "two", "three"]);
            let mut table = BaseTable::with_capacity(0);
            let mut served = BTreeMap::new();
            for (row, &(key, is_put, fingerprint, segment)) in (0..).zip(&history) {
                // The upper half of a hash must be kept, too.
                let key = key << 64 | 7;
                if is_put {
                    let (at, is_retained) = (Location { segment, row }, row % 3 == 0);
                    let flags = if is_retained { RecordFlags::LEFT } else { RecordFlags::default() };
                    table.put(key, fingerprint, flags, at);
                    served.insert(key, (fingerprint, at, is_retained));
                } else {
                    table.delete(key);
                    served.remove(&key);
                }
            }
            for other in 0..others as u32 {
                let (key, at) = (u128::from(other) + 1_000_000, Location { segment: 1, row: other });
                table.put(key, key, RecordFlags::default(), at);
                served.insert(key, (key, at, false));
            }
            // The marks of a run are not kept.
            if let Some((key, _)) = served.first_key_value() {
                table.visit(table.find(*key).unwrap(), true);
            }
            save(&directory, &made_from, &table, &Codec::Plain);
            let read = directory.read(&made_from.collection, |file| read(file, &made_from)).unwrap();
            prop_assert_eq!(read.segments, 3);
            prop_assert_eq!(read.table.len(), served.len());
            prop_assert_eq!(read.table.unseen().count(), served.len());
            let retained = read.table.unseen().filter(|record| record.is_retained);
            let retained: BTreeSet<u32> = retained.map(|record| record.entry).collect();
            for (key, (fingerprint, location, is_retained)) in served {
                let entry = read.table.find(key).unwrap();
                prop_assert!(read.table.is_unchanged(entry, fingerprint));
                prop_assert_eq!(read.table.location(entry), location);
                prop_assert_eq!(retained.contains(&entry), is_retained);
            }
        }
    }

    #[test]
    fn table_fits_only_manifests_that_begin_with_its_segments() {
        let (_root, directory) = directory();
        let made_from = manifest(&["one", "two"]);
        let mut table = BaseTable::with_capacity(1);
        table.put(1, 2, RecordFlags::default(), Location { segment: 1, row: 4 });
        let fits = |segments: &[&str]| {
            save(&directory, &made_from, &table, &Codec::Plain);
            let other = manifest(segments);
            directory.read(&other.collection, |file| read(file, &other)).map(|file| file.segments)
        };
        assert_eq!(fits(&["one", "two"]), Some(2));
        assert_eq!(fits(&["one", "two", "three"]), Some(2));
        for other in [&["two", "one"][..], &["one"], &[], &["one", "three", "two"], &["three", "one", "two"]]
        {
            assert_eq!(fits(other), None, "{other:?}");
        }
    }

    #[test]
    fn impossible_records_and_another_format_are_refused() {
        let (_root, directory) = directory();
        let made_from = manifest(&["one"]);
        let table_of = |segment, row| {
            let mut table = BaseTable::with_capacity(1);
            table.put(1, 2, RecordFlags::default(), Location { segment, row });
            table
        };
        let is_read = || directory.read(&made_from.collection, |file| read(file, &made_from)).is_some();
        for (segment, row, expected) in [(0, 4999, true), (0, 5000, false), (1, 0, false)] {
            save(&directory, &made_from, &table_of(segment, row), &Codec::Plain);
            assert_eq!(is_read(), expected, "{segment} {row}");
        }
        let write = |file: &mut TableWriter| {
            file.append(b"larder table 2\r\n")?;
            file.append(&segment::key_hash(PROBE).to_le_bytes())?;
            file.append(&[0; 8])
        };
        directory.write(&made_from.collection, 1, write).unwrap();
        assert!(!is_read());
    }

    #[test]
    fn dictionary_is_kept() {
        let (_root, directory) = directory();
        let made_from = manifest(&["one"]);
        let samples: Vec<String> = (0..4000)
            .map(|n| format!("{{\"name\":\"person {n}\",\"city\":\"{}\",\"score\":{}}}", n % 50, n * 7))
            .collect();
        let sizes: Vec<usize> = samples.iter().map(String::len).collect();
        let text = samples.concat();
        let dictionary = Arc::new(
            Dictionary::from_bytes(zstd::dict::from_continuous(text.as_bytes(), &sizes, 8192).unwrap())
                .unwrap(),
        );
        save(&directory, &made_from, &BaseTable::with_capacity(0), &Codec::Zstd(dictionary.clone()));
        let read = directory.read(&made_from.collection, |file| read(file, &made_from)).unwrap();
        let Codec::Zstd(kept) = read.codec else { panic!("the dictionary is lost") };
        assert_eq!(kept.digest(), dictionary.digest());
    }
}
