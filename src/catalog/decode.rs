//! Decodes documents, with every check that needs no store. Pure.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    error::{Error, corrupt},
    paths,
};
use crate::domain::{
    catalog::{CatalogDocument, CollectionEntry, Head, KeySetReference},
    digest::Digest,
    id::NodeId,
    keyset::{KeySet, KeySetDocument},
    limits::{COLLECTIONS_MAX, FORMAT, NUMBER_MAX, PINS_MAX, ROW_BYTES_MIN, SEGMENT_BYTES_MAX},
    manifest::{Manifest, SegmentKind},
    name::{CollectionName, RegionName},
};
use crate::status::NodeStatus;
use crate::store;

/// Most rows of a segment, whose reader counts them in 32 bits.
const SEGMENT_ROWS_MAX: u64 = u32::MAX as u64;

/// Decodes JSON whose `format` this build knows. A later format is reported as such, not as damage.
pub(super) fn json<T: DeserializeOwned>(path: &str, bytes: &[u8]) -> Result<T, Error> {
    json_up_to(FORMAT, path, bytes)
}

fn json_up_to<T: DeserializeOwned>(known: u32, path: &str, bytes: &[u8]) -> Result<T, Error> {
    #[derive(Deserialize)]
    struct Envelope {
        format: u32,
    }
    let malformed = |source| Error::Malformed { path: path.to_owned(), source };
    let Envelope { format } = serde_json::from_slice(bytes).map_err(malformed)?;
    if format > known {
        return Err(Error::NewerFormat { path: path.to_owned(), format, known });
    }
    serde_json::from_slice(bytes).map_err(malformed)
}

/// Decodes catalog document `n`.
pub(super) fn document(n: u64, path: &str, bytes: &[u8]) -> Result<CatalogDocument, Error> {
    let document: CatalogDocument = json(path, bytes)?;
    if document.n != n {
        return Err(corrupt(path, "its number differs from its name"));
    }
    let entries = document.collections.values().chain(document.pins.values().flat_map(BTreeMap::values));
    let versions = entries.map(|entry| entry.version).chain(document.dropped.values().copied());
    let revision = document.keys.as_ref().map_or(0, |keys| keys.revision);
    let numbers = versions.map(|version| version.0).chain([document.n, revision]);
    check_numbers(path, numbers)?;
    if document.last_release > document.n {
        return Err(corrupt(path, "it names a later document"));
    }
    if document.pins_count() > PINS_MAX {
        return Err(corrupt(path, "it has too many pins"));
    }
    Ok(document)
}

/// Refuses numbers that none can follow.
fn check_numbers(path: &str, mut numbers: impl Iterator<Item = u64>) -> Result<(), Error> {
    if numbers.any(|number| number > NUMBER_MAX) {
        return Err(corrupt(path, "no number can follow one of its numbers"));
    }
    Ok(())
}

/// Decodes the head.
pub(super) fn head(path: &str, bytes: &[u8]) -> Result<Head, Error> {
    let head: Head = json(path, bytes)?;
    let versions = head.data_as_of.values().map(|fresh| fresh.version.0);
    check_numbers(path, versions.chain([head.n]))?;
    Ok(head)
}

/// Decodes the manifest of `entry` for collection `name`; its digest, shape and paths are checked.
pub fn manifest(name: &CollectionName, entry: &CollectionEntry, bytes: &Bytes) -> Result<Manifest, Error> {
    let path = &entry.manifest;
    let manifest = manifest_by_digest(name, path, &entry.sha256, bytes)?;
    if manifest.version != entry.version {
        return Err(corrupt(path, "its version is not the announced one"));
    }
    Ok(manifest)
}

/// Decodes a manifest whose digest is known, but not its version.
pub(super) fn manifest_by_digest(
    name: &CollectionName,
    path: &str,
    sha256: &Digest,
    bytes: &[u8],
) -> Result<Manifest, Error> {
    verify(path, sha256, bytes)?;
    listed_manifest(name, path, bytes)
}

/// Decodes a manifest found by listing: all checks but those that need a catalog entry.
pub(super) fn listed_manifest(name: &CollectionName, path: &str, bytes: &[u8]) -> Result<Manifest, Error> {
    let manifest: Manifest = json_up_to(Manifest::FORMAT_MAX, path, bytes)?;
    if manifest.collection != *name {
        return Err(corrupt(path, "it is of another collection"));
    }
    check_numbers(path, [manifest.version.0].into_iter())?;
    for segment in &manifest.segments {
        paths::referenced_segment(name, &segment.object, path)?;
        if segment.bytes > SEGMENT_BYTES_MAX {
            let bytes = segment.bytes;
            let path = segment.object.clone();
            return Err(store::Error::TooLarge { path, bytes, limit: SEGMENT_BYTES_MAX }.into());
        }
        // Memory is reserved for rows before the segment is read.
        let rows_max = SEGMENT_ROWS_MAX.min(segment.bytes / ROW_BYTES_MIN);
        if segment.rows > rows_max || segment.deletes > segment.rows {
            return Err(corrupt(path, "it claims more rows than a segment can have"));
        }
    }
    if manifest.records > manifest.puts() || manifest.left > manifest.records {
        return Err(corrupt(path, "it claims more records than its segments can have"));
    }
    let in_order = manifest.segments.windows(2).all(|pair| {
        pair[0].version <= pair[1].version
            && !(pair[0].kind == SegmentKind::Changes && pair[1].kind == SegmentKind::Base)
    });
    if !in_order {
        return Err(corrupt(path, "its segments are out of order"));
    }
    Ok(manifest)
}

/// Decodes the key set of `reference`; its digest and revision are checked.
pub fn key_set(reference: &KeySetReference, bytes: &Bytes) -> Result<KeySet, Error> {
    verify(&reference.object, &reference.sha256, bytes)?;
    let document: KeySetDocument = json(&reference.object, bytes)?;
    check_numbers(&reference.object, [document.revision].into_iter())?;
    if document.revision != reference.revision {
        return Err(corrupt(&reference.object, "its revision is not the announced one"));
    }
    Ok(document.into())
}

/// Decodes the status of `node` in `region`.
pub(super) fn status(
    region: &RegionName,
    node: NodeId,
    path: &str,
    bytes: &[u8],
) -> Result<NodeStatus, Error> {
    let status: NodeStatus = json(path, bytes)?;
    if status.node != node || status.region != *region {
        return Err(corrupt(path, "it is of another node"));
    }
    if status.collections.len() > COLLECTIONS_MAX {
        return Err(corrupt(path, "it has too many collections"));
    }
    Ok(status)
}

fn verify(path: &str, expected: &Digest, bytes: &[u8]) -> Result<(), Error> {
    if Digest::of(bytes) == *expected { Ok(()) } else { Err(corrupt(path, "its SHA-256 is another one")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_format_is_not_reported_as_damage() {
        let newer = br#"{"format":99,"anything":"else"}"#;
        assert!(matches!(head("h", newer), Err(Error::NewerFormat { format: 99, .. })));
        assert!(matches!(head("h", b"{}"), Err(Error::Malformed { .. })));
        assert!(matches!(head("h", br#"{"format":1}"#), Err(Error::Malformed { .. })));
        assert!(matches!(head("h", b""), Err(Error::Malformed { .. })));
    }

    #[test]
    fn the_last_number_is_refused_because_none_can_follow() {
        let of = |n: u64| {
            format!(
                r#"{{"format":1,"deployment":"dep_{0:032x}","n":{n},"announced_by":"ann_{0:032x}","collections":{{}}}}"#,
                1
            )
        };
        for (n, is_read) in [(1, true), (NUMBER_MAX, true), (NUMBER_MAX + 1, false), (u64::MAX, false)] {
            assert_eq!(document(n, "d", of(n).as_bytes()).is_ok(), is_read, "{n}");
        }
    }

    #[test]
    fn a_manifest_claims_no_more_than_its_segments_can_hold() {
        let whole = include_bytes!("../../tests/corpora/manifest/accepted-whole");
        let name = CollectionName::new("customer").unwrap();
        let manifest: Manifest = serde_json::from_slice(whole).unwrap();
        let refused = |change: &dyn Fn(&mut Manifest)| {
            let mut changed = manifest.clone();
            change(&mut changed);
            let text = serde_json::to_vec(&changed).unwrap();
            listed_manifest(&name, "m", &text).err().map(|error| error.code())
        };
        assert_eq!(refused(&|_| {}), None);
        assert_eq!(refused(&|manifest| manifest.records = manifest.puts()), None);
        assert_eq!(refused(&|manifest| manifest.records = manifest.puts() + 1), Some("object_corrupt"));
        assert_eq!(refused(&|manifest| manifest.records = 100_000_000_000_000), Some("object_corrupt"));
        assert_eq!(refused(&|manifest| manifest.left = manifest.records + 1), Some("object_corrupt"));
        assert_eq!(refused(&|manifest| manifest.segments[0].rows = 4096 / 16), None);
        assert_eq!(refused(&|manifest| manifest.segments[0].rows = 4096 / 16 + 1), Some("object_corrupt"));
        let many = manifest.indexes[0].clone();
        let indexes = |number| vec![many.clone(); number];
        assert_eq!(refused(&|manifest| manifest.indexes = indexes(17)), None);
        assert_eq!(refused(&|manifest| manifest.indexes = indexes(18)), Some("document_malformed"));
    }
}
