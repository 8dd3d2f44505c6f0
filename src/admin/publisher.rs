//! The publishing side of a process: what the use cases that announce work with.

use tracing::info;

use super::{Admin, Registry, error::Error};
use crate::{
    catalog::{self, AnnouncerHandle, Catalog},
    domain::id::DeploymentId,
    engine::Engine,
    metadata::Metadata,
    support::{clock::Clock, random},
};

/// The use cases that announce, in a server's process or a command's. Cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    /// The configured syncs.
    pub registry: Registry,
    /// The object store.
    pub catalog: Catalog,
    /// The metadata database.
    pub metadata: Metadata,
    /// Announces changes in the catalog.
    pub announcer: AnnouncerHandle,
    /// Runs syncs.
    pub engine: Engine,
    /// The deployment that store and metadata belong to.
    pub deployment: DeploymentId,
    /// The time.
    pub clock: Clock,
}

impl Publisher {
    /// The use cases that need the metadata database alone.
    pub fn admin(&self) -> Admin {
        Admin::new(self.registry.clone(), self.metadata.clone(), self.clock.clone())
    }
}

/// The deployment that store and metadata belong to, and the number of the newest catalog document (0 when
/// there is none). A new metadata database adopts the store's deployment, a new store gets metadata's, and
/// when both are new the deployment is created.
///
/// # Errors
/// `foreign_catalog` when both have one and they differ; `catalog_lost` when metadata knows of announced
/// versions and the store is new; `store_overwrites` when the store is new and must not be used.
pub async fn resolve_deployment(
    catalog: &Catalog,
    metadata: &Metadata,
) -> Result<(DeploymentId, u64), Error> {
    let own = metadata.deployment().await?;
    // Refuses a store of another deployment.
    let newest = catalog.newest(own).await?;
    if newest.is_none() {
        // A catalog that begins anew would take its followers back to an earlier state.
        if own.is_some() && metadata.has_announced().await? {
            let (there, known) = ("it is empty", "the metadata database has runs that announced to it");
            return Err(catalog::Error::CatalogLost { found: there.into(), known: known.into() }.into());
        }
        // Every announcer of a new store tests it first; a server also does at each start.
        catalog.check_conditional_create().await?;
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
