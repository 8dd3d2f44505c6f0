//! Creates one document and finds out whether it was announced.
//!
//! The store's answer is never taken for the outcome. An object store reports "exists" to its own retried
//! write, and a timeout says nothing. Only the document under the number decides.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::time::sleep;

use super::AnnouncerPace;
use crate::{
    catalog::{Catalog, Error, paths, read::check_deployment},
    domain::catalog::CatalogDocument,
    store,
    support::{backoff::Backoff, clock::Clock, shutdown::Shutdown},
};

/// The outcome of creating a document.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is announced.
    Announced,
    /// Another document has its number.
    Lost(Box<CatalogDocument>),
    /// Another document has its number, and this process must not build on it.
    Refused(Arc<Error>),
    /// The process was told to end before the outcome was known, or slept longer than documents, or the objects
    /// of this one, are retained.
    Unknown,
}

/// A document to create.
pub(super) struct Draft<'a> {
    pub(super) document: &'a CatalogDocument,
    /// The signed object.
    pub(super) object: Bytes,
    /// When the catalog was read that the document is based on.
    pub(super) read_at: DateTime<Utc>,
    /// The document is not put again from this time on.
    pub(super) ends_at: DateTime<Utc>,
}

/// Creates documents.
pub(super) struct Creator<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) clock: &'a Clock,
    pub(super) pace: &'a AnnouncerPace,
    pub(super) shutdown: &'a Shutdown,
}

/// The result of reading a number once.
enum Poll {
    Known(Outcome),
    Missing,
    NoAnswer,
}

impl Creator<'_> {
    /// Puts the document where none exists, until it is known which document has the number.
    pub(super) async fn create(&self, draft: Draft<'_>) -> Outcome {
        let Draft { document, object, mut read_at, ends_at } = draft;
        let path = paths::document(document.n);
        let mut backoff = self.pace.backoff();
        loop {
            match self.catalog.store.create(&path, object.clone()).await {
                Ok(()) => return Outcome::Announced,
                Err(store::Error::Exists { .. }) => {}
                Err(error) => {
                    let n = document.n;
                    tracing::warn!(code = error.code(), %error, n, "the outcome of an announcement is not known yet");
                }
            }
            // The first poll is at once. The same object is put again only after a wait and a poll.
            let mut has_waited = false;
            loop {
                match self.poll(document).await {
                    Poll::Known(outcome) => return outcome,
                    Poll::Missing if self.clock.now() >= ends_at => return Outcome::Unknown,
                    Poll::Missing if has_waited && self.is_recent(read_at) => break,
                    Poll::Missing if has_waited => {
                        let polled_at = self.clock.now();
                        match self.poll_after_sleep(document).await {
                            Poll::Known(outcome) => return outcome,
                            Poll::Missing => read_at = polled_at,
                            Poll::NoAnswer => {}
                        }
                    }
                    Poll::Missing | Poll::NoAnswer => {}
                }
                if !self.wait(&mut backoff).await {
                    return Outcome::Unknown;
                }
                has_waited = true;
            }
        }
    }

    /// Polls when the process may have slept: the number may have been taken and become free again. The result is
    /// [`Poll::Missing`] only if the catalog still ends just below the number.
    async fn poll_after_sleep(&self, document: &CatalogDocument) -> Poll {
        match self.catalog.newest(Some(document.deployment)).await {
            Ok(newest) if newest.as_ref().map_or(0, |newest| newest.n) + 1 == document.n => Poll::Missing,
            Ok(_) => match self.poll(document).await {
                Poll::Missing => Poll::Known(Outcome::Unknown),
                poll => poll,
            },
            Err(error) => {
                tracing::warn!(code = error.code(), %error, "the catalog cannot be read");
                Poll::NoAnswer
            }
        }
    }

    /// Reads the number once.
    async fn poll(&self, document: &CatalogDocument) -> Poll {
        let n = document.n;
        match self.catalog.document(n).await {
            Ok(Some(found)) if found.announced_by == document.announced_by => Poll::Known(Outcome::Announced),
            Ok(Some(found)) => {
                let path = paths::document(n);
                match check_deployment(path.as_ref(), found.deployment, Some(document.deployment)) {
                    Ok(()) => Poll::Known(Outcome::Lost(Box::new(found))),
                    Err(error) => Poll::Known(Outcome::Refused(Arc::new(error))),
                }
            }
            Ok(None) => Poll::Missing,
            Err(error @ (Error::NewerFormat { .. } | Error::Untrusted { .. })) => {
                Poll::Known(Outcome::Refused(Arc::new(error)))
            }
            Err(error) => {
                tracing::warn!(code = error.code(), %error, n, "the outcome of an announcement cannot be read");
                Poll::NoAnswer
            }
        }
    }

    /// Whether an announcement may still be based on a reading of the catalog. Wall time, because the monotonic
    /// clock stops while a machine sleeps.
    pub(super) fn is_recent(&self, read_at: DateTime<Utc>) -> bool {
        let age = self.clock.now() - read_at;
        age.to_std().is_ok_and(|age| age < self.pace.reading_age)
    }

    /// Waits before another attempt; false when the process is ending.
    pub(super) async fn wait(&self, backoff: &mut Backoff) -> bool {
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => false,
            () = sleep(backoff.next_delay()) => true,
        }
    }
}
