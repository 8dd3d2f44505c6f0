//! Finds out whether a run was announced, to reconcile a run whose outcome is unknown.

use std::pin::pin;

use futures::{StreamExt, stream};

use super::{Catalog, Error};
use crate::domain::{CollectionEntry, CollectionName, DeploymentId, RunId};

/// Documents read, newest first. At one announcement a second they reach back much further than the
/// 12 s by which a lease outlives its holder.
const DOCUMENTS_MAX: u64 = 512;

/// Documents read at the same time: a takeover waits for them. So many missing ones are taken for the end.
const CONCURRENCY: usize = 32;

/// What the catalog says about a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunAnnouncement {
    /// It was announced.
    Found {
        /// The newest of the documents read that has its entry.
        n: u64,
        /// The announced entry.
        entry: CollectionEntry,
    },
    /// None of the documents read has its entry.
    NotFound {
        /// Whether all documents that still exist were read. One that is damaged or lost was not.
        complete: bool,
    },
}

impl Catalog {
    /// Searches for the entry of `collection` that `run` announced, from the newest document backwards,
    /// in a bounded number of documents.
    pub async fn find_announced(
        &self,
        collection: &CollectionName,
        run: RunId,
        expected: Option<DeploymentId>,
    ) -> Result<RunAnnouncement, Error> {
        let Some(mut newest) = self.newest(expected).await? else {
            return Ok(RunAnnouncement::NotFound { complete: true });
        };
        let is_of_run = |entry: &CollectionEntry| entry.run_id == run;
        if let Some(entry) = newest.collections.remove(collection).filter(is_of_run) {
            return Ok(RunAnnouncement::Found { n: newest.n, entry });
        }
        let lowest = newest.n.saturating_sub(DOCUMENTS_MAX - 1).max(1);
        let read = |n| async move { (n, self.document(n).await) };
        let mut reading = pin!(stream::iter((lowest..newest.n).rev()).map(read).buffered(CONCURRENCY));
        // Whether every document was read so far, and the number of missing ones that were read last.
        let (mut is_whole, mut missing) = (true, 0);
        while let Some((n, document)) = reading.next().await {
            match document {
                Ok(Some(mut document)) if document.deployment == newest.deployment => {
                    // A document below a missing one shows that it was lost, and not deleted for its age.
                    is_whole &= missing == 0;
                    missing = 0;
                    if let Some(entry) = document.collections.remove(collection).filter(is_of_run) {
                        return Ok(RunAnnouncement::Found { n, entry });
                    }
                }
                // One that is not accepted may be from before announcements were signed.
                Ok(None) | Err(Error::Untrusted { .. }) => missing += 1,
                Ok(Some(_)) => is_whole = false,
                Err(error) if error.is_of_object() => {
                    tracing::warn!(code = error.code(), %error, "an old document cannot be read; it is left out");
                    is_whole = false;
                }
                Err(error) => return Err(error),
            }
            if missing == CONCURRENCY {
                break;
            }
        }
        Ok(RunAnnouncement::NotFound { complete: is_whole && (lowest == 1 || missing > 0) })
    }
}
