//! Finding out from the catalog whether a run was announced: what a takeover waits for.

use std::sync::Arc;

use larder::{
    catalog::{Catalog, RunAnnouncement},
    domain::catalog::CollectionEntry,
};
use object_store::{ObjectStoreExt, memory::InMemory, path::Path};
use tokio::time::timeout;

use crate::support::{
    catalog::{DEADLINE, announcer, catalog_over, change, entry, name, quick, run_id},
    faulty_store::{Fault, FaultyStore, Request},
};

/// As in `src/catalog/reconcile.rs`.
const DOCUMENTS_MAX: u64 = 512;
const CONCURRENCY: usize = 32;

const NOT_FOUND: RunAnnouncement = RunAnnouncement::NotFound { complete: true };
const PERHAPS: RunAnnouncement = RunAnnouncement::NotFound { complete: false };

fn document(n: u64) -> Path {
    Path::from(format!("catalog/{n:020}.json"))
}

/// A catalog whose document `n` announces version `n` of `a`.
struct History {
    objects: Arc<InMemory>,
    store: Arc<FaultyStore>,
    catalog: Catalog,
    entries: Vec<CollectionEntry>,
}

impl History {
    async fn of(documents: u64) -> Self {
        let objects = Arc::new(InMemory::new());
        let store = FaultyStore::new(objects.clone());
        let catalog = catalog_over(store.clone());
        let running = announcer(&catalog, None, quick());
        let mut entries: Vec<CollectionEntry> = Vec::new();
        for version in 1..=documents {
            let next = entry(version);
            running.handle.announce(change(&name("a"), entries.last(), &next)).await.unwrap();
            entries.push(next);
        }
        running.end().await;
        Self { objects, store, catalog, entries }
    }

    /// Searches for the run that document `n` announced.
    async fn find(&self, n: u64) -> RunAnnouncement {
        self.catalog.find_announced(&name("a"), self.entries[n as usize - 1].run_id, None).await.unwrap()
    }

    fn found(&self, n: u64) -> RunAnnouncement {
        RunAnnouncement::Found { n, entry: self.entries[n as usize - 1].clone() }
    }

    /// Searches for a run that was never announced.
    async fn find_none(&self) -> RunAnnouncement {
        self.catalog.find_announced(&name("a"), run_id(), None).await.unwrap()
    }

    async fn put(&self, n: u64, text: &'static str) {
        self.objects.put(&document(n), text.into()).await.unwrap();
    }
}

#[tokio::test]
async fn a_document_that_cannot_be_read_hides_no_other() {
    let history = History::of(40).await;
    assert_eq!(history.find_none().await, NOT_FOUND);
    for damage in ["{", "", "[]"] {
        history.put(20, damage).await;
        for n in [1, 19, 21, 39, 40] {
            assert_eq!(history.find(n).await, history.found(n));
        }
        assert_eq!(history.find(20).await, PERHAPS);
        assert_eq!(history.find_none().await, PERHAPS);
    }
    // Lost among others, and not deleted for its age.
    history.objects.delete(&document(20)).await.unwrap();
    assert_eq!(history.find(19).await, history.found(19));
    assert_eq!(history.find_none().await, PERHAPS);
}

#[tokio::test]
async fn documents_deleted_for_their_age_leave_no_doubt() {
    let history = History::of(100).await;
    for n in 1..60 {
        history.objects.delete(&document(n)).await.unwrap();
    }
    assert_eq!(history.find(60).await, history.found(60));
    assert_eq!(history.find_none().await, NOT_FOUND);
    history.put(60, "{").await;
    assert_eq!(history.find_none().await, PERHAPS);
}

#[tokio::test]
async fn a_bounded_number_of_documents_is_read_many_at_a_time() {
    let history = History::of(DOCUMENTS_MAX + 20).await;
    let before = history.store.count(Request::Get, ".json");
    assert_eq!(history.find(21).await, history.found(21));
    assert_eq!(history.find(20).await, PERHAPS);
    assert_eq!(history.find_none().await, PERHAPS);
    // Each search also asks for the document after the newest one.
    let read = history.store.count(Request::Get, ".json") - before;
    assert_eq!(read, 3 * (DOCUMENTS_MAX as usize + 1));

    // No document is answered until as many as may be are requested.
    let newest = document(DOCUMENTS_MAX + 20);
    history.store.decide(move |request, path| {
        let is_earlier = *path < newest && path.filename().is_some_and(|name| name != "head");
        if request == Request::Get && is_earlier { Fault::Hold } else { Fault::None }
    });
    let before = history.store.count(Request::Get, ".json");
    let mut searching = Box::pin(history.find(21));
    for _ in 0..10 {
        assert!(timeout(std::time::Duration::ZERO, &mut searching).await.is_err());
    }
    assert_eq!(history.store.count(Request::Get, ".json") - before, CONCURRENCY + 2);
    history.store.heal();
    history.store.release().await;
    assert_eq!(timeout(DEADLINE, searching).await.unwrap(), history.found(21));
}
