//! The lease of a rollback, and the pause that a killed rollback leaves behind.
//!
//! A rollback first pauses its sync and then announces, so that no run brings back what it undoes. It does not
//! acquire the lease of the sync, because it waits for no run. A lease of its own shows that it is alive.

use tracing::info;

use super::{Engine, error::Error, lease::RenewedLease};
use crate::{
    catalog::RunAnnouncement,
    domain::{id::RunId, manifest::Version, name::CollectionName},
    metadata::AuditEntry,
};

/// The actor in the audit log.
const ACTOR: &str = "larder";

/// The lease of a rollback in progress.
pub struct RollbackLease(RenewedLease);

impl RollbackLease {
    /// Releases the lease.
    pub async fn release(self) {
        self.0.release().await;
    }
}

impl Engine {
    /// Acquires the lease of a rollback and reconciles an earlier one whose process was killed.
    ///
    /// # Errors
    /// [`Error::RollbackUnderWay`].
    pub async fn begin_rollback(&self, name: &CollectionName) -> Result<RollbackLease, Error> {
        match RenewedLease::acquire(&self.metadata, &lease_name(name)).await? {
            Ok(lease) => match self.reconcile_pause(name).await {
                Ok(()) => Ok(RollbackLease(lease)),
                Err(error) => {
                    lease.release().await;
                    Err(error)
                }
            },
            Err(elsewhere) => {
                Err(Error::RollbackUnderWay { collection: name.clone(), holder: elsewhere.holder })
            }
        }
    }

    /// Reconciles the pause that a killed rollback left behind. The pause ends when the rollback was never
    /// announced, and is an ordinary one otherwise. A rollback in progress is left alone.
    pub async fn reconcile_rollback(&self, name: &CollectionName) -> Result<(), Error> {
        if self.metadata.pause(name).await?.is_none_or(|pause| pause.pending.is_none()) {
            return Ok(());
        }
        let Ok(lease) = RenewedLease::acquire(&self.metadata, &lease_name(name)).await? else {
            return Ok(());
        };
        let reconciled = self.reconcile_pause(name).await;
        lease.release().await;
        reconciled
    }

    /// Reconciles the pending rollbacks of all syncs.
    pub(super) async fn reconcile_rollbacks(&self) -> Result<(), Error> {
        for name in self.metadata.syncs_with_pending_pauses().await? {
            self.reconcile_rollback(&name).await?;
        }
        Ok(())
    }

    /// Like [`Engine::reconcile_rollback`], while the rollback's lease is held.
    async fn reconcile_pause(&self, name: &CollectionName) -> Result<(), Error> {
        let Some(pause) = self.metadata.pause(name).await? else { return Ok(()) };
        let Some(run) = pause.pending else { return Ok(()) };
        match self.catalog.find_announced(name, run, Some(self.deployment)).await? {
            RunAnnouncement::Found { entry, .. } => {
                self.confirm_pause_of(name, run, Some(entry.version)).await
            }
            // Its document may be deleted, or too far back to be searched: keeping the pause is safe.
            RunAnnouncement::NotFound { complete: false } => self.confirm_pause_of(name, run, None).await,
            RunAnnouncement::NotFound { complete: true } => {
                info!(collection = %name, "a rollback whose process ended was never announced; its pause ends");
                let detail = format!("{}: it was never announced", pause.why);
                self.metadata.resume_sync(name, ACTOR, Some(&detail)).await?;
                Ok(())
            }
        }
    }

    async fn confirm_pause_of(
        &self,
        name: &CollectionName,
        run: RunId,
        version: Option<Version>,
    ) -> Result<(), Error> {
        let as_version = version.map_or("not known".to_owned(), |version| version.to_string());
        let entry = AuditEntry {
            at: self.clock.now(),
            actor: ACTOR.to_owned(),
            action: "collection.rollback".to_owned(),
            subject: name.to_string(),
            detail: Some(format!("it was announced as {as_version}, and its process ended")),
        };
        self.metadata.audit(&entry).await?;
        self.metadata.confirm_pause(name, run).await?;
        Ok(())
    }
}

fn lease_name(name: &CollectionName) -> String {
    format!("rollback:{name}")
}
