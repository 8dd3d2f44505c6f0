//! One poll of the catalog: head, the document that head names, the key set that the document names.
//!
//! Head is a hint. When it is damaged, of another deployment, or names a document that is lost, damaged or of another
//! deployment, a follower asks for the number after its own, so that announcements still arrive.

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
    /// Why head, or the document that it names, was left out.
    pub(super) problem: Option<Error>,
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
                let path = "catalog/head".into();
                result.problem = Some(Error::ForeignCatalog { path, expected, found });
            } else {
                named = head.n;
                result.head = Some((head, etag));
            }
        }
        Err(error) if error.is_of_object() && known.n > 0 => result.problem = Some(error),
        Err(error) if known.probe && error.is_unusable_head() => is_missing = true,
        Err(error) => return Err(error),
    }
    if known.n == 0 && (is_missing || named > 0) {
        // Without head the store must be listed. An empty store is listed only when probing.
        if named > 0 || known.probe {
            result.document = catalog.newest(known.deployment).await?;
        }
    } else {
        follow_head(catalog, known, named, &mut result).await?;
    }
    // Starting nodes and publishers need the newest document. A node that has it checks that it still exists.
    let is_newest = known.probe && result.document.is_none() && result.problem.is_none();
    if let Some(announced_by) = known.announced_by.filter(|_| is_newest) {
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

/// Finds the newest document above the known one: the one that head names or, when probing, one after it. When head
/// is of no use, it always probes, and the next poll reads head again.
async fn follow_head(
    catalog: &Catalog,
    known: &Known,
    named: u64,
    result: &mut PollResult,
) -> Result<(), Error> {
    if named > known.n {
        match of_deployment(known, catalog.referenced_document(named).await) {
            Ok(document) => result.document = Some(document),
            Err(error) if is_of_document(&error) => result.problem = Some(error),
            Err(error) => return Err(error),
        }
    }
    if known.probe || result.problem.is_some() {
        let from = result.document.as_ref().map_or(known.n, |document| document.n);
        match catalog.newest_after(from, known.deployment).await {
            Ok(Some(document)) => result.document = Some(document),
            Ok(None) => {}
            Err(error) if is_of_document(&error) => result.problem = result.problem.take().or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    if result.problem.is_some() {
        result.head = None;
    }
    Ok(())
}

/// Whether a document is of no use, while the store answers.
fn is_of_document(error: &Error) -> bool {
    error.is_of_object() || matches!(error, Error::ForeignCatalog { .. })
}

fn of_deployment(known: &Known, document: Result<CatalogDocument, Error>) -> Result<CatalogDocument, Error> {
    let document = document?;
    match known.deployment.filter(|expected| *expected != document.deployment) {
        None => Ok(document),
        Some(expected) => {
            let (path, found) = (format!("catalog document {}", document.n), document.deployment);
            Err(Error::ForeignCatalog { path, expected, found })
        }
    }
}
