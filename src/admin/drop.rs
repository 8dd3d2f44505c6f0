//! Removing a collection that is no longer synced.

use serde::{Deserialize, Serialize};
use tracing::info;

use super::{Principal, error::Error, publisher::Publisher};
use crate::{
    catalog::Change,
    domain::{CollectionName, RegionName, Version},
    engine::SyncLease,
};

/// A collection that was dropped.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Drops a collection from the catalog. For readers the collection then does not exist. Publishers
    /// that still have its sync do not announce it again until an operator requests a run. A pause stays in force.
    ///
    /// # Errors
    /// [`Error::UnknownCollection`], a lease that is held elsewhere.
    pub async fn drop_collection(
        &self,
        name: &CollectionName,
        principal: &Principal,
    ) -> Result<Dropped, Error> {
        self.visible(name).await?;
        let act = Box::pin(self.remove(name));
        let dropped = self.audited(principal, "collection.drop", name, act, |dropped| {
            let records = dropped.records.map(|records| format!("{records} records"));
            format!("version {}, {}", dropped.version, records.unwrap_or("records unknown".to_owned()))
        });
        dropped.await
    }

    async fn remove(&self, name: &CollectionName) -> Result<Dropped, Error> {
        let lease = self.engine.acquire_lease(name).await?;
        let dropped = self.remove_leased(&lease, name).await;
        lease.release().await;
        dropped
    }

    /// Its pins and its held run go with it.
    async fn remove_leased(&self, lease: &SyncLease, name: &CollectionName) -> Result<Dropped, Error> {
        // Another process may have dropped it since.
        let (document, entry) = self.visible(name).await?;
        // A collection whose manifest cannot be read can still be dropped.
        let records = self.catalog.manifest(name, &entry).await.ok().map(|manifest| manifest.records);
        let pinned = document.pins_of(name).map(|(region, _)| region.clone()).collect();
        lease.confirm().await?;
        self.announcer.announce(Change::Remove { name: name.clone(), from: entry.sha256 }).await?;
        info!(collection = %name, version = %entry.version, "dropped");
        self.engine.supersede_held(name).await;
        Ok(Dropped { collection: name.clone(), version: entry.version, records, pinned })
    }
}
