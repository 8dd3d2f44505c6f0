//! A store that refuses to write, or to read, a document: the announcer ends soon, and knows what it knows.

use std::sync::Arc;

use larder::catalog::Catalog;
use object_store::memory::InMemory;
use tokio::time::timeout;

use crate::support::{
    catalog::{DEADLINE, announcer, catalog_over, change, entry, name, quick},
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
