//! One poll of the catalog: head, the document that head names, the key set that the document names.

use bytes::Bytes;

use crate::{
    catalog::{Catalog, Error, HeadAnswer},
    domain::{
        catalog::{CatalogDocument, Head, KeySetReference},
        id::{AnnouncementId, DeploymentId},
        keyset::KeySet,
    },
};

/// What the follower knows before a poll.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) deployment: Option<DeploymentId>,
    /// Number of the known document; 0 when there is none.
    pub(super) n: u64,
    /// The announcement that wrote that document.
    pub(super) announced_by: Option<AnnouncementId>,
    /// ETag of that document when the store last had it.
    pub(super) document_etag: Option<String>,
    /// ETag of the last head whose contents were applied in full.
    pub(super) etag: Option<String>,
    /// Revision of the keys in force.
    pub(super) revision: u64,
    /// A key set that should be in force and is not loaded.
    pub(super) keys_wanted: Option<KeySetReference>,
    /// Whether to probe for documents that head does not name.
    pub(super) probe: bool,
}

/// The result of a poll.
#[derive(Debug, Default)]
pub(super) struct PollResult {
    /// The head and its ETag, when the head has changed.
    pub(super) head: Option<(Head, Option<String>)>,
    /// A document newer than the known one.
    pub(super) document: Option<CatalogDocument>,
    /// ETag of the known document, when it was checked and is still the newest.
    pub(super) document_etag: Option<String>,
    /// The wanted key set or the one that the newer document names, or why it could not be read.
    pub(super) keys: Option<Result<(KeySetReference, KeySet, Bytes), Error>>,
}

/// Polls once.
pub(super) async fn poll(catalog: &Catalog, known: &Known) -> Result<PollResult, Error> {
    let mut result = PollResult::default();
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
            result.head = Some((head, etag));
        }
        // Head is only a hint. When it is unusable, the probe finds documents without it.
        Err(error) if known.probe && error.is_unusable_head() => is_missing = true,
        Err(error) => return Err(error),
    }
    if known.n == 0 && (is_missing || named > 0) {
        // Without head the store must be listed. An empty store is listed only when probing.
        if named > 0 || known.probe {
            result.document = catalog.newest(known.deployment).await?;
        }
    } else {
        result.document = newer(catalog, known, named).await?;
    }
    // Starting nodes and publishers need the newest document. A node that has it checks that it still exists.
    if let Some(announced_by) = known.announced_by.filter(|_| known.probe && result.document.is_none()) {
        let etag = known.document_etag.clone();
        result.document_etag = catalog.check_document(known.n, announced_by, etag).await?;
    }
    // Always the highest revision named, even if it cannot be read: an older set might revive a revoked key.
    let named = result.document.as_ref().and_then(|document| document.keys.as_ref());
    let wanted = named.into_iter().chain(&known.keys_wanted).max_by_key(|reference| reference.revision);
    let wanted = wanted.filter(|reference| reference.revision > known.revision);
    if let Some(reference) = wanted {
        let keys = catalog.key_set_object(reference).await;
        result.keys = Some(keys.map(|(keys, bytes)| (reference.clone(), keys, bytes)));
    }
    Ok(result)
}

/// The newest document above the known one: the one that head names or, when probing, one after it.
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
