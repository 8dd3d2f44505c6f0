//! Fuzz targets for hostile documents. A document that is accepted must be the same after it is encoded and
//! decoded again, so that its meaning does not change from one document to the next.

// A target panics when a promise is broken.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use serde::Serialize;
use uuid::Uuid;

use super::decode;
use crate::domain::{
    catalog::{CollectionEntry, KeySetReference},
    digest::Digest,
    id::{NodeId, RunId},
    keyset::KeySetDocument,
    limits::{COLLECTIONS_MAX, DROPPED_MAX, FORMAT, NUMBER_MAX, PINS_MAX, ROW_BYTES_MIN, SEGMENT_BYTES_MAX},
    manifest::{Manifest, Version},
    name::{CollectionName, RegionName},
};

/// The number of every catalog document of the corpus, and the revision of its key sets.
const NUMBER: u64 = 7;

fn encode(document: &impl Serialize) -> Bytes {
    serde_json::to_vec(document).expect("a document is plain JSON").into()
}

/// Bytes as catalog document 7.
pub(crate) fn document(bytes: &[u8]) -> bool {
    let Ok(document) = decode::document(NUMBER, "d", bytes) else { return false };
    assert!(document.format <= FORMAT && document.collections.len() <= COLLECTIONS_MAX);
    assert!(document.pins_count() <= PINS_MAX && document.dropped.len() <= DROPPED_MAX);
    assert!(document.collections.values().all(|entry| entry.version.0 <= NUMBER_MAX));
    assert!(document.n <= NUMBER_MAX && document.last_release <= document.n);
    assert_eq!(decode::document(NUMBER, "d", &encode(&document)).unwrap(), document);
    assert!(decode::document(NUMBER + 1, "d", bytes).is_err(), "it has another number than its name");
    true
}

/// Bytes as `catalog/head`.
pub(crate) fn head(bytes: &[u8]) -> bool {
    let Ok(head) = decode::head("h", bytes) else { return false };
    assert!(head.format <= FORMAT && head.data_as_of.len() <= COLLECTIONS_MAX);
    assert_eq!(decode::head("h", &encode(&head)).unwrap(), head);
    true
}

/// Bytes as a manifest of the collection `customer`.
pub(crate) fn manifest(bytes: &[u8]) -> bool {
    let name = CollectionName::new("customer").expect("a valid name");
    let Ok(manifest) = decode::listed_manifest(&name, "m", bytes) else { return false };
    assert!(manifest.format <= Manifest::FORMAT_MAX);
    assert!(manifest.segments.iter().all(|segment| segment.bytes <= SEGMENT_BYTES_MAX));
    let prefix = "collections/customer/";
    assert!(manifest.segments.iter().all(|segment| segment.object.starts_with(prefix)));
    assert!((0.0..=1.0).contains(&manifest.garbage_ratio()));
    assert!(manifest.change_segments() <= manifest.segments.len());
    assert!(manifest.left <= manifest.records && manifest.records <= manifest.puts());
    let bytes_max: u64 = manifest.segments.iter().map(|segment| segment.bytes).sum();
    assert!(manifest.puts() <= bytes_max / ROW_BYTES_MIN);
    assert_eq!(decode::listed_manifest(&name, "m", &encode(&manifest)).unwrap(), manifest);

    let mut entry = entry(manifest.version, manifest.run_id, bytes);
    let bytes = Bytes::copy_from_slice(bytes);
    assert_eq!(decode::manifest(&name, &entry, &bytes).unwrap(), manifest);
    entry.version = Version(manifest.version.0 ^ 1);
    assert!(decode::manifest(&name, &entry, &bytes).is_err(), "it is of another version");
    entry.version = manifest.version;
    entry.sha256 = Digest::of(b"");
    assert!(decode::manifest(&name, &entry, &bytes).is_err(), "it has another digest");
    true
}

fn entry(version: Version, run_id: RunId, bytes: &[u8]) -> CollectionEntry {
    CollectionEntry { version, run_id, regions: None, manifest: "m".to_owned(), sha256: Digest::of(bytes) }
}

/// Bytes as the key set of revision 7.
pub(crate) fn key_set(bytes: &[u8]) -> bool {
    let reference = |bytes: &[u8]| KeySetReference {
        object: "k".to_owned(),
        sha256: Digest::of(bytes),
        revision: NUMBER,
    };
    let read = |bytes: &Bytes| decode::key_set(&reference(bytes), bytes);
    let Ok(set) = read(&Bytes::copy_from_slice(bytes)) else { return false };
    assert_eq!(set.revision, NUMBER);
    assert!(set.keys.len() + set.refused <= bytes.len());
    let again = read(&encode(&KeySetDocument::new(NUMBER, &set.keys))).unwrap();
    assert_eq!((again.keys, again.refused), (set.keys, 0));
    true
}

/// Bytes as the status of node 7 in the region `us`.
pub(crate) fn status(bytes: &[u8]) -> bool {
    let (region, node) =
        (RegionName::new("us").expect("a valid name"), NodeId::from_uuid(Uuid::from_u128(7)));
    let Ok(status) = decode::status(&region, node, "s", bytes) else { return false };
    assert!(status.format <= FORMAT && status.collections.len() <= COLLECTIONS_MAX);
    assert_eq!(decode::status(&region, node, "s", &encode(&status)).unwrap(), status);
    let other = NodeId::from_uuid(Uuid::from_u128(8));
    assert!(decode::status(&region, other, "s", bytes).is_err(), "it is of another node");
    true
}
