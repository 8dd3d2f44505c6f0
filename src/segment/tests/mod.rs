//! Segments as wholes: what goes in comes out, and nothing else is taken for a segment.

mod corpus;
mod hostile;
mod refused;
mod round_trip;

use std::sync::Arc;

use super::*;
use crate::domain::{
    manifest::SegmentKind,
    name::{CollectionName, IndexName},
    record::{IndexValues, RecordFlags},
};

/// A row as the tests write it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    key: String,
    fingerprint: u128,
    left: bool,
    body: Option<Vec<u8>>,
    email: Option<String>,
    tags: Vec<String>,
}

fn put(key: &str, body: &str, email: Option<&str>, tags: &[&str]) -> Row {
    Row {
        key: key.to_owned(),
        fingerprint: u128::MAX / 3,
        left: false,
        body: Some(body.as_bytes().to_vec()),
        email: email.map(str::to_owned),
        tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
    }
}

fn delete(key: &str) -> Row {
    Row { key: key.to_owned(), fingerprint: 0, left: false, body: None, email: None, tags: Vec::new() }
}

/// Two secondary indexes: one value a record, many values a record.
fn header(kind: SegmentKind, codec: Codec) -> SegmentHeader {
    let column = |name, each| IndexColumn { name: IndexName::new(name).unwrap(), each };
    SegmentHeader {
        collection: CollectionName::new("customer").unwrap(),
        kind,
        secondary: vec![column("email", false), column("tag", true)],
        embed_dictionary: kind == SegmentKind::Base,
        codec,
    }
}

fn write(header: SegmentHeader, rows: &[Row]) -> Vec<u8> {
    let mut encoder = Encoder::new(&header.codec).unwrap();
    let mut builder = SegmentBuilder::new(header);
    let (mut values, mut stored) = (IndexValues::default(), Vec::new());
    for row in rows {
        values.clear();
        row.email.iter().for_each(|email| values.push(1, email));
        row.tags.iter().for_each(|tag| values.push(2, tag));
        encoder.encode(row.body.as_deref().unwrap_or_default(), &mut stored).unwrap();
        builder
            .push(Entry {
                key: &row.key,
                fingerprint: row.fingerprint,
                flags: if row.left { RecordFlags::LEFT } else { RecordFlags::default() },
                body: row.body.as_ref().map(|_| stored.as_slice()),
                values: &values,
            })
            .unwrap();
    }
    let (mut file, estimate) = (Vec::new(), builder.bytes());
    let written = builder.finish(&mut file).unwrap();
    assert_eq!(written.rows as usize, rows.len());
    assert_eq!(written.bytes, file.len() as u64);
    assert!(estimate.abs_diff(file.len()) < 8192 + file.len() / 8, "{estimate} for {}", file.len());
    file
}

fn parse(file: &[u8]) -> Result<Segment, Error> {
    Segment::parse(SegmentBuffer::from(file), &mut Dictionaries::new())
}

/// Every row, read in every way there is; see [`fuzz::read`].
fn read(segment: &Segment) -> Vec<Row> {
    let values = |row: &fuzz::Row, index| -> Vec<String> {
        row.values.iter().filter(|(number, _)| *number == index).map(|(_, value)| value.to_owned()).collect()
    };
    let rows = fuzz::read(segment).into_iter();
    rows.map(|row| Row {
        email: values(&row, 1).pop(),
        tags: values(&row, 2),
        key: row.key,
        fingerprint: row.fingerprint,
        left: row.flags.has_left(),
        body: row.body,
    })
    .collect()
}

/// Bodies that have something in common, enough of them for a dictionary.
fn samples(count: usize) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut sizes) = (Vec::new(), Vec::new());
    for n in 0..count {
        let body = format!(
            "{{\"user_id\":{n},\"full_name\":\"Jane Doe {}\",\"lifetime_value\":{}.5,\"recommendations\":{{\
             \"concerts\":[{{\"artist\":\"Aphex Twin\",\"location\":\"San Francisco, CA\",\"event_date\":\
             \"2023-0{}-31\"}}],\"upcoming_album_release\":{{\"title\":\"Universal Language {}\"}}}}}}",
            n * 7919 % 1000,
            n * 31 % 977,
            1 + n % 9,
            n * 13 % 101,
        );
        sizes.push(body.len());
        bytes.extend_from_slice(body.as_bytes());
    }
    (bytes, sizes)
}

fn dictionary() -> Arc<Dictionary> {
    let (bytes, sizes) = samples(2000);
    let dictionary = Arc::new(Dictionary::train(&bytes, &sizes).unwrap());
    assert!(pays(&bytes, &sizes, &dictionary));
    dictionary
}
