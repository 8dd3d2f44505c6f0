//! Leases that renew themselves: of a sync, held during a run, and of a rollback.

use std::{sync::Arc, time::Duration};

use tokio::{runtime::Handle, task::JoinHandle, time::Instant};
use tracing::warn;

use super::error::Error;
use crate::{
    domain::name::CollectionName,
    metadata::{Lease, LeaseOutcome, Metadata},
    support::{random, shutdown::Shutdown},
};

/// How long a lease lasts without renewal. Another publisher takes over within 15 s of its holder's death, its first
/// short run included.
const LEASE_TTL: Duration = Duration::from_secs(12);
/// How often a lease is renewed: one renewal may fail, and then the next one must not.
const RENEW_INTERVAL: Duration = Duration::from_secs(4);

/// The holder of a lease that is not free.
pub(super) struct Holder {
    /// Its process.
    pub(super) holder: String,
    /// When the lease ends unless it is renewed.
    pub(super) expires_in: Duration,
}

/// A lease that renews itself until it is released. One that is dropped, because its task panicked or was cancelled, is
/// released in the background: otherwise the next holder would wait until it expires.
pub(super) struct RenewedLease {
    metadata: Metadata,
    lease: Arc<Lease>,
    lost: Shutdown,
    renewal: JoinHandle<()>,
    is_released: bool,
}

impl RenewedLease {
    /// Acquires the lease `name`; the inner error is its holder.
    pub(super) async fn acquire(metadata: &Metadata, name: &str) -> Result<Result<Self, Holder>, Error> {
        let holder = format!("pid-{}-{:08x}", std::process::id(), random::seed() as u32);
        Ok(match metadata.acquire_lease(name, &holder, LEASE_TTL).await? {
            LeaseOutcome::HeldElsewhere { holder, expires_in } => Err(Holder { holder, expires_in }),
            LeaseOutcome::Held(lease) => {
                let lease = Arc::new(lease);
                let lost = Shutdown::new();
                let renewal = tokio::spawn(renew(metadata.clone(), lease.clone(), lost.clone()));
                Ok(Self { metadata: metadata.clone(), lease, lost, renewal, is_released: false })
            }
        })
    }

    /// Confirms that the lease is still held.
    async fn confirm(&self) -> Result<(), Error> {
        if !self.lost.is_cancelled() && self.metadata.renew_lease(&self.lease, LEASE_TTL).await? {
            Ok(())
        } else {
            Err(Error::LeaseLost)
        }
    }

    /// Releases the lease.
    pub(super) async fn release(mut self) {
        self.renewal.abort();
        release(&self.metadata, &self.lease).await;
        self.is_released = true;
    }
}

impl Drop for RenewedLease {
    fn drop(&mut self) {
        self.renewal.abort();
        if !self.is_released
            && let Ok(runtime) = Handle::try_current()
        {
            let (metadata, lease) = (self.metadata.clone(), self.lease.clone());
            runtime.spawn(async move { release(&metadata, &lease).await });
        }
    }
}

async fn release(metadata: &Metadata, lease: &Lease) {
    if let Err(error) = metadata.release_lease(lease).await {
        warn!(%error, "the lease could not be released; it expires by itself");
    }
}

/// The lease of a sync: no other process runs it or announces its collection meanwhile.
pub struct SyncLease(RenewedLease);

impl SyncLease {
    /// Acquires the lease of a sync.
    ///
    /// # Errors
    /// [`Error::LeaseHeld`].
    pub(super) async fn acquire(metadata: &Metadata, sync: &CollectionName) -> Result<Self, Error> {
        match RenewedLease::acquire(metadata, &format!("sync:{sync}")).await? {
            Ok(lease) => Ok(Self(lease)),
            Err(Holder { holder, expires_in }) => {
                Err(Error::LeaseHeld { sync: sync.clone(), holder, expires_in })
            }
        }
    }

    /// Resolves when the lease is lost.
    pub(super) async fn lost(&self) {
        self.0.lost.cancelled().await;
    }

    /// Confirms that the lease is still held: the last check before an announcement.
    ///
    /// # Errors
    /// [`Error::LeaseLost`].
    pub async fn confirm(&self) -> Result<(), Error> {
        self.0.confirm().await
    }

    /// Releases the lease.
    pub async fn release(self) {
        self.0.release().await;
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
                if expires_before_next_renewal(renewed.elapsed()) {
                    return lost.cancel();
                }
            }
        }
    }
}

/// Whether a lease that was renewed so long ago may expire before the next renewal.
fn expires_before_next_renewal(age: Duration) -> bool {
    age + RENEW_INTERVAL >= LEASE_TTL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_renewal_may_fail() {
        assert!(!expires_before_next_renewal(RENEW_INTERVAL));
        assert!(!expires_before_next_renewal(RENEW_INTERVAL + RENEW_INTERVAL / 2));
        assert!(expires_before_next_renewal(2 * RENEW_INTERVAL));
    }
}
