//! Creates one document and finds out whether it was announced.
//!
//! The store's answer is never taken for the outcome. An object store reports "exists" to its own retried
//! write, and a timeout says nothing. Only the document under the number decides.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::sleep;

use super::AnnouncerPace;
use crate::{
    catalog::{Catalog, Error, paths, publish, read::check_deployment, signature::SignedKind},
    domain::CatalogDocument,
    store,
    support::{backoff::Backoff, clock::Clock, shutdown::Shutdown},
};

/// Refusals in a row, by the store, after which a document is not put again: credentials that are being exchanged work
/// again by then (6 s), and a missing right does not return by itself.
pub(super) const REFUSALS_MAX: u32 = 6;

/// How long a repair tries to create a document, in seconds.
const ALONE_SECONDS_MAX: i64 = 30;

/// The outcome of creating a document.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is announced.
    Announced,
    /// Another document has its number.
    Lost(Box<CatalogDocument>),
    /// Another document has its number, and this process must not build on it. Or the store refuses to write it, each
    /// time that it was put.
    Refused(Arc<Error>),
    /// The process began to shut down before the outcome was known. Or it was suspended for longer than documents, or
    /// the objects of this one, are retained.
    Unknown,
}

/// Creates one document outside of an announcer, to repair the catalog. Returns whether the store has it.
pub(in crate::catalog) async fn create_alone(
    catalog: &Catalog,
    clock: &Clock,
    document: &CatalogDocument,
) -> Result<bool, Error> {
    let (pace, shutdown) = (AnnouncerPace::default(), Shutdown::new());
    let (bytes, _) = publish::encode(&paths::document(document.n), document)?;
    let object = catalog.keys.sign(SignedKind::Document, bytes)?;
    let read_at = clock.now();
    let ends_at = read_at + TimeDelta::seconds(ALONE_SECONDS_MAX);
    let creator = Creator { catalog, clock, pace: &pace, shutdown: &shutdown };
    match creator.create(Draft { document, object, read_at, ends_at }).await {
        Outcome::Announced => Ok(true),
        Outcome::Lost(_) | Outcome::Unknown => Ok(false),
        Outcome::Refused(error) => match Arc::into_inner(error) {
            Some(error @ Error::Store(_)) => Err(error),
            _ => Ok(false),
        },
    }
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
    /// The store refuses to read it.
    Denied,
}

/// The refusals of the store to write one document, and to read it.
#[derive(Default)]
struct Refusals {
    /// The last ones in a row.
    writes: u32,
    reads: u32,
    last: Option<Arc<Error>>,
    /// Whether a write may still be carried out: it was answered with something else than a refusal.
    is_on_its_way: bool,
}

impl Refusals {
    /// Records that the store did not write the document.
    fn record(&mut self, error: store::Error) {
        if error.is_refusal() {
            self.writes += 1;
            self.last = Some(Arc::new(error.into()));
        } else {
            self.writes = 0;
            self.is_on_its_way = true;
        }
    }

    /// The outcome when the store refuses for good, and the document does not exist or cannot be read.
    fn outcome(&self) -> Option<Outcome> {
        let is_final = self.writes >= REFUSALS_MAX || (self.writes > 0 && self.reads >= REFUSALS_MAX);
        let last = self.last.clone().filter(|_| is_final)?;
        Some(if self.is_on_its_way { Outcome::Unknown } else { Outcome::Refused(last) })
    }
}

impl Creator<'_> {
    /// Puts the document where none exists, until it is known which document has the number.
    pub(super) async fn create(&self, draft: Draft<'_>) -> Outcome {
        let Draft { document, object, mut read_at, ends_at } = draft;
        let path = paths::document(document.n);
        let mut backoff = self.pace.backoff();
        let mut refusals = Refusals::default();
        loop {
            match self.catalog.store.create(&path, object.clone()).await {
                Ok(()) => return Outcome::Announced,
                Err(error) => {
                    if !matches!(error, store::Error::Exists(_)) {
                        let n = document.n;
                        tracing::warn!(code = error.code(), %error, n, "the outcome of an announcement is not known yet");
                    }
                    refusals.record(error);
                }
            }
            // The first poll is at once. The same object is put again only after a wait and a poll.
            let mut has_waited = false;
            loop {
                let poll = self.poll(document).await;
                refusals.reads = if matches!(poll, Poll::Denied) { refusals.reads + 1 } else { 0 };
                if matches!(poll, Poll::Missing | Poll::Denied)
                    && let Some(outcome) = refusals.outcome()
                {
                    return outcome;
                }
                match poll {
                    Poll::Known(outcome) => return outcome,
                    Poll::Missing if self.clock.now() >= ends_at => return Outcome::Unknown,
                    Poll::Missing if has_waited && self.is_recent(read_at) => break,
                    Poll::Missing if has_waited => {
                        let polled_at = self.clock.now();
                        match self.poll_after_sleep(document).await {
                            Poll::Known(outcome) => return outcome,
                            Poll::Missing => read_at = polled_at,
                            Poll::NoAnswer | Poll::Denied => {}
                        }
                    }
                    Poll::Missing | Poll::NoAnswer | Poll::Denied => {}
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
                let is_denied = matches!(&error, Error::Store(error) if error.is_refusal());
                if is_denied { Poll::Denied } else { Poll::NoAnswer }
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
