//! Creating one document and finding out whether it stands.
//!
//! The store's answer is never taken for the outcome: object stores answer "exists" to their own
//! retried write, and a timeout says nothing. The document under the number says it all.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::time::sleep;

use super::Pace;
use crate::catalog::read::belongs;
use crate::store::Store;
use crate::store::error::Error;
use crate::store::paths;
use crate::{
    domain::catalog::CatalogDocument,
    support::{backoff::Backoff, clock::Clock, shutdown::Shutdown},
};

/// What became of a document.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It stands.
    Announced,
    /// Another one has its number.
    Lost(Box<CatalogDocument>),
    /// Its number is taken by a document that this process must not build on.
    Refused(Arc<Error>),
    /// Before it was known the process was told to end, or slept past the life of documents or of what
    /// this one names.
    Unknown,
}

/// What creating a document works with.
pub(crate) struct Creation<'a> {
    pub(crate) store: &'a Store,
    pub(crate) clock: &'a Clock,
    pub(crate) pace: &'a Pace,
    pub(crate) shutdown: &'a Shutdown,
}

enum Look {
    Known(Outcome),
    NotThere,
    NoAnswer,
}

impl Creation<'_> {
    /// Puts `document` where nothing is until it is known who has the number. `read_at` is when the
    /// catalog was read that it is built on; from `ends_at` on it is not put again.
    pub(crate) async fn create(
        &self,
        document: &CatalogDocument,
        bytes: &Bytes,
        mut read_at: DateTime<Utc>,
        ends_at: DateTime<Utc>,
    ) -> Outcome {
        let path = paths::document(document.n);
        let mut backoff = Backoff::new(self.pace.backoff.0, self.pace.backoff.1);
        loop {
            match self.store.create(&path, bytes.clone()).await {
                Ok(()) => return Outcome::Announced,
                Err(Error::Exists { .. }) => {}
                Err(error) => {
                    let n = document.n;
                    tracing::warn!(code = error.code(), %error, n, "an announcement has no clear answer");
                }
            }
            // The first look is at once; the same bytes are put again only after a wait and a look.
            let mut has_waited = false;
            loop {
                match self.look(document).await {
                    Look::Known(outcome) => return outcome,
                    Look::NotThere if self.clock.now() >= ends_at => return Outcome::Unknown,
                    Look::NotThere if has_waited && self.is_recent(read_at) => break,
                    Look::NotThere if has_waited => {
                        let asked_at = self.clock.now();
                        match self.look_after_sleep(document).await {
                            Look::Known(outcome) => return outcome,
                            Look::NotThere => read_at = asked_at,
                            Look::NoAnswer => {}
                        }
                    }
                    Look::NotThere | Look::NoAnswer => {}
                }
                if !self.wait(&mut backoff).await {
                    return Outcome::Unknown;
                }
                has_waited = true;
            }
        }
    }

    /// The process may have slept: the number may have come, gone and become free again. Not there
    /// means that the catalog still ends just below it.
    async fn look_after_sleep(&self, document: &CatalogDocument) -> Look {
        match self.store.newest(Some(document.deployment)).await {
            Ok(newest) if newest.as_ref().map_or(0, |newest| newest.n) + 1 == document.n => Look::NotThere,
            Ok(_) => match self.look(document).await {
                Look::NotThere => Look::Known(Outcome::Unknown),
                look => look,
            },
            Err(error) => {
                tracing::warn!(code = error.code(), %error, "the catalog cannot be read");
                Look::NoAnswer
            }
        }
    }

    /// Reads the number once.
    async fn look(&self, document: &CatalogDocument) -> Look {
        let n = document.n;
        match self.store.document(n).await {
            Ok(Some(found)) if found.announced_by == document.announced_by => Look::Known(Outcome::Announced),
            Ok(Some(found)) => {
                let path = paths::document(n);
                match belongs(path.as_ref(), found.deployment, Some(document.deployment)) {
                    Ok(()) => Look::Known(Outcome::Lost(Box::new(found))),
                    Err(error) => Look::Known(Outcome::Refused(Arc::new(error))),
                }
            }
            Ok(None) => Look::NotThere,
            Err(error @ (Error::NewerFormat { .. } | Error::Untrusted { .. })) => {
                Look::Known(Outcome::Refused(Arc::new(error)))
            }
            Err(error) => {
                tracing::warn!(code = error.code(), %error, n, "an announcement cannot be looked up");
                Look::NoAnswer
            }
        }
    }

    /// Whether a reading of the catalog may still be built on. Wall time, because the monotonic
    /// clock stands while a machine sleeps.
    pub(crate) fn is_recent(&self, read_at: DateTime<Utc>) -> bool {
        let age = self.clock.now() - read_at;
        age.to_std().is_ok_and(|age| age < self.pace.reading_age)
    }

    /// Waits before another attempt; false when the process is ending.
    pub(crate) async fn wait(&self, backoff: &mut Backoff) -> bool {
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => false,
            () = sleep(backoff.next_delay()) => true,
        }
    }
}
