//! The copies of the newest document that a publisher has, with which it puts a lost one back.
//!
//! Without them a lost document stops every announcement, revocations of keys too, until an operator comes. A
//! document that is damaged, or another one, is not touched: which one counts is for an operator to say.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tracing::{info, warn};

use super::{Catalog, Error, paths, publish, signature::SignedKind};
use crate::{
    domain::{CatalogDocument, Head},
    support::blocking,
};

/// The copies of one process. Clones share them.
#[derive(Clone)]
pub(super) struct DocumentCopies {
    /// The newest document that this process has read or announced.
    newest: Arc<Mutex<Option<CatalogDocument>>>,
    /// Reads the document that the node on this machine has followed last. Blocks.
    followed: Arc<dyn Fn() -> Option<CatalogDocument> + Send + Sync>,
}

impl fmt::Debug for DocumentCopies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DocumentCopies").finish_non_exhaustive()
    }
}

impl DocumentCopies {
    async fn find(&self, head: &Head) -> Option<CatalogDocument> {
        let is_named =
            |document: &CatalogDocument| document.n == head.n && document.deployment == head.deployment;
        let own = self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(own) = own.filter(is_named) {
            return Some(own);
        }
        let followed = Arc::clone(&self.followed);
        blocking::run(move || followed()).await.flatten().filter(is_named)
    }
}

impl Catalog {
    /// The same catalog for a publisher, which puts a lost document back: from what this process has read or
    /// announced, or from what `followed` returns, which may block.
    #[must_use]
    pub fn with_document_copies(
        mut self,
        followed: impl Fn() -> Option<CatalogDocument> + Send + Sync + 'static,
    ) -> Self {
        self.copies = Some(DocumentCopies { newest: Arc::default(), followed: Arc::new(followed) });
        self
    }

    /// Keeps a copy of the newest document, on a publisher.
    pub(super) fn keep_copy(&self, document: &CatalogDocument) {
        if let Some(copies) = &self.copies {
            let mut newest = copies.newest.lock().unwrap_or_else(PoisonError::into_inner);
            if newest.as_ref().is_none_or(|newest| newest.announced_by != document.announced_by) {
                *newest = Some(document.clone());
            }
        }
    }

    /// Puts the document that `head` refers to back if this publisher has a copy, unless an object has its number.
    /// Only reading the number shows the outcome.
    pub(super) async fn restore_from_copy(&self, head: &Head) -> Result<(), Error> {
        let Some(copies) = &self.copies else { return Ok(()) };
        let Some(document) = copies.find(head).await else { return Ok(()) };
        let (n, path) = (document.n, paths::document(document.n));
        let (bytes, _) = publish::encode(&path, &document)?;
        match self.store.create(&path, self.keys.sign(SignedKind::Document, bytes)?).await {
            Ok(()) => info!(n, "the store had lost the newest catalog document; it was put back from a copy"),
            Err(error) => {
                warn!(code = error.code(), %error, n, "cannot put the lost catalog document back");
            }
        }
        Ok(())
    }
}
