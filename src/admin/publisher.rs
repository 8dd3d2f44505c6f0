//! The publishing side of a process: the use cases that announce, and their dependencies.

use tracing::info;

use super::{Admin, Registry, error::Error};
use crate::{
    catalog::{self, AnnouncerHandle, Authority, Catalog},
    domain::DeploymentId,
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
    /// The deployment that store and metadata belong to, and the metadata database.
    pub authority: Authority,
    /// Number of newest versions of a collection that are retained.
    pub keep_versions: usize,
    /// The time.
    pub clock: Clock,
}

impl Publisher {
    /// The use cases that need the metadata database alone.
    pub fn admin(&self) -> Admin {
        Admin::new(self.registry.clone(), self.metadata.clone(), self.clock.clone())
    }
}

/// Returns the authority with which a publisher announces, and the number of the newest catalog document (0 when there
/// is none). A new metadata database adopts the store's deployment, a new store gets metadata's, and when both are new
/// the deployment is created. With `takes_over` another database may publish at present.
///
/// # Errors
/// `foreign_metadata` when another database publishes; `foreign_catalog` when metadata has announced in another
/// deployment than the store's; `catalog_lost` when metadata knows of announced versions and the store is new;
/// `store_overwrites` when the store is new and must not be used.
pub async fn resolve_authority(
    catalog: &Catalog,
    metadata: &Metadata,
    takes_over: bool,
) -> Result<(Authority, u64), Error> {
    let (id, own) = (metadata.id().await?, metadata.deployment().await?);
    let has_announced = metadata.has_announced().await?;
    // A database with which nothing was announced belongs to no store yet.
    let newest = catalog.newest(own.filter(|_| has_announced)).await?;
    let Some(document) = newest else {
        // A new catalog would take the followers of the old one back to an earlier state.
        if own.is_some() && has_announced {
            let (there, known) = ("it is empty", "the metadata database has announced to it");
            return Err(catalog::Error::CatalogLost { found: there.into(), known: known.into() }.into());
        }
        // Every announcer of a new store tests it first; a server also does at each start.
        catalog.check_conditional_create().await?;
        let deployment = metadata.fix_deployment(DeploymentId::from_uuid(random::uuid())).await?;
        return Ok((Authority::new(deployment, id), 0));
    };
    let deployment = document.deployment;
    let authority = Authority::new(deployment, id);
    if !takes_over {
        authority.check(&document)?;
    }
    if let Some(other) = own.filter(|own| *own != deployment) {
        metadata.forget_deployment(other).await?;
    }
    if own != Some(deployment) {
        info!(%deployment, "metadata takes the store's deployment");
        metadata.fix_deployment(deployment).await?;
    }
    Ok((authority, document.n))
}
