//! Finds out whether a run was announced, to reconcile a run whose outcome is unknown.

use super::{Catalog, Error};
use crate::domain::{
    catalog::CollectionEntry,
    id::{DeploymentId, RunId},
    name::CollectionName,
};

/// Documents read, newest first. At one announcement a second they reach back much further than the
/// 12 s by which a lease outlives its holder.
const DOCUMENTS_MAX: u64 = 512;

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
        /// Whether all documents that still exist were read.
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
        let Some(mut document) = self.newest(expected).await? else {
            return Ok(RunAnnouncement::NotFound { complete: true });
        };
        for _ in 0..DOCUMENTS_MAX {
            let n = document.n;
            if let Some(entry) = document.collections.remove(collection).filter(|entry| entry.run_id == run) {
                return Ok(RunAnnouncement::Found { n, entry });
            }
            let previous = match n {
                0 | 1 => None,
                n => match self.document(n - 1).await {
                    // It is from before announcements were signed.
                    Err(Error::Untrusted { .. }) => None,
                    previous => previous?,
                },
            };
            document = match previous {
                Some(previous) => previous,
                None => return Ok(RunAnnouncement::NotFound { complete: true }),
            };
        }
        Ok(RunAnnouncement::NotFound { complete: false })
    }
}
