//! Hostile segment files: what parses holds what the parser promises, to every accessor.

// A panic is how a target says that a promise is broken.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::*;
use crate::domain::{
    limits::RECORD_BYTES_MAX,
    manifest::SegmentKind,
    record::{IndexValues, RecordFlags},
};

/// The dictionary that the corpus's segments are compressed with. zstd takes any text for one; this is
/// short, so that inputs are, and fixed, so that a change segment finds its base's.
const DICTIONARY: &[u8] = b"{\"user_id\":100,\"full_name\":\"Jane Doe \",\"lifetime_value\":12.5,\"recommendations\":\
    {\"concerts\":[{\"artist\":\"Aphex Twin\",\"location\":\"San Francisco, CA\",\"event_date\":\"2023-08-31\"}]}}";

/// A row as every accessor tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) key: String,
    pub(super) fingerprint: u128,
    pub(super) flags: RecordFlags,
    /// `None` of a delete.
    pub(super) stored: Option<Vec<u8>>,
    /// `None` of a delete, and when it cannot be decoded.
    pub(super) body: Option<Vec<u8>>,
    pub(super) values: IndexValues,
}

pub(super) fn dictionary() -> Arc<Dictionary> {
    Arc::new(Dictionary::from_bytes(DICTIONARY.to_vec()).expect("any text is a dictionary"))
}

/// Parses `file` on a node that has the base of the corpus's change segments.
pub(crate) fn parse(file: &[u8]) -> Result<Segment, Error> {
    let (mut known, base) = (Dictionaries::new(), dictionary());
    known.insert(&base);
    Segment::parse(SegmentBuffer::from(file), &mut known)
}

/// Bytes as a segment file, by itself and as one that follows a base.
pub(crate) fn segment(bytes: &[u8]) -> bool {
    let alone = Segment::parse(SegmentBuffer::from(bytes), &mut Dictionaries::new());
    let segment = match parse(bytes) {
        Ok(segment) => segment,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(alone.is_err(), "a dictionary more makes nothing worse");
            return false;
        }
    };
    let rows = read(&segment);
    if let Ok(alone) = alone {
        assert_eq!(read(&alone), rows, "it depends on what else is known");
    }
    assert_eq!((segment.as_bytes(), segment.byte_len()), (bytes, bytes.len()));
    for number in 0..=segment.secondary().len() {
        let all = (0..segment.rows()).map(|row| match number {
            0 => segment.key(row).len(),
            _ => segment.values(row, number).map(str::len).sum(),
        });
        assert!(all.sum::<usize>() <= bytes.len(), "an index has more text than the file has bytes");
    }
    written_again(&segment, &rows);
    true
}

/// Reads every row in every way there is. Bodies may be damaged, nothing else.
pub(super) fn read(segment: &Segment) -> Vec<Row> {
    let mut decoder = Decoder::new();
    let mut line = Vec::new();
    let rows: Vec<Row> = (0..segment.rows())
        .map(|row| {
            let row = read_row(segment, row, &mut decoder, &mut line);
            assert!(row.body.as_ref().is_none_or(|body| body.len() <= RECORD_BYTES_MAX));
            row
        })
        .collect();
    assert_eq!(rows.iter().filter(|row| row.stored.is_none()).count(), segment.deletes() as usize);
    assert!(segment.stored_body(segment.rows()).is_none(), "there is no row beyond the last");
    rows
}

fn read_row(segment: &Segment, row: u32, decoder: &mut Decoder, line: &mut Vec<u8>) -> Row {
    let mut body = Vec::new();
    let whole = decoder.decode(segment, row, &mut body).is_ok();
    // A vector may grow to twice what is asked of it, never to what a frame claims.
    assert!(whole || body.is_empty());
    assert!(body.capacity() <= 2 * RECORD_BYTES_MAX);
    assert_eq!(segment.stored_body(row).is_none(), segment.is_delete(row));
    let mut values = IndexValues::default();
    segment.all_values(row, &mut values);
    line.clear();
    let shown = cat_line(segment, row, decoder, line).is_ok();
    assert_eq!(shown, whole || segment.is_delete(row));
    if shown {
        let end = if whole { body.len() } else { "null".len() } + "}\n".len();
        let mut head = Vec::new();
        head.extend_from_slice(&line[..line.len() - end]);
        head.extend_from_slice(b"null}");
        let shown: serde_json::Value = serde_json::from_slice(&head).expect("a line is JSON");
        assert_eq!(shown["key"], segment.key(row));
        assert_eq!(shown["flags"], segment.flags(row).0);
    }
    Row {
        key: segment.key(row).to_owned(),
        fingerprint: segment.fingerprint(row),
        flags: segment.flags(row),
        stored: segment.stored_body(row).map(<[u8]>::to_vec),
        body: whole.then_some(body),
        values,
    }
}

/// A writer given what a reader found makes a file in which a reader finds the same.
fn written_again(segment: &Segment, rows: &[Row]) {
    let mut builder = SegmentBuilder::new(SegmentHeader {
        collection: segment.collection().clone(),
        kind: segment.kind(),
        secondary: segment.secondary().to_vec(),
        codec: segment.codec().clone(),
        embed_dictionary: segment.kind() == SegmentKind::Base,
    });
    for Row { key, fingerprint, flags, stored, values, .. } in rows {
        let body = stored.as_deref();
        builder
            .push(Entry { key, fingerprint: *fingerprint, flags: *flags, body, values })
            .expect("what was read can be written");
    }
    let mut file = Vec::new();
    builder.finish(&mut file).expect("memory takes it");
    let mut known = Dictionaries::new();
    if let Codec::Zstd(dictionary) = segment.codec() {
        known.insert(dictionary);
    }
    let again = Segment::parse(SegmentBuffer::from(file), &mut known).expect("what was written can be read");
    let mut expected = rows.to_vec();
    for row in expected.iter_mut().filter(|row| row.stored.is_none()) {
        // A writer takes nothing but the key and the flags of a delete.
        row.fingerprint = 0;
        row.values.clear();
    }
    assert_eq!(read(&again), expected);
}
