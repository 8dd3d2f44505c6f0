//! Well-formed Arrow files that are not segments this build reads.

use std::collections::HashMap;

use arrow_array::{
    ArrayRef, BinaryArray, FixedSizeBinaryArray, LargeStringArray, RecordBatch, StringArray, UInt8Array,
};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{DataType, Field, Schema};

use super::*;
use crate::domain::error::ErrorKind;

/// The columns and metadata of a segment with two rows, to be spoiled one at a time.
pub(super) struct Parts {
    pub(super) columns: Vec<(&'static str, ArrayRef)>,
    pub(super) metadata: HashMap<String, String>,
    pub(super) batches: usize,
}

fn parts() -> Parts {
    let fingerprints = FixedSizeBinaryArray::try_from_iter([[1_u8; 16], [2; 16]].into_iter()).unwrap();
    let metadata = [
        ("format", "1"),
        ("collection", "customer"),
        ("kind", "changes"),
        ("rows", "2"),
        ("deletes", "1"),
        ("codec", "plain"),
    ];
    Parts {
        columns: vec![
            ("key", Arc::new(StringArray::from(vec!["a", "b"]))),
            ("fingerprint", Arc::new(fingerprints)),
            ("flags", Arc::new(UInt8Array::from(vec![0, 1]))),
            ("body", Arc::new(BinaryArray::from_opt_vec(vec![Some(b"{}"), None]))),
            ("index:email", Arc::new(StringArray::from(vec![Some("e"), None]))),
        ],
        metadata: metadata.map(|(name, value)| (format!("larder.{name}"), value.to_owned())).into(),
        batches: 1,
    }
}

fn outcome(spoil: impl FnOnce(&mut Parts)) -> Result<Segment, Error> {
    parse(&spoilt(spoil))
}

/// The file of the parts, spoilt.
pub(super) fn spoilt(spoil: impl FnOnce(&mut Parts)) -> Vec<u8> {
    let mut parts = parts();
    spoil(&mut parts);
    let fields: Vec<Field> = parts
        .columns
        .iter()
        .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields).with_metadata(parts.metadata));
    let columns = parts.columns.into_iter().map(|(_, column)| column).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let mut file = Vec::new();
    let mut writer = FileWriter::try_new(&mut file, &schema).unwrap();
    for _ in 0..parts.batches {
        writer.write(&batch).unwrap();
    }
    writer.finish().unwrap();
    drop(writer);
    file
}

#[test]
fn the_parts_are_a_segment() {
    let segment = outcome(|_| {}).unwrap();
    assert_eq!((segment.key(0), segment.key(1)), ("a", "b"));
    assert!(segment.is_delete(1) && segment.flags(1).has_left());
    assert_eq!(segment.values(0, 1).collect::<Vec<_>>(), ["e"]);
}

#[test]
fn wrong_metadata_is_refused() {
    for (name, value) in [
        ("format", "x"),
        ("collection", "a/b"),
        ("kind", "base"), // it holds a delete
        ("kind", "other"),
        ("rows", "3"),
        ("rows", "-2"),
        ("rows", "4294967298"),
        ("deletes", "0"),
        ("codec", "lz4"),
        ("codec", "zstd"), // without a dictionary
    ] {
        let error = outcome(|parts| {
            parts.metadata.insert(format!("larder.{name}"), value.to_owned());
        })
        .expect_err(name);
        assert_eq!((error.kind(), error.code()), (ErrorKind::Corrupt, "segment_corrupt"), "{name}={value}");
    }
    for name in ["format", "collection", "kind", "rows", "deletes", "codec"] {
        let outcome = outcome(|parts| {
            parts.metadata.remove(&format!("larder.{name}"));
        });
        assert!(outcome.is_err(), "{name} is missing");
    }
}

#[test]
fn a_newer_format_says_so_before_all_else() {
    let error = outcome(|parts| {
        parts.metadata.insert("larder.format".to_owned(), "2".to_owned());
        parts.metadata.insert("larder.codec".to_owned(), "of the future".to_owned());
    })
    .unwrap_err();
    assert!(matches!(error, Error::NewerFormat { found: 2, known: 1 }));
    assert_eq!(error.code(), "segment_newer_format");
}

#[test]
fn a_dictionary_that_is_not_the_one_named_is_refused() {
    let digest = crate::domain::digest::Digest::of(b"another").to_string();
    for dictionary in ["!", "AAAA", &"A".repeat(200_000)] {
        let outcome = outcome(|parts| {
            parts.metadata.insert("larder.codec".to_owned(), "zstd".to_owned());
            parts.metadata.insert("larder.dictionary_sha256".to_owned(), digest.clone());
            parts.metadata.insert("larder.dictionary".to_owned(), dictionary.to_owned());
        });
        assert!(matches!(outcome, Err(Error::Corrupt { .. })), "{}", dictionary.len());
    }
}

#[test]
fn wrong_columns_are_refused() {
    type Spoiler = fn(&mut Parts);
    let spoilers: [(&str, Spoiler); 9] = [
        ("a null key", |parts| parts.columns[0].1 = Arc::new(StringArray::from(vec![Some("a"), None]))),
        ("large text", |parts| parts.columns[0].1 = Arc::new(LargeStringArray::from(vec!["a", "b"]))),
        ("no body", |parts| drop(parts.columns.remove(3))),
        ("another order", |parts| parts.columns.swap(0, 3)),
        ("another name", |parts| parts.columns[4].0 = "email"),
        ("an index without a name", |parts| parts.columns[4].0 = "index:"),
        ("wide flags", |parts| {
            parts.columns[2].1 = Arc::new(arrow_array::UInt16Array::from(vec![0, 1]));
        }),
        ("a null flag", |parts| parts.columns[2].1 = Arc::new(UInt8Array::from(vec![Some(0), None]))),
        ("two batches", |parts| parts.batches = 2),
    ];
    for (what, spoil) in spoilers {
        assert!(matches!(outcome(spoil), Err(Error::Corrupt { .. })), "{what}");
    }
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let encoded =
        arrow_array::DictionaryArray::<arrow_array::types::Int32Type>::from_iter([Some("a"), Some("b")]);
    assert_eq!(arrow_array::Array::data_type(&encoded), &dictionary);
    assert!(outcome(|parts| parts.columns[0].1 = Arc::new(encoded)).is_err(), "dictionary-encoded text");
}

#[test]
fn too_many_columns_are_refused() {
    let outcome = outcome(|parts| {
        for _ in 0..crate::domain::limits::INDEXES_MAX {
            parts.columns.push(("index:more", Arc::new(StringArray::from(vec!["x", "y"]))));
        }
    });
    assert!(matches!(outcome, Err(Error::Corrupt { .. })));
}

#[test]
fn a_file_too_large_is_refused_before_room_is_made() {
    for len in [crate::domain::limits::SEGMENT_BYTES_MAX + 1, u64::MAX] {
        assert!(matches!(SegmentBuffer::with_len(len), Err(Error::TooLarge { .. })));
    }
    assert_eq!(SegmentBuffer::with_len(10).unwrap().as_slice().len(), 10);
}
