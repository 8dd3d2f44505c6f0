//! Removing a collection that nobody syncs any more.

use serde::Serialize;

use super::{error::Error, publisher::Publisher, versions::unknown};
use crate::{
    domain::{
        manifest::Version,
        name::{CollectionName, RegionName},
    },
    engine::Dropped,
};

/// A collection that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// The collection.
    pub collection: CollectionName,
    /// The last version; one that begins anew under this name goes on from there.
    pub version: Version,
    /// Records served until now; `None` when the manifest could not be read.
    pub records: Option<u64>,
    /// Regions that were pinned.
    pub pinned: Vec<RegionName>,
}

impl Publisher {
    /// Drops a collection from the catalog. Readers see it as one that never was. `is_configured`
    /// tells whether a sync of this name is.
    ///
    /// # Errors
    /// [`Error::SyncConfigured`], [`Error::UnknownCollection`], a lease that is held elsewhere.
    pub async fn drop_collection(
        &self,
        name: &CollectionName,
        is_configured: bool,
        actor: &str,
    ) -> Result<Removed, Error> {
        if is_configured {
            return Err(Error::SyncConfigured { name: name.clone() });
        }
        self.visible(name).await?;
        let act = async {
            let dropped = self.engine.drop_collection(name).await?;
            // Somebody may have dropped it since.
            dropped.ok_or_else(|| unknown(name, None))
        };
        let dropped = self.audited((actor, "collection.drop"), name, act, |dropped| {
            let records = dropped.records.map(|records| format!("{records} records"));
            format!("version {}, {}", dropped.version, records.unwrap_or("records unknown".to_owned()))
        });
        let Dropped { version, records, pinned } = dropped.await?;
        // A sync that takes the name again is another one.
        if let Err(error) = self.metadata.resume_sync(name, actor, Some("dropped")).await {
            tracing::warn!(collection = %name, %error, "the pause of its sync could not be ended");
        }
        Ok(Removed { collection: name.clone(), version, records, pinned })
    }
}
