//! The lease of a rollback.
//!
//! A rollback announces an earlier content and the pause of its sync in one catalog document. It does not acquire
//! the lease of the sync, because it waits for no run. A lease of its own shows that it is alive.

use super::{Engine, error::Error, lease::RenewedLease};
use crate::{domain::name::CollectionName, metadata::Metadata};

/// The lease of a rollback in progress.
pub struct RollbackLease(RenewedLease);

impl RollbackLease {
    /// Acquires the lease of a rollback.
    ///
    /// # Errors
    /// [`Error::RollbackUnderWay`].
    pub(super) async fn acquire(metadata: &Metadata, name: &CollectionName) -> Result<Self, Error> {
        match RenewedLease::acquire(metadata, &format!("rollback:{name}")).await? {
            Ok(lease) => Ok(Self(lease)),
            Err(elsewhere) => {
                Err(Error::RollbackUnderWay { collection: name.clone(), holder: elsewhere.holder })
            }
        }
    }

    /// Releases the lease.
    pub async fn release(self) {
        self.0.release().await;
    }
}

impl Engine {
    /// Acquires the lease of a rollback.
    ///
    /// # Errors
    /// [`Error::RollbackUnderWay`].
    pub async fn begin_rollback(&self, name: &CollectionName) -> Result<RollbackLease, Error> {
        RollbackLease::acquire(&self.metadata, name).await
    }
}
