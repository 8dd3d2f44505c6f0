//! Single sign-on by OpenID Connect: the code flow with PKCE at one identity provider, and the role that a person's
//! groups have.
//!
//! [`PendingSignIn`] is what the browser keeps meanwhile, [`IdentityProvider`] speaks with the provider, [`Identity`] is
//! who came back.

mod discovery;
mod error;
mod exchange;
mod http;
mod identity;
mod pending;
mod settings;

use std::sync::Arc;

use openidconnect::{CsrfToken, Nonce, PkceCodeChallenge, core::CoreAuthenticationFlow};
use tokio::sync::{Mutex, Semaphore};

pub(crate) use self::settings::{SECTION, read};
use self::{discovery::Discovery, http::is_secure};
pub use self::{error::Error, identity::Identity, pending::PendingSignIn, settings::OidcSettings};
use crate::support::clock::Clock;

/// The path to which the provider sends browsers back.
pub const CALLBACK_PATH: &str = "/console/sign-in/oidc/callback";
/// The page to which the provider sends browsers that have signed out there.
const SIGNED_OUT_PATH: &str = "/console/sign-in";
/// Most codes that are exchanged at once. Further ones wait for their turn.
const EXCHANGES_MAX: usize = 16;

/// An identity provider. Its settings and keys are fetched when they are needed first. Cheap to clone.
#[derive(Debug, Clone)]
pub struct IdentityProvider(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: OidcSettings,
    clock: Clock,
    /// The caller that holds the lock fetches; others find its result.
    discovery: Mutex<Option<Discovery>>,
    exchanges: Semaphore,
}

impl IdentityProvider {
    /// The provider of these settings. Connects to nothing.
    pub fn new(settings: OidcSettings, clock: Clock) -> Self {
        let exchanges = Semaphore::new(EXCHANGES_MAX);
        Self(Arc::new(Inner { settings, clock, discovery: Mutex::default(), exchanges }))
    }

    /// Its settings.
    pub fn settings(&self) -> &OidcSettings {
        &self.0.settings
    }

    /// The address at which a browser ends its session at the provider; `None` if the provider has none, or does not
    /// answer.
    pub async fn logout_url(&self) -> Option<String> {
        Some(self.discovered().await.ok()?.logout.as_ref()?.to_string())
    }

    /// The address at the provider to which the browser of `pending` goes.
    ///
    /// # Errors
    /// The provider does not answer, or its answer cannot be used.
    pub async fn authorization_url(&self, pending: &PendingSignIn) -> Result<String, Error> {
        let discovered = self.discovered().await?;
        let (state, nonce) = (CsrfToken::new(pending.state()), Nonce::new(pending.nonce()));
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let request = discovered.client.authorize_url(flow, || state, || nonce);
        let request = request.add_scopes(discovered.scopes.iter().cloned());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&pending.verifier());
        let (url, ..) = request.set_pkce_challenge(challenge).url();
        if is_secure(&url) {
            Ok(url.into())
        } else {
            Err(Error::malformed("its authorization_endpoint is neither https nor a loopback address"))
        }
    }
}
