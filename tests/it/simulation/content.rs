//! Collections of few records, as simulated publishers make them.

use std::collections::BTreeMap;

use bytes::Bytes;
use larder::{
    cache::{Cache, Lookup, Slot},
    domain::{
        index::IndexDefinition,
        manifest::{Manifest, SegmentKind},
        name::{CollectionName, IndexName},
        record::{IndexValues, RecordFlags},
        row::ColumnKind,
    },
    segment::{self, Codec, Entry, IndexColumn, SegmentBuilder, SegmentHeader},
};

use crate::support::chance::Chance;

/// Records have the keys 1 to this; of one digit, so that their order is that of their texts.
const KEYS: u8 = 5;
/// Values of the second index, which records share: 0 to below this.
const TAGS: u64 = 3;

/// A record's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    value: u64,
    tag: u64,
}

/// Records by key.
pub(super) type Rows = BTreeMap<u8, Row>;
/// The content of a segment: puts and deletes.
pub(super) type Changes = BTreeMap<u8, Option<Row>>;

/// One announced or announceable state of a collection.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) manifest: Manifest,
    pub(super) rows: Rows,
    /// The content of each segment of the manifest.
    pub(super) segments: Vec<Changes>,
}

/// Some puts and deletes; never none.
pub(super) fn changes(chance: &mut Chance, rows: &Rows) -> Changes {
    let mut changes = Changes::new();
    for _ in 0..chance.within(1, 3) {
        let key = chance.within(1, KEYS.into()) as u8;
        let is_delete = rows.contains_key(&key) && chance.is(35);
        changes.insert(key, (!is_delete).then(|| row(chance)));
    }
    changes
}

/// Records for a base; may be none.
pub(super) fn rows(chance: &mut Chance) -> Rows {
    (0..chance.within(0, 4)).map(|_| (chance.within(1, KEYS.into()) as u8, row(chance))).collect()
}

fn row(chance: &mut Chance) -> Row {
    Row { value: chance.within(0, 1_000_000), tag: chance.within(0, TAGS - 1) }
}

/// `rows` after `changes`.
pub(super) fn applied(rows: &Rows, changes: &Changes) -> Rows {
    let mut rows = rows.clone();
    for (key, change) in changes {
        match change {
            Some(row) => drop(rows.insert(*key, *row)),
            None => drop(rows.remove(key)),
        }
    }
    rows
}

/// The content of a segment with all `rows`.
pub(super) fn whole(rows: &Rows) -> Changes {
    rows.iter().map(|(key, row)| (*key, Some(*row))).collect()
}

fn body(key: u8, row: Row) -> String {
    format!(r#"{{"id":{key},"value":{},"tag":"t{}"}}"#, row.value, row.tag)
}

fn index(name: &str) -> IndexName {
    IndexName::new(name).unwrap()
}

/// The indexes of every collection here.
pub(super) fn indexes() -> Vec<IndexDefinition> {
    [("id", ColumnKind::Integer), ("tag", ColumnKind::Text)]
        .map(|(name, kind)| IndexDefinition::plain(index(name), name, kind))
        .into()
}

/// The file of a segment.
pub(super) fn file(collection: &CollectionName, kind: SegmentKind, seed: u64, changes: &Changes) -> Bytes {
    let mut builder = SegmentBuilder::new(SegmentHeader {
        collection: collection.clone(),
        kind,
        secondary: vec![IndexColumn { name: index("tag"), each: false }],
        codec: Codec::Plain,
        embed_dictionary: false,
    });
    for (key, change) in changes {
        let text = key.to_string();
        let body = change.map(|row| body(*key, row));
        let mut values = IndexValues::default();
        if let Some(row) = change {
            values.push(1, &format!("t{}", row.tag));
        }
        let flags = RecordFlags::default();
        let hashed = body.as_deref().unwrap_or_default().as_bytes();
        let fingerprint = segment::fingerprint(seed, hashed, &text, &values, flags);
        let body = body.as_deref().map(str::as_bytes);
        builder.push(Entry { key: &text, fingerprint, flags, body, values: &values }).unwrap();
    }
    let mut file = Vec::new();
    builder.finish(&mut file).unwrap();
    file.into()
}

/// The first difference between the served collection and `rows`.
pub(super) fn difference(cache: &Cache, name: &CollectionName, rows: &Rows) -> Option<String> {
    let Slot::Loaded(collection) = cache.collection(name.as_str()) else {
        return Some("nothing is served".into());
    };
    let mut found = Vec::new();
    let mut compare = |index: &str, value: &str, expected: Option<String>| {
        let is_right = match (collection.lookup(index, value, &mut found), &expected) {
            (Lookup::Hit { .. }, Some(expected)) => found == expected.as_bytes(),
            (Lookup::Miss, None) => true,
            _ => false,
        };
        (!is_right).then(|| {
            let found = String::from_utf8_lossy(&found);
            format!("{index}/{value} is {found:?}, should be {expected:?}")
        })
    };
    for key in 1..=KEYS {
        let expected = rows.get(&key).map(|row| body(key, *row));
        if let Some(wrong) = compare("id", &key.to_string(), expected) {
            return Some(wrong);
        }
    }
    for tag in 0..TAGS {
        let holder = rows.iter().find(|(_, row)| row.tag == tag);
        let expected = holder.map(|(key, row)| body(*key, *row));
        if let Some(wrong) = compare("tag", &format!("t{tag}"), expected) {
            return Some(wrong);
        }
    }
    let (records, expected) = (collection.records(), rows.len() as u64);
    (records != expected).then(|| format!("{records} records, should be {expected}"))
}
