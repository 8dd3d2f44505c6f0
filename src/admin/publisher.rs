//! What a publisher's use-cases work with: store, metadata, announcer and engine of one process.

use tracing::info;

use super::error::Error;
use crate::{
    catalog::AnnouncerHandle,
    disk::SegmentDirectory,
    domain::id::DeploymentId,
    engine::{self, Engine},
    metadata::Metadata,
    store::{self, Store},
    support::{clock::Clock, random},
};

/// The publishing side of a process, a server's or a command's. Cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    /// The object store.
    pub store: Store,
    /// The metadata database.
    pub metadata: Metadata,
    /// Puts announcements into the catalog.
    pub announcer: AnnouncerHandle,
    /// Runs syncs.
    pub engine: Engine,
    /// Whose store and metadata these are.
    pub deployment: DeploymentId,
    /// The time.
    pub clock: Clock,
}

/// Which deployment store and metadata belong to. A new metadata database takes the store's; a new
/// store will get metadata's; when both are new it is made up. Also tells the number of the newest document,
/// 0 when there is none.
///
/// # Errors
/// `foreign_catalog` when both have one and they differ; `catalog_lost` when metadata knows of announced
/// versions and the store is new; `store_overwrites` when the store is new and must not be used.
pub async fn settle_deployment(store: &Store, metadata: &Metadata) -> Result<(DeploymentId, u64), Error> {
    let own = metadata.deployment().await?;
    // Refuses a store of another deployment.
    let newest = store.newest(own).await?;
    if newest.is_none() {
        // Begun anew, the catalog would take those who follow it back to what it then says.
        if own.is_some() && metadata.has_announced().await? {
            let (there, known) = ("it is empty", "the metadata database has runs that announced to it");
            return Err(store::Error::CatalogLost { there: there.into(), known: known.into() }.into());
        }
        // Whoever announces first tries the store out; a server also does at each start.
        store.check_conditional_create().await?;
    }
    let n = newest.as_ref().map_or(0, |document| document.n);
    let deployment = match (own, newest) {
        (Some(own), _) => own,
        (None, Some(document)) => {
            info!(deployment = %document.deployment, "metadata is new; it takes the store's deployment");
            metadata.fix_deployment(document.deployment).await?
        }
        (None, None) => metadata.fix_deployment(DeploymentId::from_uuid(random::uuid())).await?,
    };
    Ok((deployment, n))
}

impl Publisher {
    /// Puts the parts together.
    pub fn new(
        store: Store,
        directory: SegmentDirectory,
        metadata: Metadata,
        announcer: AnnouncerHandle,
        deployment: DeploymentId,
        clock: Clock,
        settings: engine::Settings,
    ) -> Self {
        let engine = Engine::new(
            store.clone(),
            directory,
            metadata.clone(),
            announcer.clone(),
            deployment,
            clock.clone(),
            settings,
        );
        Self { store, metadata, announcer, engine, deployment, clock }
    }
}
