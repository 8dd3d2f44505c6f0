//! Removing a collection from the catalog.

use tracing::info;

use super::{Engine, error::Error, lease::SyncLease};
use crate::{
    catalog::Change,
    domain::{
        manifest::Version,
        name::{CollectionName, RegionName},
    },
};

/// A collection that was dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedCollection {
    /// The last version announced.
    pub version: Version,
    /// Records served; `None` when the manifest could not be read.
    pub records: Option<u64>,
    /// Regions that were pinned.
    pub pinned: Vec<RegionName>,
}

impl Engine {
    /// Drops a collection; its pins and its held run go with it. `None` when the catalog does not
    /// name it.
    ///
    /// # Errors
    /// [`Error::LeaseHeld`] while a run of its sync is in progress.
    pub async fn drop_collection(&self, name: &CollectionName) -> Result<Option<DroppedCollection>, Error> {
        let lease = SyncLease::acquire(&self.metadata, name).await?;
        let dropped = self.drop_leased(&lease, name).await;
        lease.release().await;
        dropped
    }

    async fn drop_leased(
        &self,
        lease: &SyncLease,
        name: &CollectionName,
    ) -> Result<Option<DroppedCollection>, Error> {
        self.reconcile_open_runs(name).await?;
        let newest = self.store.newest(Some(self.deployment)).await?;
        let Some(document) = newest else { return Ok(None) };
        let Some(entry) = document.collections.get(name) else { return Ok(None) };
        // A collection whose manifest cannot be read can still be dropped.
        let records = self.store.manifest(name, entry).await.ok().map(|manifest| manifest.records);
        let pinned = document.pins_of(name).map(|(region, _)| region.clone()).collect();
        lease.confirm().await?;
        self.announcer.announce(Change::Remove { name: name.clone(), from: entry.sha256 }).await?;
        info!(collection = %name, version = %entry.version, "dropped");
        self.supersede_held(name).await;
        Ok(Some(DroppedCollection { version: entry.version, records, pinned }))
    }
}
