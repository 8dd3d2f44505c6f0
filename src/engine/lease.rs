//! The lease of a sync: taken before a run, renewed while it lasts, given back after it.

use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::error::Error;
use crate::{
    domain::name::CollectionName,
    metadata::{Lease, LeaseOutcome, Metadata, Pause},
    support::{random, shutdown::Shutdown},
};

/// How long a lease lasts without renewal.
const LEASE_TTL: Duration = Duration::from_secs(15);
/// How often it is renewed.
const RENEW_INTERVAL: Duration = Duration::from_secs(5);

/// A lease that renews itself until it is dropped or given back.
pub(super) struct KeptLease {
    metadata: Metadata,
    sync: CollectionName,
    /// The sync's pause when the lease was taken.
    paused: Option<Pause>,
    lease: std::sync::Arc<Lease>,
    lost: Shutdown,
    renewal: tokio::task::JoinHandle<()>,
}

impl KeptLease {
    /// Takes the lease of a sync, or says who holds it.
    pub(super) async fn take(metadata: &Metadata, sync: &CollectionName) -> Result<Self, Error> {
        // Before anything else is read: what is paused later is noticed by [`KeptLease::confirm`].
        let paused = metadata.pause(sync).await?;
        let holder = format!("pid-{}-{:08x}", std::process::id(), random::seed() as u32);
        match metadata.acquire_lease(&format!("sync:{sync}"), &holder, LEASE_TTL).await? {
            LeaseOutcome::HeldElsewhere { holder, .. } => {
                Err(Error::LeaseHeld { sync: sync.clone(), holder })
            }
            LeaseOutcome::Held(lease) => {
                let lease = std::sync::Arc::new(lease);
                let lost = Shutdown::new();
                let renewal = tokio::spawn(renew(metadata.clone(), lease.clone(), lost.clone()));
                Ok(Self { metadata: metadata.clone(), sync: sync.clone(), paused, lease, lost, renewal })
            }
        }
    }

    /// Ends when the lease is lost.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// The sync's pause when the lease was taken.
    pub(super) fn paused(&self) -> Option<&Pause> {
        self.paused.as_ref()
    }

    /// Makes sure that nobody has paused the sync since the lease was taken.
    pub(super) async fn confirm_pace(&self) -> Result<(), Error> {
        match self.metadata.pause(&self.sync).await? {
            Some(pause) if self.paused.as_ref() != Some(&pause) => {
                Err(Error::Paused { sync: self.sync.clone(), why: pause.why })
            }
            _ => Ok(()),
        }
    }

    /// Makes sure that the lease is still held, and the sync not paused meanwhile: the last look
    /// before an announcement.
    pub(super) async fn confirm(&self) -> Result<(), Error> {
        self.confirm_pace().await?;
        if !self.lost.is_cancelled() && self.metadata.renew_lease(&self.lease, LEASE_TTL).await? {
            Ok(())
        } else {
            Err(Error::LeaseLost)
        }
    }

    /// Gives the lease back.
    pub(super) async fn release(self) {
        self.renewal.abort();
        if let Err(error) = self.metadata.release_lease(&self.lease).await {
            warn!(%error, "the lease could not be given back; it expires by itself");
        }
    }
}

impl Drop for KeptLease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

async fn renew(metadata: Metadata, lease: std::sync::Arc<Lease>, lost: Shutdown) {
    let mut renewed = Instant::now();
    loop {
        tokio::time::sleep(RENEW_INTERVAL).await;
        match metadata.renew_lease(&lease, LEASE_TTL).await {
            Ok(true) => renewed = Instant::now(),
            Ok(false) => return lost.cancel(),
            Err(error) => {
                warn!(%error, "the lease could not be renewed");
                if renewed.elapsed() + RENEW_INTERVAL > LEASE_TTL {
                    return lost.cancel();
                }
            }
        }
    }
}
