//! Whole collections against a reference model: every look-up returns the model's record, however the collection
//! was built.

mod collisions;
mod concurrent;
mod refused;
mod relocated;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::DateTime;

use super::{index::Hashing, *};
use crate::{
    domain::{
        digest::Digest,
        id::RunId,
        index::{IndexDefinition, NormalForm, SharedValues},
        limits::FORMAT,
        manifest::{Manifest, SegmentKind, SegmentReference, ServingSettings, Version},
        name::{CollectionName, IndexName},
        record::{IndexValues, RecordFlags},
        row::ColumnKind,
    },
    segment::{
        Codec, Dictionaries, Entry, IndexColumn, Segment, SegmentBuffer, SegmentBuilder, SegmentHeader,
    },
};

/// A record of the reference model.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Model {
    round: u64,
    email: Option<String>,
    tags: BTreeSet<String>,
}

/// Puts and deletes.
type Changes = Vec<(String, Option<Model>)>;

/// The reference model of a collection.
#[derive(Debug, Clone)]
struct Publisher {
    records: BTreeMap<String, Model>,
    references: Vec<SegmentReference>,
    segments: Vec<Arc<Segment>>,
    version: u64,
    /// The rule of the secondary indexes.
    shared: SharedValues,
}

fn definitions() -> Vec<IndexDefinition> {
    let index = |name: &str, each, normalize: &[NormalForm]| IndexDefinition {
        each,
        normalize: normalize.to_vec(),
        kind: if each { ColumnKind::Any } else { ColumnKind::Text },
        ..IndexDefinition::plain(IndexName::new(name).unwrap(), name, ColumnKind::Text)
    };
    vec![
        index("id", false, &[]),
        index("email", false, &[NormalForm::Trim, NormalForm::Lowercase]),
        index("tag", true, &[]),
    ]
}

fn body(key: &str, model: &Model) -> Vec<u8> {
    format!(
        "{{\"key\":\"{key}\",\"round\":{},\"email\":{:?},\"tags\":{:?}}}",
        model.round, model.email, model.tags
    )
    .into_bytes()
}

fn fingerprint(body: &[u8]) -> u128 {
    crate::segment::key_hash(std::str::from_utf8(body).unwrap())
}

fn segment(kind: SegmentKind, rows: &[(String, Option<Model>)]) -> Arc<Segment> {
    let column =
        |definition: &IndexDefinition| IndexColumn { name: definition.name.clone(), each: definition.each };
    let mut builder = SegmentBuilder::new(SegmentHeader {
        collection: CollectionName::new("customer").unwrap(),
        kind,
        secondary: definitions()[1..].iter().map(column).collect(),
        codec: Codec::Plain,
        embed_dictionary: false,
    });
    let mut values = IndexValues::default();
    for (key, model) in rows {
        values.clear();
        let body = model.as_ref().map(|model| {
            model.email.iter().for_each(|email| values.push(1, email));
            model.tags.iter().for_each(|tag| values.push(2, tag));
            body(key, model)
        });
        let fingerprint = body.as_deref().map_or(0, fingerprint);
        let body = body.as_deref();
        builder
            .push(Entry { key, fingerprint, flags: RecordFlags::default(), body, values: &values })
            .unwrap();
    }
    let mut file = Vec::new();
    builder.finish(&mut file).unwrap();
    Arc::new(Segment::parse(SegmentBuffer::from(file), &mut Dictionaries::new()).unwrap())
}

impl Publisher {
    /// A collection with a base of `records`, in several segments.
    fn new(records: BTreeMap<String, Model>) -> Self {
        let mut publisher = Self {
            records,
            references: Vec::new(),
            segments: Vec::new(),
            version: 1,
            shared: SharedValues::default(),
        };
        let rows: Changes =
            publisher.records.clone().into_iter().map(|(key, model)| (key, Some(model))).collect();
        for rows in rows.chunks(rows.len().div_ceil(3).max(1)) {
            publisher.add(segment(SegmentKind::Base, rows));
        }
        publisher
    }

    fn add(&mut self, segment: Arc<Segment>) {
        self.references.push(SegmentReference {
            object: String::new(),
            sha256: Digest::of(b""),
            bytes: segment.byte_len() as u64,
            rows: segment.rows().into(),
            deletes: segment.deletes().into(),
            kind: segment.kind(),
            version: Version(self.version),
        });
        self.segments.push(segment);
    }

    /// Adds a version and returns its segment.
    fn change(&mut self, changes: &[(String, Option<Model>)]) -> Arc<Segment> {
        self.version += 1;
        for (key, model) in changes {
            match model {
                Some(model) => drop(self.records.insert(key.clone(), model.clone())),
                None => drop(self.records.remove(key)),
            }
        }
        let segment = segment(SegmentKind::Changes, changes);
        self.add(Arc::clone(&segment));
        segment
    }

    fn manifest(&self) -> Arc<Manifest> {
        Arc::new(Manifest {
            format: FORMAT,
            collection: CollectionName::new("customer").unwrap(),
            version: Version(self.version),
            run_id: RunId::from_uuid(uuid::Uuid::from_u128(1)),
            created_at: DateTime::UNIX_EPOCH,
            data_as_of: DateTime::from_timestamp(i64::try_from(self.version).unwrap(), 0).unwrap(),
            indexes: self.definitions(),
            columns: Vec::new(),
            fields: Vec::new(),
            mapping: Digest::of(b""),
            configuration: None,
            fingerprint_seed: 0,
            serving: ServingSettings::default(),
            segments: self.references.clone(),
            records: self.records.len() as u64,
            left: 0,
            cursor: None,
        })
    }

    /// A collection built from all segments. `mask` keeps bits of hashes.
    fn build(&self, mask: u64) -> Collection {
        Collection::build_hashed(self.manifest(), self.segments.clone(), Hashing { seed: 7, mask }).unwrap()
    }

    fn definitions(&self) -> Vec<IndexDefinition> {
        let mut definitions = definitions();
        definitions[1..].iter_mut().for_each(|index| index.shared = self.shared.clone());
        definitions
    }

    /// The record that holds `value` under index `number`, and how many records claim it without success.
    fn holder<'a>(&'a self, number: usize, value: &'a str) -> (Option<(&'a String, &'a Model)>, usize) {
        let claims = self.claimants(number, value).count();
        if number > 0 && claims > 1 && self.shared == SharedValues::Reject {
            return (None, claims);
        }
        (self.claimants(number, value).next(), claims.saturating_sub(1))
    }

    /// The records that claim `value` under index `number`, lowest key first.
    fn claimants<'a>(
        &'a self,
        number: usize,
        value: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a Model)> {
        self.records.iter().filter(move |(key, model)| match number {
            0 => *key == value,
            1 => model.email.as_deref() == Some(value),
            _ => model.tags.contains(value),
        })
    }

    /// Checks that `collection` finds every value like the model does.
    fn check(&self, collection: &Collection, values: [&[String]; 3]) {
        let mut out = Vec::new();
        let mut conflicts = 0;
        for (number, (definition, values)) in definitions().iter().zip(values).enumerate() {
            for value in values {
                let lookup = collection.lookup(definition.name.as_str(), value, &mut out);
                let (holder, losers) = self.holder(number, value);
                match (holder, lookup) {
                    (Some((key, model)), Lookup::Hit { fingerprint: found }) => {
                        assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&body(key, model)));
                        assert_eq!(found, fingerprint(&out));
                    }
                    (None, Lookup::Miss) => assert!(out.is_empty()),
                    (expected, found) => panic!("{} {value}: {expected:?} but {found:?}", definition.name),
                }
                conflicts += losers as u64;
            }
        }
        assert_eq!(collection.records(), self.records.len() as u64);
        assert_eq!(collection.conflicts(), conflicts);
        assert_eq!(collection.state().manifest.version, Version(self.version));
    }
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n}")).collect()
}

fn model(round: u64, email: Option<&str>, tags: &[&str]) -> Model {
    Model { round, email: email.map(str::to_owned), tags: tags.iter().map(|&tag| tag.to_owned()).collect() }
}

#[test]
fn records_are_found_by_every_index() {
    let records = [
        ("1".to_owned(), model(0, Some("jane@example.com"), &["a", "b"])),
        ("2".to_owned(), model(0, None, &[])),
    ];
    let publisher = Publisher::new(records.into());
    let collection = Collection::build(publisher.manifest(), publisher.segments.clone(), 99).unwrap();
    let (emails, tags) = (["jane@example.com".to_owned(), "x".to_owned()], names("", 1));
    publisher.check(&collection, [&names("", 4), &emails, &tags]);
    let mut out = b"left over".to_vec();
    assert!(matches!(collection.lookup("email", " JANE@example.com ", &mut out), Lookup::Hit { .. }));
    assert!(matches!(collection.lookup("tag", "b", &mut out), Lookup::Hit { .. }));
    assert!(matches!(collection.lookup("name", "1", &mut out), Lookup::UnknownIndex));
    assert!(matches!(collection.lookup("email", "  ", &mut out), Lookup::Miss));
    assert!(out.is_empty());
}

#[test]
fn an_empty_collection_finds_nothing() {
    let mut publisher = Publisher::new(BTreeMap::new());
    let collection = publisher.build(u64::MAX);
    publisher.check(&collection, [&names("", 2), &names("e", 2), &names("t", 2)]);
    let changes: Changes =
        vec![("1".to_owned(), Some(model(1, Some("e0"), &["t1"]))), ("0".to_owned(), None)];
    let segment = publisher.change(&changes);
    collection.apply(publisher.manifest(), vec![segment]).unwrap();
    publisher.check(&collection, [&names("", 2), &names("e", 2), &names("t", 2)]);
}

#[test]
fn segments_without_live_records_are_dropped() {
    let all = |round| -> Changes {
        names("", 10).into_iter().map(|key| (key, Some(model(round, None, &[])))).collect()
    };
    let records = all(0).into_iter().map(|(key, model)| (key, model.unwrap())).collect();
    let mut publisher = Publisher::new(records);
    let collection = publisher.build(u64::MAX);
    assert_eq!(collection.segments().len(), 3);
    let held = collection.bytes();
    for round in 1..5 {
        let segment = publisher.change(&all(round));
        collection.apply(publisher.manifest(), vec![segment]).unwrap();
        publisher.check(&collection, [&names("", 10), &[], &[]]);
        assert_eq!(collection.segments().len(), 1);
    }
    assert!(collection.bytes() < held);
    let deletes: Changes = names("", 10).into_iter().map(|key| (key, None)).collect();
    let segment = publisher.change(&deletes);
    collection.apply(publisher.manifest(), vec![segment]).unwrap();
    publisher.check(&collection, [&names("", 10), &[], &[]]);
    assert!(collection.segments().is_empty());
    let rebuilt = publisher.build(u64::MAX);
    assert!(rebuilt.segments().is_empty());
    publisher.check(&rebuilt, [&names("", 10), &[], &[]]);
}

#[test]
fn of_two_rows_with_one_key_the_last_counts() {
    let mut publisher = Publisher::new(BTreeMap::new());
    let row = |round| ("1".to_owned(), Some(model(round, Some("e0"), &["t0"])));
    let changes =
        vec![row(1), ("2".to_owned(), Some(model(1, None, &[]))), row(2), ("2".to_owned(), None), row(3)];
    let segment = publisher.change(&changes);
    let collection = Publisher::new(BTreeMap::new()).build(u64::MAX);
    collection.apply(publisher.manifest(), vec![segment]).unwrap();
    for collection in [collection, publisher.build(u64::MAX), publisher.build(1)] {
        publisher.check(&collection, [&names("", 3), &names("e", 1), &names("t", 1)]);
    }
}
