//! Documents that cannot be read: those that are damaged are passed over, and a store that does not answer is no
//! answer. An earlier document that was taken for the newest one would undo what was announced since.

use std::sync::Arc;

use larder::{
    catalog::Catalog,
    domain::{
        catalog::{CatalogDocument, CollectionEntry},
        id::DeploymentId,
        manifest::Version,
    },
};
use object_store::{ObjectStoreExt, memory::InMemory, path::Path};

use crate::support::{
    catalog::{announcer, catalog_over, change, deployment, entry, name, quick, run_id},
    faulty_store::{Fault, FaultyStore, Request},
};

/// A catalog whose document `n` announces version `n` of `a`.
struct Documents {
    objects: Arc<InMemory>,
    store: Arc<FaultyStore>,
    catalog: Catalog,
    newest: CatalogDocument,
}

impl Documents {
    async fn of(number: u64) -> Self {
        let objects = Arc::new(InMemory::new());
        let store = FaultyStore::new(objects.clone());
        let catalog = catalog_over(store.clone());
        let running = announcer(&catalog, None, quick());
        let mut last: Option<CollectionEntry> = None;
        for version in 1..=number {
            let next = entry(version);
            running.handle.announce(change(&name("a"), last.as_ref(), &next)).await.unwrap();
            last = Some(next);
        }
        running.end().await;
        let newest = catalog.newest(None).await.unwrap().unwrap();
        assert_eq!(newest.n, number);
        Self { objects, store, catalog, newest }
    }

    fn path(n: u64) -> Path {
        Path::from(format!("catalog/{n:020}.json"))
    }

    async fn text(&self, n: u64) -> String {
        let bytes = self.objects.get(&Self::path(n)).await.unwrap().bytes().await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    async fn put(&self, n: u64, text: String) {
        self.objects.put(&Self::path(n), text.into()).await.unwrap();
    }

    /// The store does not answer for `path`.
    fn fail(&self, path: Path) {
        self.store.decide(
            move |request, of| {
                if request == Request::Get && *of == path { Fault::Fail } else { Fault::None }
            },
        );
    }

    /// The number of the last readable document, and the highest number.
    async fn last_readable(&self, of: Option<DeploymentId>) -> Option<(Option<u64>, u64)> {
        let last = self.catalog.last_readable(of).await.ok()?;
        Some((last.document.map(|document| document.n), last.highest))
    }
}

#[tokio::test]
async fn repair_takes_no_earlier_document_while_the_store_does_not_answer() {
    let documents = Documents::of(6).await;
    let own = Some(documents.newest.deployment);
    assert_eq!(documents.last_readable(own).await, Some((Some(6), 6)));
    // Also when the next request succeeds.
    documents.store.next(Request::Get, "00006.json", Fault::Fail, 1);
    assert_eq!(documents.last_readable(own).await, None);
    documents.store.heal();

    // Two damaged ones, and one of another deployment before them.
    let stranger =
        documents.text(4).await.replace(&documents.newest.deployment.to_string(), &deployment().to_string());
    for (n, text) in [(6, "{".to_owned()), (5, "[]".to_owned()), (4, stranger)] {
        documents.put(n, text).await;
    }
    assert_eq!(documents.last_readable(own).await, Some((Some(3), 6)));
    assert_eq!(documents.last_readable(None).await, Some((Some(4), 6)));
    for path in [Documents::path(5), Documents::path(3), Path::from("catalog/head")] {
        documents.fail(path.clone());
        assert_eq!(documents.last_readable(own).await, None, "{path}");
        assert_eq!(documents.catalog.usable_head().await.is_err(), path.filename() == Some("head"));
    }
    documents.store.heal();
    documents.objects.put(&Path::from("catalog/head"), "{".into()).await.unwrap();
    assert_eq!(documents.catalog.usable_head().await.unwrap(), None);
    assert_eq!(documents.last_readable(own).await, Some((Some(3), 6)));
}

#[tokio::test]
async fn earlier_version_is_found_beside_damaged_documents_and_not_while_the_store_is_silent() {
    let documents = Documents::of(9).await;
    let find = async |version: u64| {
        let found =
            documents.catalog.announced_version(&documents.newest, &name("a"), Version(version)).await;
        found.map(|entry| entry.map(|entry| entry.version.0))
    };
    // The middle of 1 to 9 is read first.
    let middle = Documents::path(4);
    for version in 1..=9 {
        assert_eq!(find(version).await.unwrap(), Some(version));
    }
    documents.fail(middle.clone());
    for version in [1, 3, 6] {
        find(version).await.unwrap_err();
    }
    documents.store.heal();
    for damage in [Some("{"), None] {
        match damage {
            Some(text) => documents.put(4, text.to_owned()).await,
            None => documents.objects.delete(&middle).await.unwrap(),
        }
        for version in [1, 2, 3, 5, 6, 8] {
            assert_eq!(find(version).await.unwrap(), Some(version), "{damage:?}");
        }
        assert_eq!(find(4).await.unwrap(), None);
    }
}

#[tokio::test]
async fn store_that_fails_during_a_search_leaves_the_runs_outcome_unknown() {
    let documents = Documents::of(20).await;
    let find = async || documents.catalog.find_announced(&name("a"), run_id(), None).await;
    documents.fail(Documents::path(10));
    find().await.unwrap_err();
    documents.store.heal();
    find().await.unwrap();
    // One of another deployment is not searched, and does not stand for those before it.
    let text = documents.text(10).await;
    let own = documents.newest.deployment.to_string();
    documents.put(10, text.replace(&own, &deployment().to_string())).await;
    let complete = larder::catalog::RunAnnouncement::NotFound { complete: true };
    assert_ne!(find().await.unwrap(), complete);
    documents.put(10, text).await;
    assert_eq!(find().await.unwrap(), complete);
}
