//! Signing in at the identity provider: the way there, and the session that begins on the way back.

use std::{net::IpAddr, time::Duration};

use tracing::warn;

use super::{
    Access, Grant,
    sessions::{SignIn, SignInError, begun, signed_in},
};
use crate::{
    admin::{Publisher, error::Error},
    auth::oidc::{self, Identity, IdentityProvider, PendingSignIn},
    domain::{AdminRole, Digest, Principal},
    metadata::AuditEntry,
};

/// The path at which a browser begins to sign in at the identity provider.
pub const SINGLE_SIGN_ON_PATH: &str = "/console/sign-in/oidc";

/// The identity provider, as pages need it.
#[derive(Debug, Clone)]
pub struct SingleSignOn {
    /// What the page calls it.
    pub name: String,
    /// The address at which a sign-in begins: the cookies are kept for the host to which the provider sends back.
    pub address: String,
    /// Whether browsers reach the console without TLS, on a loopback address.
    pub is_plain: bool,
}

/// A sign-in that waits for the identity provider.
#[derive(Debug)]
pub struct BegunSignIn {
    /// The address at the provider to which the browser goes.
    pub url: String,
    /// The value of the cookie that the browser keeps meanwhile.
    pub cookie: String,
    /// How long it keeps it.
    pub lifetime: Duration,
}

/// The parameters with which the identity provider redirects the browser back.
#[derive(Debug, Clone, Default)]
pub struct ProviderAnswer {
    /// The code; empty if it has refused.
    pub code: String,
    /// Identifies the sign-in that the answer belongs to.
    pub state: String,
    /// Why it has refused; empty if it has not.
    pub error: String,
    /// The cookie of the sign-in that waits in this browser.
    pub cookie: Option<String>,
}

impl Access {
    /// The same, with an identity provider.
    #[must_use]
    pub fn with_identity_provider(self, provider: Option<IdentityProvider>) -> Self {
        Self { provider, ..self }
    }

    /// The identity provider, if one is configured.
    pub fn single_sign_on(&self) -> Option<SingleSignOn> {
        let settings = self.provider.as_ref()?.settings();
        let (name, address) = (settings.name.to_string(), format!("{}{SINGLE_SIGN_ON_PATH}", settings.url));
        Some(SingleSignOn { name, address, is_plain: settings.is_plain() })
    }

    /// Where the browser of `grant`, whose session has ended, also ends its session at the provider. `None` if it has
    /// none there, or cannot end it.
    pub async fn provider_logout(&self, grant: &Grant) -> Option<String> {
        let provider = self.provider.as_ref().filter(|_| grant.is_single_sign_on)?;
        provider.logout_url().await
    }

    /// Begins a sign-in of a browser at `address`, which leads to the page `next`. `None` without a provider.
    ///
    /// # Errors
    /// Too many sign-ins from there have failed, or the provider cannot be used.
    pub async fn begin_single_sign_on(
        &self,
        next: &str,
        address: IpAddr,
    ) -> Result<Option<BegunSignIn>, SignInError> {
        let Some(provider) = &self.provider else { return Ok(None) };
        self.check_limit(address)?;
        let pending = PendingSignIn::begin(next, self.clock.now());
        let url = provider.authorization_url(&pending).await.map_err(|error| {
            warn!(code = error.code(), %error, "cannot begin a single sign-on");
            Error::from(error)
        })?;
        Ok(Some(BegunSignIn { url, cookie: pending.cookie(), lifetime: PendingSignIn::lifetime() }))
    }

    /// Begins a session from the provider's answer, which a browser at `address` sends. Returns the page to show next.
    ///
    /// # Errors
    /// A refusal, which is logged, audited and counted as a failed sign-in; a provider that cannot be used; or an error
    /// of metadata.
    pub async fn sign_in_by_provider(
        &self,
        publisher: &Publisher,
        answer: &ProviderAnswer,
        address: IpAddr,
    ) -> Result<(SignIn, String), SignInError> {
        self.check_limit(address)?;
        let (principal, error) = match self.identify(answer).await {
            Ok((Identity { name, subject, role: Some(role) }, next)) => {
                return self
                    .begin_by_identity(publisher, &name, subject, role, address)
                    .await
                    .map(|one| (one, next));
            }
            Ok((Identity { name, .. }, _)) => {
                (Principal::identity(&name, "none", address), oidc::Error::NoRole)
            }
            Err(error) => (Principal::visitor(address), error),
        };
        warn!(%address, actor = %principal, code = error.code(), %error, "a single sign-on was refused");
        if error.is_of_visitor() {
            self.count_failure(address);
            let detail = Some(error.code().to_owned());
            let now = self.clock.now();
            let audited = AuditEntry::new(now, &principal, "single_sign_on.refuse", "none", detail);
            publisher.metadata.audit(&audited).await.map_err(Error::from)?;
        }
        Err(Error::from(error).into())
    }

    async fn identify(&self, answer: &ProviderAnswer) -> Result<(Identity, String), oidc::Error> {
        let provider = self.provider.as_ref().ok_or(oidc::Error::UnknownSignIn)?;
        let cookie = answer.cookie.as_deref().unwrap_or_default();
        let pending = PendingSignIn::of_cookie(cookie, &answer.state, self.clock.now());
        let pending = pending.ok_or(oidc::Error::UnknownSignIn)?;
        if !answer.error.is_empty() || answer.code.is_empty() {
            return Err(oidc::Error::refused(&answer.error));
        }
        let identity = provider.identify(&pending, &answer.code).await?;
        Ok((identity, pending.next().to_owned()))
    }

    async fn begin_by_identity(
        &self,
        publisher: &Publisher,
        name: &str,
        subject: Digest,
        role: AdminRole,
        address: IpAddr,
    ) -> Result<SignIn, SignInError> {
        let (ticket, mut entry) = self.new_session(None, Principal::identity_name(name), role, None);
        entry.subject = Some(subject);
        let principal = Principal::identity(&entry.name, &entry.id, address);
        let audited = begun(&principal, &entry, "single sign-on");
        publisher.metadata.begin_session(&entry, &audited).await.map_err(Error::from)?;
        Ok(signed_in(ticket, &entry))
    }
}
