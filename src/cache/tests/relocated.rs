//! Segments of unchanged records are exchanged one at a time, and no reader notices.

use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::*;

/// The same records in `parts` segments of a base, in this order.
fn rewrite(publisher: &Publisher, order: &[String], parts: usize) -> Publisher {
    let row = |key: &String| (key.clone(), publisher.records.get(key).cloned());
    let rows: Changes = order.iter().filter(|key| publisher.records.contains_key(*key)).map(row).collect();
    let mut rewritten = Publisher { references: Vec::new(), segments: Vec::new(), ..publisher.clone() };
    for rows in rows.chunks(rows.len().div_ceil(parts).max(1)) {
        rewritten.add(segment(SegmentKind::Base, rows));
    }
    rewritten
}

/// Moves everything; `after_each` sees the collection after every segment.
fn relocate(collection: &Collection, to: &Publisher, mut after_each: impl FnMut(usize)) -> Result<(), Error> {
    let (manifest, relocation) = (to.manifest(), collection.begin_relocation());
    for (number, segment) in to.segments.iter().enumerate() {
        collection.relocate(&manifest, number, Arc::clone(segment))?;
        after_each(number);
    }
    collection.finish_relocation(relocation, manifest)
}

fn many(count: usize) -> BTreeMap<String, Model> {
    let record = |n: usize| {
        let (email, tag) = (format!("e{}", n / 2), format!("t{}", n % 3));
        (n.to_string(), model(0, Some(&email), &[&tag, "all"]))
    };
    (0..count).map(record).collect()
}

#[test]
fn old_segments_are_dropped_as_their_records_move() {
    let publisher = {
        let mut publisher = Publisher::new(BTreeMap::new());
        publisher.records = many(400);
        let order: Vec<String> = publisher.records.keys().cloned().collect();
        rewrite(&publisher, &order, 10)
    };
    let collection = publisher.build(u64::MAX);
    let held = collection.bytes();
    let order: Vec<String> = publisher.records.keys().cloned().collect();
    let to = rewrite(&publisher, &order, 10);
    let values = [names("", 401), names("e", 201), [names("t", 4), vec!["all".to_owned()]].concat()];
    relocate(&collection, &to, |number| {
        publisher.check(&collection, [&values[0], &values[1], &values[2]]);
        // Ten old segments, of which as many are gone as were moved.
        assert_eq!(collection.segments().len(), 10, "after segment {number}");
        assert!(collection.bytes() <= held + held / 10);
    })
    .unwrap();
    assert_eq!(collection.state().manifest.segments, to.manifest().segments);
    // The collection takes further changes.
    let mut to = to;
    let changes: Changes =
        vec![("7".to_owned(), None), ("8".to_owned(), Some(model(1, Some("e3"), &["t0"])))];
    let segment = to.change(&changes);
    collection.apply(to.manifest(), vec![segment]).unwrap();
    to.check(&collection, [&values[0], &values[1], &values[2]]);
}

#[test]
fn records_that_are_not_the_served_ones_are_refused_and_nothing_changes() {
    let publisher = Publisher::new(many(60));
    let order: Vec<String> = publisher.records.keys().cloned().collect();
    let values = [names("", 61), names("e", 31), [names("t", 4), vec!["all".to_owned()]].concat()];
    let alter = |alter: &dyn Fn(&mut BTreeMap<String, Model>)| {
        let mut other = publisher.clone();
        alter(&mut other.records);
        let mut order = order.clone();
        order.push("60".to_owned());
        rewrite(&other, &order, 4)
    };
    let others = [
        ("another body", alter(&|records| records.get_mut("59").unwrap().round = 1)),
        ("another value", alter(&|records| records.get_mut("59").unwrap().email = Some("e0".to_owned()))),
        ("one more", alter(&|records| drop(records.insert("60".to_owned(), model(0, None, &[]))))),
        ("one less", alter(&|records| drop(records.remove("59")))),
    ];
    for (what, other) in others {
        let collection = publisher.build(u64::MAX);
        let refused = relocate(&collection, &other, |_| {
            publisher.check(&collection, [&values[0], &values[1], &values[2]]);
        });
        assert_eq!(refused, Err(Error::OtherContent), "{what}");
        publisher.check(&collection, [&values[0], &values[1], &values[2]]);
        assert_eq!(collection.state().manifest.segments, publisher.manifest().segments, "{what}");
        // A relocation that was given up does no harm to the next one.
        let to = rewrite(&publisher, &order, 5);
        relocate(&collection, &to, |_| {}).unwrap();
        publisher.check(&collection, [&values[0], &values[1], &values[2]]);
        assert_eq!(collection.segments().len(), 5, "{what}");
    }
}

#[test]
fn readers_see_every_record_while_it_moves() {
    let publisher = Publisher::new(many(300));
    let collection = publisher.build(u64::MAX);
    let order: Vec<String> = publisher.records.keys().cloned().collect();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut rounds = 0;
                    loop {
                        let was_done = is_done.load(Ordering::Acquire);
                        let tags = [names("t", 4), vec!["all".to_owned()]].concat();
                        let values = [names("", 301), names("e", 151), tags];
                        let mut out = Vec::new();
                        for (number, values) in values.iter().enumerate() {
                            let index = &definitions()[number].name;
                            for value in values {
                                let expected = publisher.claimants(number, value).next();
                                match (expected, collection.lookup(index.as_str(), value, &mut out)) {
                                    (Some((key, model)), Lookup::Hit { .. }) => {
                                        assert_eq!(out, body(key, model));
                                    }
                                    (None, Lookup::Miss) => {}
                                    (expected, found) => panic!("{value}: {expected:?} but {found:?}"),
                                }
                            }
                        }
                        rounds += 1;
                        if was_done {
                            return rounds;
                        }
                    }
                })
            })
            .collect();
        for parts in [3, 7, 1, 20, 5] {
            relocate(&collection, &rewrite(&publisher, &order, parts), |_| {}).unwrap();
        }
        is_done.store(true, Ordering::Release);
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
}

proptest! {
    /// Whatever the history, the order and the collisions of hashes.
    #[test]
    fn relocated_collection_serves_what_it_served(
        records in prop::collection::btree_map(0_u8..40, (0_u8..8, 0_u8..6), 1..40),
        changes in prop::collection::vec((0_u8..40, prop::option::of((0_u8..8, 0_u8..6))), 0..30),
        reversed in any::<bool>(),
        parts in 1_usize..9,
        mask in prop::sample::select(vec![0, 3, u64::MAX]),
    ) {
        let model = |(email, tag): (u8, u8)| model(email.into(), Some(&format!("e{email}")), &[&format!("t{tag}")]);
        let records = records.into_iter().map(|(key, of)| (key.to_string(), model(of))).collect();
        let mut publisher = Publisher::new(records);
        let collection = publisher.build(mask);
        for changes in changes.chunks(7) {
            let changes: Changes = changes
                .iter()
                .map(|&(key, of)| (key.to_string(), of.map(model)))
                .collect::<BTreeMap<_, _>>()
                .into_iter()
                .collect();
            let segment = publisher.change(&changes);
            collection.apply(publisher.manifest(), vec![segment]).unwrap();
        }
        let mut order: Vec<String> = publisher.records.keys().cloned().collect();
        if reversed {
            order.reverse();
        }
        let to = rewrite(&publisher, &order, parts);
        let values = [names("", 40), names("e", 8), names("t", 6)];
        relocate(&collection, &to, |_| publisher.check(&collection, [&values[0], &values[1], &values[2]])).unwrap();
        to.check(&collection, [&values[0], &values[1], &values[2]]);
        prop_assert_eq!(collection.segments().len(), to.segments.len());
    }
}
