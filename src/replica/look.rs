//! One look at the catalog: head, the document that it names, the key set that this names.

use bytes::Bytes;

use crate::{
    catalog::{Catalog, Error, HeadAnswer},
    domain::{
        catalog::{CatalogDocument, Head, KeySetReference},
        id::{AnnouncementId, DeploymentId},
        keyset::KeySet,
    },
};

/// What the follower knows before it looks.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) deployment: Option<DeploymentId>,
    /// Its document's number; 0 when it has none.
    pub(super) n: u64,
    /// Who announced that document.
    pub(super) announced_by: Option<AnnouncementId>,
    /// What that document answered with when it was last seen to stand in the store.
    pub(super) document_etag: Option<String>,
    /// What head answered with last, once all that it named was taken.
    pub(super) etag: Option<String>,
    /// Revision of the keys in force.
    pub(super) revision: u64,
    /// A key set that should be in force and is not here.
    pub(super) keys_wanted: Option<KeySetReference>,
    /// Whether to ask for documents that head does not name.
    pub(super) probe: bool,
}

/// What it knows afterwards.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The head, when it is another one than before.
    pub(super) head: Option<(Head, Option<String>)>,
    /// A newer document than the known one.
    pub(super) document: Option<CatalogDocument>,
    /// What the known document answered with, when it was looked for and is the newest.
    pub(super) document_etag: Option<String>,
    /// The key set asked for or named by the newer document, or why it is not here.
    pub(super) keys: Option<Result<(KeySetReference, KeySet, Bytes), Error>>,
}

/// Looks once.
pub(super) async fn look(catalog: &Catalog, known: &Known) -> Result<Seen, Error> {
    let mut seen = Seen::default();
    let mut named = 0;
    let mut is_missing = false;
    match catalog.head_if_changed(known.etag.as_deref()).await {
        Ok(HeadAnswer::Unchanged) => {}
        Ok(HeadAnswer::Missing) => is_missing = true,
        Ok(HeadAnswer::Found { head, etag }) => {
            if let Some(expected) = known.deployment.filter(|expected| *expected != head.deployment) {
                let found = head.deployment;
                return Err(Error::ForeignCatalog { path: "catalog/head".into(), expected, found });
            }
            named = head.n;
            seen.head = Some((head, etag));
        }
        // A hint that cannot be read is no hint; documents are found without it.
        Err(error) if known.probe && error.is_unusable_head() => is_missing = true,
        Err(error) => return Err(error),
    }
    if known.n == 0 && (is_missing || named > 0) {
        // Without head the store must be listed; an empty one is not listed at every look.
        if named > 0 || known.probe {
            seen.document = catalog.newest(known.deployment).await?;
        }
    } else {
        seen.document = newer(catalog, known, named).await?;
    }
    // Nodes that start and publishers need the newest document; whoever has it can tell that it has gone.
    if let Some(announced_by) = known.announced_by.filter(|_| known.probe && seen.document.is_none()) {
        let etag = known.document_etag.clone();
        seen.document_etag = catalog.check_document(known.n, announced_by, etag).await?;
    }
    // The highest revision ever named, even when it cannot be read: an older set might revive a key.
    let named = seen.document.as_ref().and_then(|document| document.keys.as_ref());
    let wanted = named.into_iter().chain(&known.keys_wanted).max_by_key(|reference| reference.revision);
    let wanted = wanted.filter(|reference| reference.revision > known.revision);
    if let Some(reference) = wanted {
        let keys = catalog.key_set_object(reference).await;
        seen.keys = Some(keys.map(|(keys, bytes)| (reference.clone(), keys, bytes)));
    }
    Ok(seen)
}

/// The newest document above the known one: head's, and when probing what comes after it.
async fn newer(catalog: &Catalog, known: &Known, named: u64) -> Result<Option<CatalogDocument>, Error> {
    let mut newer = None;
    if named > known.n {
        let document = catalog.referenced_document(named).await?;
        if let Some(expected) = known.deployment.filter(|expected| *expected != document.deployment) {
            let path = format!("catalog document {named}");
            return Err(Error::ForeignCatalog { path, expected, found: document.deployment });
        }
        newer = Some(document);
    }
    if known.probe {
        let from = newer.as_ref().map_or(known.n, |document| document.n);
        if let Some(document) = catalog.newest_after(from, known.deployment).await? {
            newer = Some(document);
        }
    }
    Ok(newer)
}
