//! Segments that do not fit a manifest are refused, and the served state stays.

use super::*;
use crate::domain::error::ErrorKind;

fn publisher() -> Publisher {
    Publisher::new([("1".to_owned(), model(0, Some("e0"), &["t0"]))].into())
}

fn changes() -> Changes {
    vec![("2".to_owned(), Some(model(1, Some("e1"), &[])))]
}

fn with(manifest: &Arc<Manifest>, spoil: impl FnOnce(&mut Manifest)) -> Arc<Manifest> {
    let mut manifest = Manifest::clone(manifest);
    spoil(&mut manifest);
    Arc::new(manifest)
}

#[test]
fn a_build_of_other_segments_is_refused() {
    let publisher = publisher();
    let good = publisher.manifest();
    let build = |manifest, segments| Collection::build(manifest, segments, 1).map(|_| ()).unwrap_err();
    let segments = || publisher.segments.clone();
    assert_eq!(build(Arc::clone(&good), vec![]), Error::OtherSegments("their number"));
    assert_eq!(
        build(with(&good, |manifest| manifest.segments[0].rows = 2), segments()),
        Error::OtherSegments("their rows")
    );
    assert_eq!(
        build(with(&good, |manifest| manifest.segments[0].kind = SegmentKind::Changes), segments()),
        Error::OtherSegments("base or changes")
    );
    assert_eq!(
        build(with(&good, |manifest| manifest.records = 2), segments()),
        Error::Miscounted { expected: 2, found: 1 }
    );
    // A wrong count in the manifest reserves no memory.
    assert_eq!(
        build(with(&good, |manifest| manifest.records = u64::MAX), segments()),
        Error::Miscounted { expected: u64::MAX, found: 1 }
    );
    let other = CollectionName::new("other").unwrap();
    assert_eq!(
        build(with(&good, |manifest| manifest.collection = other), segments()),
        Error::OtherCollection(0)
    );
    let fewer = with(&good, |manifest| drop(manifest.indexes.pop()));
    let error = build(fewer, segments());
    assert_eq!((&error, error.kind()), (&Error::OtherIndexes(0), ErrorKind::Conflict));
    assert_eq!(
        build(with(&good, |manifest| manifest.indexes[2].each = false), segments()),
        Error::OtherIndexes(0)
    );
    assert_eq!(build(with(&good, |manifest| manifest.indexes.clear()), segments()), Error::IndexesChanged);
}

#[test]
fn changes_that_do_not_fit_are_refused_without_effect() {
    let mut publisher = publisher();
    let collection = publisher.build(u64::MAX);
    let before = publisher.clone();
    let segment = publisher.change(&changes());
    let good = publisher.manifest();
    let base = super::segment(SegmentKind::Base, &changes());
    let cases = [
        (
            with(&good, |manifest| manifest.indexes[1].normalize.clear()),
            segment.clone(),
            Error::IndexesChanged,
        ),
        (
            with(&good, |manifest| manifest.version = Version(0)),
            segment.clone(),
            Error::Older { served: Version(1), offered: Version(0) },
        ),
        (with(&good, |manifest| manifest.segments[0].version = Version(2)), segment.clone(), Error::NewBase),
        (
            with(&good, |manifest| drop(manifest.segments.pop())),
            segment.clone(),
            Error::OtherSegments("their number"),
        ),
        (Arc::clone(&good), base, Error::OtherSegments("base or changes")),
    ];
    for (manifest, segment, expected) in cases {
        assert_eq!(collection.apply(manifest, vec![segment]).unwrap_err(), expected);
        before.check(&collection, [&names("", 3), &names("e", 2), &names("t", 1)]);
    }
    collection.apply(good, vec![segment]).unwrap();
    publisher.check(&collection, [&names("", 3), &names("e", 2), &names("t", 1)]);
}

#[test]
fn changes_with_a_wrong_count_are_not_served() {
    let mut publisher = publisher();
    let collection = publisher.build(u64::MAX);
    let segment = publisher.change(&changes());
    let wrong = with(&publisher.manifest(), |manifest| manifest.records = 7);
    let error = collection.apply(wrong, vec![segment]).unwrap_err();
    assert_eq!(error, Error::Miscounted { expected: 7, found: 2 });
    assert_eq!(collection.state().manifest.version, Version(1), "no version that was not applied whole");
}

#[test]
fn settings_and_freshness_change_without_segments() {
    let publisher = publisher();
    let collection = publisher.build(u64::MAX);
    let time = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
    assert_eq!(collection.state().data_as_of, time(1));
    collection.set_freshness(time(50));
    collection.set_freshness(time(20));
    assert_eq!(collection.state().data_as_of, time(50), "freshness only rises");

    let settings = |manifest: &mut Manifest| manifest.serving.cache_control = Some("public".to_owned());
    let same = with(&publisher.manifest(), settings);
    collection.update_manifest(Arc::clone(&same)).unwrap();
    assert_eq!(collection.state().data_as_of, time(50), "the same version is as fresh as before");
    assert_eq!(collection.state().manifest, same);
    let next = with(&same, |manifest| manifest.version = Version(2));
    collection.update_manifest(Arc::clone(&next)).unwrap();
    assert_eq!(collection.state().data_as_of, next.data_as_of, "another version brings its own time");
    assert!(matches!(collection.update_manifest(same), Err(Error::Older { .. })));
    let other = with(&next, |manifest| drop(manifest.indexes.pop()));
    assert_eq!(collection.update_manifest(other), Err(Error::IndexesChanged));
}

#[test]
fn a_damaged_body_is_not_a_miss() {
    let (bytes, sizes): (Vec<u8>, Vec<usize>) = (0..4000)
        .map(|n| {
            format!(
                "{{\"user_id\":{n},\"full_name\":\"Jane Doe {}\",\"tier\":\"gold\",\"city\":\"Paris\"}}",
                n * 31 % 997
            )
        })
        .fold((Vec::new(), Vec::new()), |(mut bytes, mut sizes), body| {
            sizes.push(body.len());
            bytes.extend_from_slice(body.as_bytes());
            (bytes, sizes)
        });
    let dictionary = crate::segment::Dictionary::train(&bytes, &sizes).unwrap();
    let codec = Codec::Zstd(Arc::new(dictionary));
    let mut builder = SegmentBuilder::new(SegmentHeader {
        collection: CollectionName::new("customer").unwrap(),
        kind: SegmentKind::Base,
        secondary: vec![],
        codec,
        embed_dictionary: true,
    });
    let values = IndexValues::default();
    let flags = RecordFlags::default();
    builder
        .push(Entry { key: "1", fingerprint: 1, flags, body: Some(b"no frame"), values: &values })
        .unwrap();
    let mut file = Vec::new();
    builder.finish(&mut file).unwrap();
    let segment = Segment::parse(SegmentBuffer::from(file), &mut Dictionaries::new()).unwrap();
    let mut publisher = publisher();
    publisher.references.clear();
    publisher.segments.clear();
    publisher.add(Arc::new(segment));
    let manifest = with(&publisher.manifest(), |manifest| manifest.indexes.truncate(1));
    let collection = Collection::build(manifest, publisher.segments, 1).unwrap();
    assert!(matches!(collection.lookup("id", "1", &mut Vec::new()), Lookup::Unreadable(_)));
    assert!(matches!(collection.lookup("id", "2", &mut Vec::new()), Lookup::Miss));
}
