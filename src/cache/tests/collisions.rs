//! Collisions of hashes, of values, and of both: results depend on the records alone.

use proptest::prelude::*;

use super::*;

const KEYS: usize = 24;
const EMAILS: usize = 7;
const TAGS: usize = 5;

fn check(publisher: &Publisher, collection: &Collection) {
    publisher.check(collection, [&names("", KEYS), &names("e", EMAILS), &names("t", TAGS)]);
}

fn any_model() -> impl Strategy<Value = Model> {
    let email = proptest::option::weighted(0.8, 0..EMAILS);
    (any::<u64>(), email, proptest::collection::btree_set(0..TAGS, 0..4)).prop_map(|(round, email, tags)| {
        Model {
            round,
            email: email.map(|n| format!("e{n}")),
            tags: tags.into_iter().map(|n| format!("t{n}")).collect(),
        }
    })
}

/// Changes to distinct keys, in any order; a third of them deletes.
fn any_changes() -> impl Strategy<Value = Changes> {
    let change = (0..KEYS, proptest::option::weighted(0.66, any_model()));
    proptest::collection::vec(change, 0..KEYS).prop_map(|changes| {
        let mut seen = BTreeSet::new();
        let distinct = changes.into_iter().filter(|(key, _)| seen.insert(*key));
        distinct.map(|(key, model)| (key.to_string(), model)).collect()
    })
}

/// The bits of a hash that are kept: none (all collide), one, two, four, all.
fn any_mask() -> impl Strategy<Value = u64> {
    proptest::sample::select(vec![0, 1, 3, 15, u64::MAX])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_way_to_build_a_collection_gives_the_same_records(
        base in any_changes(),
        versions in proptest::collection::vec(any_changes(), 0..6),
        mask in any_mask(),
        shared in proptest::sample::select(vec![SharedValues::LowestKey, SharedValues::Reject]),
    ) {
        let base = base.into_iter().filter_map(|(key, model)| Some((key, model?))).collect();
        let mut publisher = Publisher { shared, ..Publisher::new(base) };
        let first = publisher.clone();
        let step_by_step = publisher.build(mask);
        check(&publisher, &step_by_step);
        for changes in &versions {
            let segment = publisher.change(changes);
            step_by_step.apply(publisher.manifest(), vec![segment]).unwrap();
            check(&publisher, &step_by_step);
        }

        let at_once = first.build(mask);
        at_once.apply(publisher.manifest(), publisher.segments[first.segments.len()..].to_vec()).unwrap();
        check(&publisher, &at_once);

        check(&publisher, &publisher.build(mask));

        let fresh = Publisher {
            version: publisher.version,
            shared: publisher.shared.clone(),
            ..Publisher::new(publisher.records.clone())
        };
        check(&fresh, &fresh.build(mask));

        // All changes merged into one segment, applied to the base and to a version after it.
        let touched: BTreeSet<_> = versions.iter().flatten().map(|(key, _)| key.clone()).collect();
        let merged: Changes =
            touched.into_iter().map(|key| (key.clone(), publisher.records.get(&key).cloned())).rev().collect();
        let mut merger = Publisher { version: publisher.version, ..first.clone() };
        merger.version = publisher.version.saturating_sub(1);
        let segment = merger.change(&merged);
        merger.version = publisher.version;
        prop_assert_eq!(&merger.records, &publisher.records);
        let mut between = first.clone();
        let collection = first.build(mask);
        for changes in &versions[..versions.len() / 2] {
            let segment = between.change(changes);
            collection.apply(between.manifest(), vec![segment]).unwrap();
        }
        if between.version < merger.version {
            collection.apply(merger.manifest(), vec![Arc::clone(&segment)]).unwrap();
            check(&merger, &collection);
        }
        check(&merger, &merger.build(mask));
    }
}

#[test]
fn the_lowest_of_many_claimants_holds_a_value() {
    const CLAIMANTS: usize = 3000;
    // Key 0 is missing at first, and the keys arrive out of order.
    let key = |n: usize| format!("{:05}", (n * 1009) % CLAIMANTS);
    let records = (1..CLAIMANTS).map(|n| (key(n), model(0, Some("e0"), &["t0"]))).collect();
    let mut publisher = Publisher::new(records);
    let collection = publisher.build(u64::MAX);
    let values = [&[][..], &names("e", 2), &names("t", 2)];
    publisher.check(&collection, values);
    assert_eq!(collection.overflow_sets(), 2);
    assert_eq!(collection.conflicts(), 2 * (CLAIMANTS as u64 - 2));

    // A lower key arrives and takes the value; then half of the claimants go at a time, until one remains.
    let segment = publisher.change(&[(key(0), Some(model(1, Some("e0"), &["t0"])))]);
    collection.apply(publisher.manifest(), vec![segment]).unwrap();
    publisher.check(&collection, values);
    while publisher.records.len() > 1 {
        let keys: Vec<_> = publisher.records.keys().cloned().collect();
        let leaving: Changes = keys
            .into_iter()
            .enumerate()
            .filter(|(n, _)| n % 2 == 0)
            .map(|(n, key)| (key, (n % 4 == 0).then(|| model(2, Some("e1"), &[]))))
            .collect();
        let segment = publisher.change(&leaving);
        collection.apply(publisher.manifest(), vec![segment]).unwrap();
        publisher.check(&collection, values);
        let gone: Changes = publisher
            .records
            .iter()
            .filter(|(_, model)| model.round == 2)
            .map(|(key, _)| (key.clone(), None))
            .collect();
        let segment = publisher.change(&gone);
        collection.apply(publisher.manifest(), vec![segment]).unwrap();
        publisher.check(&collection, values);
    }
    assert_eq!((collection.conflicts(), collection.overflow_sets()), (0, 0));
}

#[test]
fn overflow_sets_that_come_and_go_within_one_change_leave_nothing() {
    // All hashes are equal: "1" is added beside "2", which then goes.
    let record = || model(0, Some("e0"), &["t0"]);
    let mut publisher = Publisher::new([("2".to_owned(), record())].into());
    let collection = publisher.build(0);
    let segment = publisher.change(&[("1".to_owned(), Some(record())), ("2".to_owned(), None)]);
    collection.apply(publisher.manifest(), vec![segment]).unwrap();
    publisher.check(&collection, [&names("", 3), &names("e", 1), &names("t", 1)]);
    assert_eq!(collection.overflow_sets(), 0);

    // Both members of a set go at once.
    let segment = publisher.change(&[("3".to_owned(), Some(record()))]);
    collection.apply(publisher.manifest(), vec![segment]).unwrap();
    assert_eq!(collection.overflow_sets(), 3);
    let segment = publisher.change(&[("1".to_owned(), None), ("3".to_owned(), None)]);
    collection.apply(publisher.manifest(), vec![segment]).unwrap();
    publisher.check(&collection, [&names("", 4), &names("e", 1), &names("t", 1)]);
    assert_eq!(collection.overflow_sets(), 0);
}

#[test]
fn memory_counts_entries_and_overflow_sets() {
    const RECORDS: usize = 5000;
    let bytes = |email: &dyn Fn(usize) -> String| {
        let record = |n: usize| (format!("{n:04}"), model(0, Some(&email(n)), &[]));
        let publisher = Publisher::new((0..RECORDS).map(record).collect());
        let collection = publisher.build(u64::MAX);
        let files: usize = collection.segments().iter().map(|segment| segment.byte_len()).sum();
        (collection.bytes() as usize - files, collection.overflow_sets())
    };
    // Two indexes have an entry for each record; 16 bytes of an entry, one of control, and some that are free.
    let (unique, sets) = bytes(&|n| format!("e{n:04}"));
    assert_eq!(sets, 0);
    assert!((2 * 17 * RECORDS..2 * 34 * RECORDS).contains(&unique), "{unique}");
    // The second one has an overflow set of all records instead: 8 bytes for each.
    let (shared, sets) = bytes(&|_| "shared".to_owned());
    assert_eq!(sets, 1);
    let table = unique / 2;
    assert!((table + 8 * RECORDS..table + 8 * RECORDS + 20_000).contains(&shared), "{shared} and {table}");
}
