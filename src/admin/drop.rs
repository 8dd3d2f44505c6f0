//! Removing a collection that is no longer synced.

use serde::Serialize;

use super::{Principal, error::Error, publisher::Publisher, versions::unknown};
use crate::{
    domain::{
        manifest::Version,
        name::{CollectionName, RegionName},
    },
    engine,
};

/// A collection that was dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// The collection.
    pub collection: CollectionName,
    /// The last version. A later collection of this name continues from its number.
    pub version: Version,
    /// Records of that version; `None` when its manifest cannot be read.
    pub records: Option<u64>,
    /// Regions that had a pin.
    pub pinned: Vec<RegionName>,
}

impl Publisher {
    /// Drops a collection from the catalog. For readers it is then a collection that does not exist.
    ///
    /// # Errors
    /// [`Error::SyncConfigured`], [`Error::UnknownCollection`], a lease that is held elsewhere.
    pub async fn drop_collection(
        &self,
        name: &CollectionName,
        principal: &Principal,
    ) -> Result<Dropped, Error> {
        if self.registry.has(name) {
            return Err(Error::SyncConfigured { name: name.clone() });
        }
        self.visible(name).await?;
        let act = async {
            let dropped = self.engine.drop_collection(name).await?;
            // Another process may have dropped it since.
            dropped.ok_or_else(|| unknown(name, None))
        };
        let dropped = self.audited(principal, "collection.drop", name, act, |dropped| {
            let records = dropped.records.map(|records| format!("{records} records"));
            format!("version {}, {}", dropped.version, records.unwrap_or("records unknown".to_owned()))
        });
        let engine::DroppedCollection { version, records, pinned } = dropped.await?;
        // A later sync of this name does not inherit the pause.
        if let Err(error) = self.metadata.resume_sync(name, principal.as_str(), Some("dropped")).await {
            tracing::warn!(collection = %name, %error, "the pause of its sync could not be ended");
        }
        Ok(Dropped { collection: name.clone(), version, records, pinned })
    }
}
