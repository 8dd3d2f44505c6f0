//! Letting another metadata database publish.

use serde::Serialize;
use tracing::{info, warn};

use super::{Principal, error::Error, publisher::Publisher};
use crate::{catalog::Change, domain::MetadataId};

/// Which database publishes after a takeover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TakenOver {
    /// The database that published before; `None` when the catalog named none.
    pub from: Option<MetadataId>,
    /// This node's database, which publishes now.
    pub to: MetadataId,
}

impl Publisher {
    /// Makes this node's metadata database the one that publishes. Publishers with the former one are refused from
    /// then on. Does nothing when it publishes already, and in an empty store.
    ///
    /// # Errors
    /// `superseded` when another takeover came first.
    pub async fn take_over(&self, principal: &Principal) -> Result<TakenOver, Error> {
        let to = self.authority.metadata();
        let newest = self.catalog.newest(Some(self.authority.deployment())).await?;
        let from = newest.as_ref().and_then(|document| document.metadata);
        if newest.is_none() || from == Some(to) {
            return Ok(TakenOver { from, to });
        }
        let act = async {
            self.announcer.announce(Change::Takeover { from, to }).await?;
            info!(metadata = %to, "this metadata database publishes from now on");
            Ok(TakenOver { from, to })
        };
        let named = from.map_or_else(|| "no database".to_owned(), |from| from.to_string());
        let done = self.audited(principal, "catalog.takeover", &to, act, |_| format!("from {named}")).await?;
        // A publisher does the same every minute.
        if let Err(error) = self.reconcile_keys().await {
            warn!(code = error.code(), %error, "the announced keys are not adopted yet");
        }
        Ok(done)
    }
}
