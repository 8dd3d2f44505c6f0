//! Whether a run was announced: how a run whose process died is settled.

use crate::domain::{
    catalog::CollectionEntry,
    id::{DeploymentId, RunId},
    name::CollectionName,
};
use crate::store::Store;
use crate::store::error::Error;

/// Documents looked at, newest first. At one announcement a second this reaches back well over the
/// 12 s that a lease outlives its holder.
const DOCUMENTS_MAX: u64 = 512;

/// What the catalog says about a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It was announced by document `n`, as `entry`.
    Announced {
        /// The newest document looked at that names it.
        n: u64,
        /// What was announced.
        entry: CollectionEntry,
    },
    /// No document looked at names it.
    NotFound {
        /// Whether every document that still exists was looked at.
        complete: bool,
    },
}

impl Store {
    /// Looks for `run` as the announcer of `collection`, in the newest document and then backwards,
    /// through a bounded number of documents.
    pub async fn find_announced(
        &self,
        collection: &CollectionName,
        run: RunId,
        expected: Option<DeploymentId>,
    ) -> Result<Settled, Error> {
        let Some(mut document) = self.newest(expected).await? else {
            return Ok(Settled::NotFound { complete: true });
        };
        for _ in 0..DOCUMENTS_MAX {
            let n = document.n;
            if let Some(entry) = document.collections.remove(collection).filter(|entry| entry.run_id == run) {
                return Ok(Settled::Announced { n, entry });
            }
            document = match n.checked_sub(1).filter(|before| *before > 0) {
                Some(before) => match self.document(before).await {
                    Ok(Some(document)) => document,
                    // Nothing from before announcements were signed is believed.
                    Ok(None) | Err(Error::Untrusted { .. }) => {
                        return Ok(Settled::NotFound { complete: true });
                    }
                    Err(error) => return Err(error),
                },
                None => return Ok(Settled::NotFound { complete: true }),
            };
        }
        Ok(Settled::NotFound { complete: false })
    }
}
