//! Who may use the admin listener: admin keys, their roles, and the limit of failed sign-ins.

mod failures;

use std::{collections::HashMap, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use tracing::warn;

use self::failures::Failures;
use super::Publisher;
use crate::{
    auth::{self, AdminKey},
    domain::{AdminKeyEntry, AdminRole, Digest, Principal, network::Network},
    support::clock::Clock,
};

/// How long keys that were read from metadata are used: a revoked key is refused that soon by every publisher.
const FRESH: Duration = Duration::from_secs(1);
/// Longest time that metadata may take. The keys that were read last count meanwhile.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// What the holder of an admin key may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// Who it is, and from where.
    #[serde(skip)]
    pub principal: Principal,
    /// The id of the key.
    pub id: String,
    /// The name of the key.
    pub name: String,
    /// The role of the key.
    pub role: AdminRole,
    /// When the key expires; `None` means never.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Why a credential is refused. Holds nothing of the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessRefusal {
    /// It is no admin key of this deployment, or a revoked one.
    Unknown,
    /// The admin key has expired.
    Expired,
    /// Too many attempts from this address have failed; seconds until the next one is checked.
    TooManyFailures(u64),
    /// The node has not read the admin keys yet.
    KeysUnread,
}

type Keys = Arc<HashMap<String, AdminKeyEntry>>;

/// Checks admin keys.
#[derive(Debug)]
pub struct Access {
    /// A private file with an admin key of this node. It makes its holder a viewer, also while metadata is down or on a
    /// node without metadata; metadata may know it with another role, or as revoked.
    file: PathBuf,
    /// Whether this node publishes, and so reads the keys of metadata sooner or later.
    has_metadata: bool,
    clock: Clock,
    /// The keys that were read last, and when. The caller that holds the lock reads; others find its result.
    known: Mutex<Option<(Instant, Keys)>>,
    failures: Failures,
    trusted_proxies: Arc<[Network]>,
}

impl Access {
    /// Access by the keys of metadata, if the node has metadata, and by the key in `file`. One address may fail
    /// `failures_max` times a minute.
    pub fn new(file: PathBuf, has_metadata: bool, clock: Clock, failures_max: u32) -> Self {
        let (failures, trusted_proxies) = (Failures::new(failures_max), Arc::default());
        Self { file, has_metadata, clock, known: Mutex::new(None), failures, trusted_proxies }
    }

    /// The same, behind proxies whose `X-Forwarded-For` says where a request comes from.
    #[must_use]
    pub fn behind(self, trusted_proxies: Arc<[Network]>) -> Self {
        Self { trusted_proxies, ..self }
    }

    /// The address of the client of a connection from `peer`, with `X-Forwarded-For` in `forwarded`.
    pub fn client_address<'a>(
        &self,
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'a [u8]>,
    ) -> IpAddr {
        auth::client_address(&self.trusted_proxies, peer, forwarded).unwrap_or(peer)
    }

    /// Checks `credential`, which came from `address`. Failures are logged, without the credential.
    ///
    /// # Errors
    /// The refusal. After too many failures from one address its credentials are not checked any more for a while.
    pub async fn authenticate(
        &self,
        publisher: Option<&Publisher>,
        credential: &str,
        address: IpAddr,
    ) -> Result<Grant, AccessRefusal> {
        let now = Instant::now();
        if let Some(wait) = self.failures.wait(address, now) {
            return Err(AccessRefusal::TooManyFailures(wait.as_millis().div_ceil(1000).max(1) as u64));
        }
        let checked = self.check(publisher, credential, address).await;
        if let Err(refusal @ (AccessRefusal::Unknown | AccessRefusal::Expired)) = checked {
            let key = AdminKey::id_of(credential).unwrap_or("none");
            warn!(%address, key, reason = ?refusal, "an admin key was refused");
            if self.failures.count(address, now) {
                warn!(%address, "too many refused admin keys; further ones from this address are not checked for a minute");
            }
        }
        checked
    }

    async fn check(
        &self,
        publisher: Option<&Publisher>,
        credential: &str,
        address: IpAddr,
    ) -> Result<Grant, AccessRefusal> {
        let id = AdminKey::id_of(credential).ok_or(AccessRefusal::Unknown)?;
        let digest = Digest::of(credential.as_bytes());
        let mut keys = self.keys(publisher, FRESH).await;
        if keys.as_ref().is_none_or(|keys| !keys.contains_key(id)) {
            // It may have been created just now.
            keys = self.keys(publisher, Duration::ZERO).await;
        }
        let Some(key) = keys.as_ref().and_then(|keys| keys.get(id)) else {
            return self.check_file(id, digest, address, keys.is_some() || !self.has_metadata).await;
        };
        if key.sha256 != digest || key.revoked_at.is_some() {
            return Err(AccessRefusal::Unknown);
        }
        if key.expires_at.is_some_and(|at| at <= self.clock.now()) {
            return Err(AccessRefusal::Expired);
        }
        Ok(Grant {
            principal: Principal::admin_key(&key.name, id, address),
            id: id.to_owned(),
            name: key.name.clone(),
            role: key.role,
            expires_at: key.expires_at,
        })
    }

    /// The keys of metadata, at most `age_max` old or the last ones that could be read; `None` before the first.
    async fn keys(&self, publisher: Option<&Publisher>, age_max: Duration) -> Option<Keys> {
        let mut known = self.known.lock().await;
        let is_fresh = known.as_ref().is_some_and(|(at, _)| at.elapsed() < age_max);
        if let (Some(publisher), false) = (publisher, is_fresh) {
            match timeout(READ_TIMEOUT, publisher.metadata.admin_keys()).await {
                Ok(Ok(keys)) => {
                    let keys = keys.into_iter().map(|key| (key.id.clone(), key)).collect();
                    *known = Some((Instant::now(), Arc::new(keys)));
                }
                Ok(Err(error)) => {
                    warn!(code = error.code(), %error, "admin keys cannot be read; the last ones count");
                }
                Err(_) => warn!("admin keys cannot be read in time; the last ones count"),
            }
        }
        known.as_ref().map(|(_, keys)| Arc::clone(keys))
    }

    /// Checks a key that metadata does not know, or is not known to know.
    async fn check_file(
        &self,
        id: &str,
        digest: Digest,
        address: IpAddr,
        is_unknown_to_metadata: bool,
    ) -> Result<Grant, AccessRefusal> {
        let text = tokio::fs::read_to_string(&self.file).await.unwrap_or_default();
        if AdminKey::parse(text.trim()).is_none_or(|key| key.digest() != digest) {
            let refusal =
                if is_unknown_to_metadata { AccessRefusal::Unknown } else { AccessRefusal::KeysUnread };
            return Err(refusal);
        }
        let (name, role) = ("this node".to_owned(), AdminRole::Viewer);
        let principal = Principal::admin_key(&name, id, address);
        Ok(Grant { principal, id: id.to_owned(), name, role, expires_at: None })
    }
}
