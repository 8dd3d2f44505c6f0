//! Readers beside a writer: a record that exists before and after a change is found at every moment, complete.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;

const KEYS: usize = 64;

/// Version `round`: every record keeps its own e-mail address and one shared tag, the rest changes. Every seventh
/// record is added and removed.
fn round(round: u64) -> Changes {
    let row = |(n, key): (usize, String)| {
        let turn = n + usize::try_from(round).unwrap();
        let moving = format!("m{}", turn % 5);
        let flip = format!("flip{n}-{}", round % 2);
        let model = model(round, Some(&format!("e{n}")), &["all", &moving, &format!("own{n}"), &flip]);
        (key, (n % 7 != 3 || round.is_multiple_of(2)).then_some(model))
    };
    names("", KEYS).into_iter().enumerate().map(row).collect()
}

fn stays(n: usize) -> bool {
    n % 7 != 3
}

/// Reads all records until `is_done`, at least once; returns the number of reads.
fn read(collection: &Collection, is_done: &AtomicBool) -> u64 {
    let (mut out, mut reads) = (Vec::new(), 0);
    let mut newest = vec![0; KEYS];
    loop {
        let was_done = is_done.load(Ordering::Acquire);
        for n in (0..KEYS).filter(|&n| stays(n)) {
            for (index, value) in
                [("id", n.to_string()), ("email", format!("e{n}")), ("tag", format!("own{n}"))]
            {
                let version = collection.state().manifest.version.0;
                let lookup = collection.lookup(index, &value, &mut out);
                let Lookup::Hit { fingerprint: found } = lookup else {
                    panic!("{index} {value}: {lookup:?}")
                };
                assert_eq!(found, fingerprint(&out), "a record is whole");
                let text = std::str::from_utf8(&out).unwrap();
                assert!(text.starts_with(&format!("{{\"key\":\"{n}\",")), "{text}");
                let of: u64 =
                    text.split("\"round\":").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
                assert!(of >= version, "a record of round {of} under version {version}");
                if index == "id" {
                    assert!(of >= newest[n], "a record went back from round {} to {of}", newest[n]);
                    newest[n] = of;
                }
                reads += 1;
            }
        }
        assert!(matches!(collection.lookup("tag", "all", &mut out), Lookup::Hit { .. }));
        assert!(out.starts_with(b"{\"key\":\"0\","), "the lowest key holds a shared value");
        if was_done {
            return reads;
        }
    }
}

/// When a record's value changes from version to version, the old or the new value leads to it: the old one is
/// removed after the new one was added. (Except when another of its values has the hash of the old one: the
/// record then moves there at once.)
fn follow(collection: &Collection, is_done: &AtomicBool) -> u64 {
    let (mut out, mut followed) = (Vec::new(), 0);
    while !is_done.load(Ordering::Acquire) {
        for n in (0..KEYS).filter(|&n| stays(n)) {
            let version = collection.state().manifest.version.0;
            let value = |version| format!("flip{n}-{}", version % 2);
            if matches!(collection.lookup("tag", &value(version), &mut out), Lookup::Hit { .. }) {
                continue;
            }
            let lookup = collection.lookup("tag", &value(version + 1), &mut out);
            // When a further version has begun, the new value may already be removed, too.
            if collection.state().manifest.version.0 == version {
                assert!(
                    matches!(lookup, Lookup::Hit { .. }),
                    "record {n} has neither its old value nor its new one"
                );
                followed += 1;
            }
        }
    }
    followed
}

fn run(mask: u64, rounds: u64) {
    let records = round(0).into_iter().filter_map(|(key, model)| Some((key, model?))).collect();
    let mut publisher = Publisher { version: 0, ..Publisher::new(records) };
    for reference in &mut publisher.references {
        reference.version = Version(0);
    }
    let collection = publisher.build(mask);
    let (is_done, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| reads.fetch_add(read(&collection, &is_done), Ordering::Relaxed));
        }
        if mask == u64::MAX {
            scope.spawn(|| follow(&collection, &is_done));
        }
        for number in 1..=rounds {
            let segment = publisher.change(&round(number));
            collection.apply(publisher.manifest(), vec![segment]).unwrap();
        }
        is_done.store(true, Ordering::Release);
    });
    assert!(reads.into_inner() >= 2 * 3 * (0..KEYS).filter(|&n| stays(n)).count() as u64);
    let moving = names("m", 5);
    let flips = (0..KEYS).flat_map(|n| [format!("flip{n}-0"), format!("flip{n}-1")]);
    let tags: Vec<_> =
        moving.into_iter().chain(names("own", KEYS)).chain(flips).chain(["all".to_owned()]).collect();
    publisher.check(&collection, [&names("", KEYS), &names("e", KEYS), &tags]);
    assert_eq!(collection.segments().len(), 1);
}

#[test]
fn readers_find_every_record() {
    run(u64::MAX, 300);
}

#[test]
fn readers_find_every_record_when_hashes_collide() {
    run(7, 60);
}

#[test]
fn readers_find_every_record_when_all_hashes_are_equal() {
    run(0, 60);
}
