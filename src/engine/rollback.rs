//! The lease of a rollback, and what becomes of the pause of one whose process was killed.
//!
//! A rollback pauses its sync first and announces then, so that no run brings back what it undoes. It
//! takes no lease of the sync, because it waits for no run; a lease of its own says that it lives.

use tracing::info;

use super::{Engine, error::Error, lease::RenewedLease};
use crate::{
    catalog::Settled,
    domain::{id::RunId, manifest::Version, name::CollectionName},
    metadata::AuditEntry,
};

/// Who settles a rollback, in the audit log.
const ACTOR: &str = "larder";

/// The lease of a rollback that is under way.
pub struct RollbackLease(RenewedLease);

impl RollbackLease {
    /// Gives the lease back.
    pub async fn release(self) {
        self.0.release().await;
    }
}

impl Engine {
    /// Takes the lease of a rollback, and settles an earlier one whose process was killed.
    ///
    /// # Errors
    /// [`Error::RollbackUnderWay`].
    pub async fn begin_rollback(&self, name: &CollectionName) -> Result<RollbackLease, Error> {
        match RenewedLease::take(&self.metadata, &lease_name(name)).await? {
            Ok(lease) => match self.settle_pause(name).await {
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

    /// Settles the pause of a sync that a rollback has left whose process was killed: it ends when the
    /// rollback was never announced, and is an ordinary one otherwise. One that is under way is left
    /// alone.
    pub async fn settle_rollback(&self, name: &CollectionName) -> Result<(), Error> {
        if self.metadata.pause(name).await?.is_none_or(|pause| pause.pending.is_none()) {
            return Ok(());
        }
        let Ok(lease) = RenewedLease::take(&self.metadata, &lease_name(name)).await? else { return Ok(()) };
        let settled = self.settle_pause(name).await;
        lease.release().await;
        settled
    }

    /// Settles the pauses of all syncs.
    pub(super) async fn settle_rollbacks(&self) -> Result<(), Error> {
        for name in self.metadata.syncs_with_pending_pauses().await? {
            self.settle_rollback(&name).await?;
        }
        Ok(())
    }

    /// The same under the rollback's lease.
    async fn settle_pause(&self, name: &CollectionName) -> Result<(), Error> {
        let Some(pause) = self.metadata.pause(name).await? else { return Ok(()) };
        let Some(run) = pause.pending else { return Ok(()) };
        match self.store.find_announced(name, run, Some(self.deployment)).await? {
            Settled::Announced { entry, .. } => self.settle_announced(name, run, Some(entry.version)).await,
            // It may stand in a document that is gone, or too far back: the pause is the safe side.
            Settled::NotFound { complete: false } => self.settle_announced(name, run, None).await,
            Settled::NotFound { complete: true } => {
                info!(collection = %name, "a rollback whose process ended was never announced; its pause ends");
                let detail = format!("{}: it was never announced", pause.why);
                self.metadata.resume_sync(name, ACTOR, Some(&detail)).await?;
                Ok(())
            }
        }
    }

    async fn settle_announced(
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
