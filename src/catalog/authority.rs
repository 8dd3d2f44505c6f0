//! The right to announce: which metadata database publishes to a catalog.
//!
//! Leases, runs and keys are in the metadata database, so two databases must never announce to one catalog. Every
//! document names the database whose publishers may follow it; see `docs/adr/one-metadata-database-publishes.md`.

use super::{Catalog, Error, paths};
use crate::{
    domain::{CatalogDocument, DeploymentId, MetadataId},
    support::shutdown::Shutdown,
};

/// The identity with which a process announces. Cheap to clone; clones share whether it was refused.
#[derive(Debug, Clone)]
pub struct Authority {
    deployment: DeploymentId,
    metadata: MetadataId,
    refused: Shutdown,
}

impl Authority {
    /// The publishers of `metadata`, in `deployment`.
    pub fn new(deployment: DeploymentId, metadata: MetadataId) -> Self {
        Self { deployment, metadata, refused: Shutdown::new() }
    }

    /// The deployment.
    pub const fn deployment(&self) -> DeploymentId {
        self.deployment
    }

    /// The metadata database.
    pub const fn metadata(&self) -> MetadataId {
        self.metadata
    }

    /// Checks that publishers of this database may follow `document`.
    ///
    /// # Errors
    /// [`Error::ForeignMetadata`].
    pub fn check(&self, document: &CatalogDocument) -> Result<(), Error> {
        match document.metadata {
            Some(found) if found != self.metadata => {
                let path = paths::document(document.n).to_string();
                let error = Error::ForeignMetadata { path, expected: self.metadata, found };
                self.note(&error);
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// Notes an error that says that this database may not publish.
    pub(super) fn note(&self, error: &Error) {
        if matches!(error, Error::ForeignMetadata { .. } | Error::ForeignCatalog { .. }) {
            self.refused.cancel();
        }
    }

    /// Resolves when a document has shown that this database may not publish, or no longer.
    pub async fn refused(&self) {
        self.refused.cancelled().await;
    }
}

impl Catalog {
    /// Reads the newest document, for a publisher.
    ///
    /// # Errors
    /// [`Error::ForeignMetadata`] when another metadata database publishes, [`Error::NoSigningKey`], and those of
    /// [`Catalog::newest`].
    pub async fn newest_of(&self, authority: &Authority) -> Result<Option<CatalogDocument>, Error> {
        self.of(authority, self.newest(Some(authority.deployment)).await)
    }

    /// The same by [`Catalog::newest_by_head`].
    pub async fn newest_by_head_of(&self, authority: &Authority) -> Result<Option<CatalogDocument>, Error> {
        self.of(authority, self.newest_by_head(Some(authority.deployment)).await)
    }

    fn of(
        &self,
        authority: &Authority,
        newest: Result<Option<CatalogDocument>, Error>,
    ) -> Result<Option<CatalogDocument>, Error> {
        let newest = newest.inspect_err(|error| authority.note(error))?;
        newest.iter().try_for_each(|document| authority.check(document))?;
        self.keys.check_may_announce()?;
        Ok(newest)
    }
}
