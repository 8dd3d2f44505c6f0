//! Hostile segments: a file that parses is built into a collection, and applied as changes to an empty one, and
//! every key must lead to its last row.

// A fuzz target reports a broken invariant by a panic.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, sync::Arc};

use chrono::DateTime;

use super::{Collection, Error, Lookup};
use crate::{
    domain::{
        digest::Digest,
        id::RunId,
        index::IndexDefinition,
        limits::FORMAT,
        manifest::{Manifest, SegmentKind, SegmentReference, ServingSettings, Version},
        name::IndexName,
        row::ColumnKind,
    },
    segment::{Decoder, Segment},
};

/// The name of the primary index, which a file does not have.
const PRIMARY: &str = "id";

/// Bytes as the only segment of a collection.
pub(crate) fn collection(bytes: &[u8]) -> bool {
    let Ok(segment) = crate::segment::fuzz::parse(bytes) else { return false };
    let segment = Arc::new(segment);
    let mut last = BTreeMap::new();
    (0..segment.rows()).for_each(|row| {
        last.insert(segment.key(row), row);
    });
    last.retain(|_, row| !segment.is_delete(*row));

    let records = last.len() as u64;
    let build = |records| {
        Collection::build(Arc::new(manifest(&segment, 2, records, true)), vec![Arc::clone(&segment)], 7)
    };
    check(&build(records).expect("the segment matches its manifest"), &segment, &last);
    assert!(matches!(build(records + 1), Err(Error::Miscounted { .. })));
    if segment.kind() == SegmentKind::Changes {
        let empty = Collection::build(Arc::new(manifest(&segment, 1, 0, false)), Vec::new(), 7).unwrap();
        empty
            .apply(Arc::new(manifest(&segment, 2, records, true)), vec![Arc::clone(&segment)])
            .expect("the segment matches its manifest");
        check(&empty, &segment, &last);
    }
    true
}

/// Looks up every key and every value.
fn check(collection: &Collection, segment: &Segment, last: &BTreeMap<&str, u32>) {
    assert_eq!(collection.records(), last.len() as u64);
    let (mut body, mut expected, mut decoder) = (Vec::new(), Vec::new(), Decoder::new());
    for row in 0..segment.rows() {
        let key = segment.key(row);
        let found = collection.lookup(PRIMARY, key, &mut body);
        match last.get(key).filter(|_| can_be_requested(key)) {
            None => assert!(matches!(found, Lookup::Miss), "{found:?}"),
            Some(&row) if decoder.decode(segment, row, &mut expected).is_ok() => {
                assert!(
                    matches!(found, Lookup::Hit { fingerprint } if fingerprint == segment.fingerprint(row))
                );
                assert_eq!(body, expected);
            }
            Some(_) => assert!(matches!(found, Lookup::Unreadable(_)), "{found:?}"),
        }
    }
    for ((name, value), row) in holders(segment, last) {
        let fingerprint = segment.fingerprint(row);
        match collection.lookup(name, value, &mut body) {
            Lookup::Hit { fingerprint: found } => {
                assert_eq!(found, fingerprint, "the lowest key holds a value");
            }
            found => {
                assert!(matches!(found, Lookup::Unreadable(_)), "{found:?}");
                assert!(decoder.decode(segment, row, &mut expected).is_err());
            }
        }
    }
    assert!(matches!(collection.lookup("no index", "1", &mut body), Lookup::UnknownIndex));
    assert!(collection.bytes() >= segment.byte_len() as u64 || last.is_empty());
    let values: usize = (1..=segment.secondary().len()).map(|number| segment.value_count(number)).sum();
    assert!(collection.conflicts() <= values as u64);
}

/// A requested value that is empty or has a NUL character is in no index.
fn can_be_requested(value: &str) -> bool {
    !value.is_empty() && !value.contains('\0')
}

/// The row that holds each value of each secondary index: the one with the lowest key. An index with the name of
/// an earlier one cannot be looked up.
fn holders<'a>(segment: &'a Segment, last: &BTreeMap<&str, u32>) -> BTreeMap<(&'a str, &'a str), u32> {
    let mut names = vec![PRIMARY];
    let mut holders = BTreeMap::new();
    for (at, column) in segment.secondary().iter().enumerate() {
        let name = column.name.as_str();
        if names.contains(&name) {
            continue;
        }
        names.push(name);
        for &row in last.values() {
            for value in segment.values(row, at + 1).filter(|value| can_be_requested(value)) {
                holders.entry((name, value)).or_insert(row);
            }
        }
    }
    holders
}

/// The manifest of a collection with `segment`, or without segments.
fn manifest(segment: &Segment, version: u64, records: u64, is_there: bool) -> Manifest {
    let secondary = segment.secondary().iter().map(|column| (column.name.clone(), column.each));
    let primary = (IndexName::new(PRIMARY).expect("a valid name"), false);
    let index = |(name, each): (IndexName, bool)| IndexDefinition {
        each,
        ..IndexDefinition::plain(name.clone(), name.as_str(), ColumnKind::Any)
    };
    let reference = SegmentReference {
        object: String::new(),
        sha256: Digest::of(segment.as_bytes()),
        bytes: segment.byte_len() as u64,
        rows: segment.rows().into(),
        deletes: segment.deletes().into(),
        kind: segment.kind(),
        version: Version(version),
    };
    Manifest {
        format: FORMAT,
        collection: segment.collection().clone(),
        version: Version(version),
        run_id: RunId::from_uuid(uuid::Uuid::nil()),
        created_at: DateTime::UNIX_EPOCH,
        data_as_of: DateTime::UNIX_EPOCH,
        indexes: std::iter::once(primary).chain(secondary).map(index).collect(),
        columns: Vec::new(),
        fields: Vec::new(),
        mapping: Digest::of(b""),
        configuration: None,
        fingerprint_seed: 0,
        serving: ServingSettings::default(),
        segments: is_there.then_some(reference).into_iter().collect(),
        records,
        left: 0,
        cursor: None,
    }
}
