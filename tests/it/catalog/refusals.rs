//! A store that refuses to write or to read a document, or has lost some: the announcer ends soon, and knows what it
//! knows.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use larder::{
    catalog::{AnnounceError, AnnouncerPace, Catalog},
    support::clock::Clock,
};
use object_store::{ObjectStoreExt, memory::InMemory, path::Path};
use tokio::time::timeout;

use crate::support::{
    catalog::{DEADLINE, announcer, announcer_at, catalog_over, change, entry, name, quick},
    faulty_store::{Fault, FaultyStore, Request},
};

fn faulty() -> (Arc<FaultyStore>, Catalog) {
    let faulty = FaultyStore::new(Arc::new(InMemory::new()));
    (Arc::clone(&faulty), catalog_over(faulty))
}

#[tokio::test]
async fn announcements_end_with_the_stores_refusal_and_work_once_it_is_over() {
    let (store, catalog) = faulty();
    let running = announcer(&catalog, None, quick());
    let first = entry(1);
    running.handle.announce(change(&name("a"), None, &first)).await.unwrap();
    // Documents may not be written; and then not read either.
    for denied in [&[Request::Put][..], &[Request::Put, Request::Get]] {
        store.decide(move |asked, path| {
            let is_document = path.as_ref().ends_with("2.json") && denied.contains(&asked);
            if is_document { Fault::Deny } else { Fault::None }
        });
        let announcing = running.handle.announce(change(&name("b"), None, &entry(1)));
        let refused = timeout(DEADLINE, announcing).await.expect("it ends").unwrap_err();
        assert_eq!(refused.code(), "store_denied");
    }
    store.heal();
    let announced = running.handle.announce(change(&name("b"), None, &entry(1))).await.unwrap();
    assert_eq!(announced.n, 2);
    running.end().await;
}

/// One attempt may still be carried out, so the refusals of the others decide nothing.
#[tokio::test]
async fn an_attempt_without_an_answer_leaves_the_outcome_unknown() {
    let (store, catalog) = faulty();
    let running = announcer(&catalog, None, quick());
    let first = entry(1);
    running.handle.announce(change(&name("a"), None, &first)).await.unwrap();
    let mut attempts = 0;
    store.decide(move |asked, path| {
        if asked != Request::Put || !path.as_ref().ends_with("2.json") {
            return Fault::None;
        }
        attempts += 1;
        if attempts == 1 { Fault::Late } else { Fault::Deny }
    });
    let late = entry(1);
    let announcing = running.handle.announce(change(&name("b"), None, &late));
    let unknown = timeout(DEADLINE, announcing).await.expect("it ends").unwrap_err();
    assert_eq!(unknown.code(), "announcement_unknown");
    store.heal();
    store.release().await;
    let newest = catalog.newest(None).await.unwrap().unwrap();
    assert_eq!((newest.n, &newest.collections[&name("b")]), (2, &late));
    running.end().await;
}

/// A short refusal, as while credentials are exchanged, delays the announcement only.
#[tokio::test]
async fn a_short_refusal_is_waited_for() {
    let (store, catalog) = faulty();
    let running = announcer(&catalog, None, quick());
    store.next(Request::Put, "1.json", Fault::Deny, 3);
    let announced = running.handle.announce(change(&name("a"), None, &entry(1))).await.unwrap();
    assert_eq!(announced.n, 1);
    running.end().await;
}

/// A bucket that was restored from a backup. A document with a number that followers know already would fork the
/// catalog.
#[tokio::test]
async fn nothing_is_announced_to_a_store_that_has_lost_documents() {
    for lost in [&[3][..], &[2, 3], &[1, 2, 3]] {
        let (store, catalog) = faulty();
        let clock = Clock::fixed(Clock::default().now());
        let pace = AnnouncerPace { patience: Duration::ZERO, ..quick() };
        let running = announcer_at(&catalog, None, pace, clock.clone());
        for collection in ["a", "b", "c"] {
            running.handle.announce(change(&name(collection), None, &entry(1))).await.unwrap();
            // It reads the catalog again.
            clock.set(clock.now() + TimeDelta::minutes(2));
        }
        for n in lost {
            store.delete(&Path::from(format!("catalog/{n:020}.json"))).await.unwrap();
        }
        store.delete(&Path::from("catalog/head")).await.unwrap();
        let before = store.count(Request::Put, ".json");
        let refused = running.handle.announce(change(&name("d"), None, &entry(1))).await.unwrap_err();
        let AnnounceError::Unreachable(cause) = refused else { panic!("{lost:?}: {refused}") };
        assert_eq!(cause.code(), "catalog_lost", "{lost:?}");
        assert_eq!(store.count(Request::Put, ".json"), before);
    }
}

/// The number of its document may have been taken meanwhile, and deleted.
#[tokio::test]
async fn publisher_that_slept_puts_again_only_what_is_still_next() {
    for is_next in [true, false] {
        let (store, catalog) = faulty();
        let clock = Clock::fixed(Clock::default().now());
        let sleeper = announcer_at(&catalog, None, quick(), clock.clone());
        sleeper.handle.announce(change(&name("a"), None, &entry(1))).await.unwrap();
        let path = Path::from(format!("catalog/{:020}.json", 2));
        if !is_next {
            let other = announcer(&catalog, None, quick());
            for collection in ["b", "c"] {
                other.handle.announce(change(&name(collection), None, &entry(1))).await.unwrap();
            }
            other.end().await;
            store.delete(&path).await.unwrap();
        }
        let before = store.count(Request::Put, "2.json");
        let mut has_slept = false;
        store.decide(move |request, path| {
            if has_slept || request != Request::Put || !path.as_ref().ends_with("2.json") {
                return Fault::None;
            }
            has_slept = true;
            clock.set(clock.now() + TimeDelta::minutes(2));
            Fault::Fail
        });
        let announcing = sleeper.handle.announce(change(&name("d"), None, &entry(1)));
        let outcome = timeout(DEADLINE, announcing).await.expect("it ends");
        let puts = store.count(Request::Put, "2.json") - before;
        if is_next {
            assert_eq!((outcome.unwrap().n, puts), (2, 2));
        } else {
            assert!(matches!(outcome, Err(AnnounceError::Unknown)), "{outcome:?}");
            assert_eq!((catalog.document(2).await.unwrap(), puts), (None, 1));
        }
    }
}
