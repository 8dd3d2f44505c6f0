//! Announcements of a publisher whose machine was suspended for longer than the catalog keeps its documents.

use std::sync::Arc;

use chrono::TimeDelta;
use larder::{catalog::AnnounceError, support::clock::Clock};
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory};
use tokio::time::timeout;

use super::announcing::{document_path, faulty};
use crate::support::{
    catalog::{DEADLINE, announcer, announcer_at, at, catalog_over, change, entry, name, quick},
    faulty_store::{Fault, FaultyStore, Request},
};

#[tokio::test]
async fn suspended_publisher_reads_the_catalog_before_it_announces() {
    let memory = Arc::new(InMemory::new());
    let catalog = catalog_over(Arc::clone(&memory) as Arc<dyn ObjectStore>);
    let clock = Clock::fixed(at(0));
    let sleeper = announcer_at(&catalog, None, quick(), clock.clone());
    sleeper.handle.announce(change(&name("a"), None, &entry(1))).await.unwrap();
    // Meanwhile another process announces 2 to 4, and a month later 2 and 3 are collected.
    let other = announcer(&catalog, None, quick());
    for text in ["b", "c", "d"] {
        other.handle.announce(change(&name(text), None, &entry(1))).await.unwrap();
    }
    other.end().await;
    memory.delete(&document_path(2)).await.unwrap();
    memory.delete(&document_path(3)).await.unwrap();
    clock.set(at(0) + TimeDelta::days(31));
    let announced = sleeper.handle.announce(change(&name("e"), None, &entry(1))).await.unwrap();
    assert_eq!(announced.n, 5, "2 is free, and must not be taken");
}

#[tokio::test]
async fn publisher_suspended_during_the_answer_reads_the_catalog_first() {
    // It sleeps while it puts document 1, or while it looks at document 2, which was first.
    for (asleep_in, asleep_at) in [(Request::Put, "1.json"), (Request::Get, "2.json")] {
        let memory = Arc::new(InMemory::new());
        let faulty = FaultyStore::new(Arc::clone(&memory) as Arc<dyn ObjectStore>);
        let catalog = catalog_over(Arc::clone(&faulty) as Arc<dyn ObjectStore>);
        let clock = Clock::fixed(at(0));
        let sleeper = announcer_at(&catalog, None, quick(), clock.clone());
        faulty.decide(move |request, path| {
            if request == asleep_in && path.as_ref().ends_with(asleep_at) {
                clock.set(at(0) + TimeDelta::days(31));
            }
            Fault::None
        });
        sleeper.handle.announce(change(&name("a"), None, &entry(1))).await.unwrap();
        // Meanwhile another process announces 2 to 5, and a month later the older ones are collected: 2
        // in one case, in the other it is about to be.
        let plain = catalog_over(Arc::clone(&memory) as Arc<dyn ObjectStore>);
        let other = announcer(&plain, None, quick());
        for text in ["b", "c", "d", "e"] {
            other.handle.announce(change(&name(text), None, &entry(1))).await.unwrap();
        }
        other.end().await;
        let first_free = if asleep_in == Request::Put { 2 } else { 3 };
        for n in first_free..=4 {
            memory.delete(&document_path(n)).await.unwrap();
        }
        if asleep_in == Request::Get {
            let outcome = sleeper.handle.announce(change(&name("f"), None, &entry(1))).await;
            assert!(matches!(outcome, Err(AnnounceError::Late)), "{outcome:?}");
        }
        let announced = sleeper.handle.announce(change(&name("f"), None, &entry(1))).await.unwrap();
        assert_eq!(announced.n, 6, "a free number must not be taken");
    }
}

#[tokio::test]
async fn suspended_publisher_with_unknown_outcome_takes_no_free_number() {
    let memory = Arc::new(InMemory::new());
    let faulty = FaultyStore::new(Arc::clone(&memory) as Arc<dyn ObjectStore>);
    let catalog = catalog_over(Arc::clone(&faulty) as Arc<dyn ObjectStore>);
    let clock = Clock::fixed(at(0));
    let sleeper = announcer_at(&catalog, None, quick(), clock.clone());
    sleeper.handle.announce(change(&name("a"), None, &entry(1))).await.unwrap();
    let plain = catalog_over(Arc::clone(&memory) as Arc<dyn ObjectStore>);
    let other = announcer(&plain, None, quick());
    other.handle.announce(change(&name("b"), None, &entry(1))).await.unwrap();
    other.handle.announce(change(&name("c"), None, &entry(1))).await.unwrap();
    other.end().await;
    memory.delete(&document_path(2)).await.unwrap();
    // The put of document 2 fails, and the machine sleeps before it is tried again.
    faulty.decide(move |request, path| match request {
        Request::Put if path.as_ref().ends_with("2.json") => {
            clock.set(at(0) + TimeDelta::days(31));
            Fault::Fail
        }
        _ => Fault::None,
    });
    let announcing = sleeper.handle.announce(change(&name("e"), None, &entry(1)));
    let outcome = timeout(DEADLINE, announcing).await.expect("it does not try for ever");
    assert!(matches!(outcome, Err(AnnounceError::Unknown)), "{outcome:?}");
    assert_eq!(catalog.document(2).await.unwrap(), None);
    assert_eq!(catalog.newest(None).await.unwrap().unwrap().n, 3);
}

#[tokio::test]
async fn change_that_waits_too_long_is_not_announced() {
    // The machine sleeps for a day, in which what the change names may be collected: before the change
    // is put into the catalog, or after a put that failed.
    for (asleep_at, kind) in [("head", "announcement_late"), ("1.json", "announcement_unknown")] {
        let (faulty, catalog) = faulty();
        let clock = Clock::fixed(at(0));
        let sleeper = announcer_at(&catalog, None, quick(), clock.clone());
        let mut has_slept = false;
        faulty.decide(move |request, path| {
            if has_slept || !path.as_ref().ends_with(asleep_at) {
                return Fault::None;
            }
            has_slept = true;
            clock.set(at(0) + TimeDelta::hours(25));
            if request == Request::Put { Fault::Fail } else { Fault::None }
        });
        let announcing = sleeper.handle.announce(change(&name("a"), None, &entry(1)));
        let outcome = timeout(DEADLINE, announcing).await.expect("it does not try for ever");
        assert_eq!(outcome.unwrap_err().code(), kind);
        assert_eq!(catalog.newest(None).await.unwrap(), None);
        // What comes now is not held up by it.
        sleeper.handle.announce(change(&name("a"), None, &entry(1))).await.unwrap();
    }
}
