//! Leases that renew themselves: of a sync, taken before a run and given back after it, and of a rollback.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::Instant};
use tracing::warn;

use super::error::Error;
use crate::{
    domain::name::CollectionName,
    metadata::{Lease, LeaseOutcome, Metadata, Pause},
    support::{random, shutdown::Shutdown},
};

/// How long a lease lasts without renewal: 15 s after its holder's death another publisher has taken over, its
/// first short run included.
const LEASE_TTL: Duration = Duration::from_secs(12);
/// How often it is renewed: a database may be away for two renewals.
const RENEW_INTERVAL: Duration = Duration::from_secs(4);

/// Who has a lease instead.
pub(super) struct Holder {
    /// Its name.
    pub(super) holder: String,
    /// When the lease ends unless it is renewed.
    pub(super) expires_in: Duration,
}

/// A lease that renews itself until it is dropped or given back.
pub(super) struct RenewedLease {
    metadata: Metadata,
    lease: Arc<Lease>,
    lost: Shutdown,
    renewal: JoinHandle<()>,
}

impl RenewedLease {
    /// Takes the lease `name`; the inner error is who holds it.
    pub(super) async fn take(metadata: &Metadata, name: &str) -> Result<Result<Self, Holder>, Error> {
        let holder = format!("pid-{}-{:08x}", std::process::id(), random::seed() as u32);
        Ok(match metadata.acquire_lease(name, &holder, LEASE_TTL).await? {
            LeaseOutcome::HeldElsewhere { holder, expires_in } => Err(Holder { holder, expires_in }),
            LeaseOutcome::Held(lease) => {
                let lease = Arc::new(lease);
                let lost = Shutdown::new();
                let renewal = tokio::spawn(renew(metadata.clone(), lease.clone(), lost.clone()));
                Ok(Self { metadata: metadata.clone(), lease, lost, renewal })
            }
        })
    }

    /// Makes sure that the lease is still held.
    async fn confirm(&self) -> Result<(), Error> {
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

impl Drop for RenewedLease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

/// The lease of a sync.
pub(super) struct KeptLease {
    sync: CollectionName,
    /// The sync's pause when the lease was taken.
    paused: Option<Pause>,
    lease: RenewedLease,
}

impl KeptLease {
    /// Takes the lease of a sync, or says who holds it.
    pub(super) async fn take(metadata: &Metadata, sync: &CollectionName) -> Result<Self, Error> {
        // Before anything else is read: what is paused later is noticed by [`KeptLease::confirm`].
        let paused = metadata.pause(sync).await?;
        match RenewedLease::take(metadata, &format!("sync:{sync}")).await? {
            Ok(lease) => Ok(Self { sync: sync.clone(), paused, lease }),
            Err(Holder { holder, expires_in }) => {
                Err(Error::LeaseHeld { sync: sync.clone(), holder, expires_in })
            }
        }
    }

    /// Ends when the lease is lost.
    pub(super) async fn lost(&self) {
        self.lease.lost.cancelled().await;
    }

    /// The sync's pause when the lease was taken.
    pub(super) fn paused(&self) -> Option<&Pause> {
        self.paused.as_ref()
    }

    /// Makes sure that nobody has paused the sync since the lease was taken.
    pub(super) async fn confirm_pace(&self) -> Result<(), Error> {
        match self.lease.metadata.pause(&self.sync).await? {
            Some(pause) if self.paused.as_ref() != Some(&pause) => {
                Err(Error::Paused { sync: self.sync.clone(), why: pause.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// Makes sure that the lease is still held, and the sync not paused meanwhile: the last look
    /// before an announcement.
    pub(super) async fn confirm(&self) -> Result<(), Error> {
        self.confirm_pace().await?;
        self.lease.confirm().await
    }

    /// Gives the lease back.
    pub(super) async fn release(self) {
        self.lease.release().await;
    }
}

async fn renew(metadata: Metadata, lease: Arc<Lease>, lost: Shutdown) {
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
