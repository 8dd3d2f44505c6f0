//! Who may use the admin listener: admin keys, sessions of browsers, their roles, and the limit of failed sign-ins.

mod cached;
mod failures;
mod sessions;
mod single_sign_on;

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::time::Instant;
use tracing::warn;

pub(super) use self::sessions::SESSION_IDLE;
use self::{cached::Cached, failures::Failures, sessions::USE_NOTED};
pub use self::{
    sessions::{LoginLink, SIGN_IN_PATH, SessionView, SignIn, SignInError, login_path},
    single_sign_on::{BegunSignIn, ProviderAnswer, SINGLE_SIGN_ON_PATH, SingleSignOn},
};
use super::Publisher;
use crate::{
    auth::{self, AdminKey, oidc::IdentityProvider},
    domain::{AdminKeyEntry, AdminRole, Digest, Principal, SessionEntry, network::Network},
    support::clock::Clock,
};

/// What the holder of an admin key, or of a session, may do.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize)]
#[schema(as = Caller)]
pub struct Grant {
    /// Who it is, and from where.
    #[serde(skip)]
    pub principal: Principal,
    /// The id of the key; that of the session if it has none.
    pub id: String,
    /// The name of the key, or who created the link of the session.
    pub name: String,
    /// The role.
    pub role: AdminRole,
    /// When the key or the session ends; `None` means never.
    pub expires_at: Option<DateTime<Utc>>,
    /// The id of the session; `None` for a key.
    #[serde(skip)]
    pub session: Option<String>,
    /// Whether the session began at the identity provider.
    #[serde(skip)]
    pub is_single_sign_on: bool,
}

impl Grant {
    /// The admin key that this is, or that the session began with.
    pub fn key_id(&self) -> Option<&str> {
        (self.session.as_ref() != Some(&self.id)).then_some(&self.id)
    }
}

/// Why a credential is refused. Holds nothing of the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessRefusal {
    /// It is no admin key of this deployment or a revoked one, an ended session, or a link that was used or has ended.
    Unknown,
    /// The admin key or the session has expired.
    Expired,
    /// Too many attempts from this address have failed; seconds until the next one is checked.
    TooManyFailures(u64),
    /// The node has not read the admin keys yet.
    KeysUnread,
}

/// Notes the use of an admin key. No request waits for it.
fn note_use(publisher: &Publisher, id: String, now: DateTime<Utc>) {
    let metadata = publisher.metadata.clone();
    tokio::spawn(async move {
        if let Err(error) = metadata.touch_admin_key(&id, now).await {
            warn!(code = error.code(), %error, "the use of an admin key cannot be noted");
        }
    });
}

/// Checks admin keys and sessions.
#[derive(Debug)]
pub struct Access {
    /// A private file with an admin key of this node. It makes its holder a viewer, also while metadata is down or on a
    /// node without metadata; metadata may know it with another role, or as revoked.
    file: PathBuf,
    /// Whether this node publishes, and so reads the keys of metadata sooner or later.
    has_metadata: bool,
    clock: Clock,
    keys: Cached<AdminKeyEntry>,
    sessions: Cached<SessionEntry>,
    failures: Failures,
    provider: Option<IdentityProvider>,
    trusted_proxies: Arc<[Network]>,
}

impl Access {
    /// Access by the keys of metadata, if the node has metadata, and by the key in `file`. One address may fail
    /// `failures_max` times a minute.
    pub fn new(file: PathBuf, has_metadata: bool, clock: Clock, failures_max: u32) -> Self {
        Self {
            file,
            has_metadata,
            clock,
            keys: Cached::new("admin keys", |key| &key.id),
            sessions: Cached::new("sessions", |session| &session.id),
            failures: Failures::new(failures_max),
            provider: None,
            trusted_proxies: Arc::default(),
        }
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
        self.check_limit(address)?;
        let checked = self.check(publisher, credential, address).await;
        if let Err(refusal) = checked {
            self.count_refusal("an admin key", AdminKey::id_of(credential), refusal, address);
        }
        checked
    }

    /// Whether credentials from `address` are checked at present.
    fn check_limit(&self, address: IpAddr) -> Result<(), AccessRefusal> {
        self.failures.wait(address, Instant::now()).map_or(Ok(()), |wait| {
            Err(AccessRefusal::TooManyFailures(wait.as_millis().div_ceil(1000).max(1) as u64))
        })
    }

    /// Logs and counts the refusal of a credential of this kind and id, if it is one that guessing meets.
    fn count_refusal(&self, kind: &str, id: Option<&str>, refusal: AccessRefusal, address: IpAddr) {
        if matches!(refusal, AccessRefusal::Unknown | AccessRefusal::Expired) {
            warn!(%address, key = id.unwrap_or("none"), reason = ?refusal, "{kind} was refused");
            self.count_failure(address);
        }
    }

    fn count_failure(&self, address: IpAddr) {
        if self.failures.count(address, Instant::now()) {
            warn!(%address, "too many refused credentials; further ones from this address are not checked for a minute");
        }
    }

    async fn check(
        &self,
        publisher: Option<&Publisher>,
        credential: &str,
        address: IpAddr,
    ) -> Result<Grant, AccessRefusal> {
        let id = AdminKey::id_of(credential).ok_or(AccessRefusal::Unknown)?;
        self.check_key(publisher, id, Some(Digest::of(credential.as_bytes())), address).await
    }

    /// Checks that the admin key `id` works, and has this digest if one is given.
    async fn check_key(
        &self,
        publisher: Option<&Publisher>,
        id: &str,
        digest: Option<Digest>,
        address: IpAddr,
    ) -> Result<Grant, AccessRefusal> {
        let read = || publisher.map(|publisher| publisher.metadata.admin_keys());
        let keys = self.keys.holding(id, read).await;
        let Some(key) = keys.as_ref().and_then(|keys| keys.get(id)) else {
            return self.check_file(id, digest, address, keys.is_some() || !self.has_metadata).await;
        };
        if digest.is_some_and(|digest| key.sha256 != digest) || key.revoked_at.is_some() {
            return Err(AccessRefusal::Unknown);
        }
        let now = self.clock.now();
        if key.expires_at.is_some_and(|at| at <= now) {
            return Err(AccessRefusal::Expired);
        }
        // A session notes its own use.
        if let Some(publisher) = publisher
            && digest.is_some()
            && key.last_used_at.is_none_or(|at| at + USE_NOTED <= now)
        {
            note_use(publisher, id.to_owned(), now);
        }
        Ok(Grant {
            principal: Principal::admin_key(&key.name, id, address),
            id: id.to_owned(),
            name: key.name.clone(),
            role: key.role,
            expires_at: key.expires_at,
            session: None,
            is_single_sign_on: false,
        })
    }

    /// Checks a key that metadata does not know, or is not known to know.
    async fn check_file(
        &self,
        id: &str,
        digest: Option<Digest>,
        address: IpAddr,
        is_unknown_to_metadata: bool,
    ) -> Result<Grant, AccessRefusal> {
        let text = tokio::fs::read_to_string(&self.file).await.unwrap_or_default();
        let own = AdminKey::parse(text.trim()).filter(|key| key.id() == id);
        let is_other = |key: &AdminKey| digest.is_some_and(|digest| key.digest() != digest);
        if own.as_ref().is_none_or(is_other) {
            // A wrong secret of the node's own key is one whatever metadata knows, and counts as a failure.
            let is_unknown = is_unknown_to_metadata || own.is_some();
            return Err(if is_unknown { AccessRefusal::Unknown } else { AccessRefusal::KeysUnread });
        }
        let (name, role) = ("this node".to_owned(), AdminRole::Viewer);
        let principal = Principal::admin_key(&name, id, address);
        let id = id.to_owned();
        Ok(Grant { principal, id, name, role, expires_at: None, session: None, is_single_sign_on: false })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn a_wrong_secret_of_the_nodes_own_key_counts_before_the_keys_are_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let [own, wrong] = AdminKey::pair();
        std::fs::write(&file, own.expose()).unwrap();
        let access = Access::new(file.path().to_owned(), true, Clock::default(), 2);
        let address = IpAddr::from(Ipv4Addr::LOCALHOST);
        let refusal = async |key: &AdminKey| access.authenticate(None, key.expose(), address).await.err();
        assert_eq!(refusal(&AdminKey::generate()).await, Some(AccessRefusal::KeysUnread), "it may be right");
        assert_eq!(refusal(&own).await, None);
        for _ in 0..2 {
            assert_eq!(refusal(&wrong).await, Some(AccessRefusal::Unknown));
        }
        assert!(matches!(refusal(&own).await, Some(AccessRefusal::TooManyFailures(_))));
    }
}
