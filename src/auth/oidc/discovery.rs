//! The provider's own description and keys: fetched at the first sign-in, kept for an hour, and fetched again when an
//! ID token names an unknown key.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use openidconnect::{
    AdditionalClaims, AuthType, Client, ClientId, ClientSecret, DiscoveryError, EmptyExtraTokenFields,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IdTokenFields, IssuerUrl, LogoutRequest,
    PostLogoutRedirectUrl, ProviderMetadataWithLogout, RedirectUrl, Scope, StandardErrorResponse,
    StandardTokenResponse,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreClientAuthMethod, CoreErrorResponseType, CoreGenderClaim,
        CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreRevocableToken,
        CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
    },
};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{
    CALLBACK_PATH, Error, IdentityProvider, OidcSettings, SIGNED_OUT_PATH,
    http::{Unanswered, is_secure},
};
use crate::support::secret::ExposeSecret as _;

/// How long a description is used.
const FRESH: Duration = Duration::from_hours(1);
/// How long a provider that did not answer is not asked again, by any sign-in.
const FAILURE_KEPT: Duration = Duration::from_secs(2);
/// Scopes that are asked for if the provider has them and the configuration names none.
const USUAL_SCOPES: [&str; 3] = ["profile", "email", "groups"];
/// Signatures of ID tokens that are accepted: those with a key that the provider alone has.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// The claims beside the standard ones.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Claims(pub(super) BTreeMap<String, serde_json::Value>);

impl AdditionalClaims for Claims {}

type IdFields = IdTokenFields<
    Claims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

/// The client of a provider that was discovered.
pub(super) type OidcClient = Client<
    Claims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<IdFields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// What the provider says of itself.
#[derive(Debug)]
pub(super) struct Discovered {
    pub(super) client: OidcClient,
    /// Those to ask for beside `openid`.
    pub(super) scopes: Vec<Scope>,
    /// The accepted algorithms that the provider uses.
    pub(super) algorithms: Vec<CoreJwsSigningAlgorithm>,
    keys: usize,
    has_user_info: bool,
    /// Where a browser ends its session at the provider.
    pub(super) logout: Option<Url>,
}

/// The last attempt to discover.
#[derive(Debug)]
pub(super) struct Discovery {
    at: Instant,
    outcome: Result<Arc<Discovered>, Error>,
}

impl Discovery {
    fn is_fresh(&self) -> bool {
        self.at.elapsed() < if self.outcome.is_ok() { FRESH } else { FAILURE_KEPT }
    }
}

impl IdentityProvider {
    /// The provider's description, an hour old at most.
    pub(super) async fn discovered(&self) -> Result<Arc<Discovered>, Error> {
        self.discovered_unless(Discovery::is_fresh).await
    }

    /// A description that is not `old`, in which a key is missing. Each exchanged code fetches one at most.
    pub(super) async fn rediscovered(&self, old: &Arc<Discovered>) -> Result<Arc<Discovered>, Error> {
        let is_other = |last: &Discovery| last.outcome.as_ref().is_ok_and(|found| !Arc::ptr_eq(found, old));
        self.discovered_unless(is_other).await
    }

    async fn discovered_unless(
        &self,
        is_good: impl FnOnce(&Discovery) -> bool,
    ) -> Result<Arc<Discovered>, Error> {
        let mut last = self.0.discovery.lock().await;
        if let Some(known) = last.as_ref().filter(|known| is_good(known)) {
            return known.outcome.clone();
        }
        let outcome = self.discover().await.map(Arc::new);
        *last = Some(Discovery { at: Instant::now(), outcome: outcome.clone() });
        outcome
    }

    async fn discover(&self) -> Result<Discovered, Error> {
        let OidcSettings { issuer, http, .. } = self.settings();
        let issuer = IssuerUrl::new(issuer.clone()).map_err(|_| Error::malformed("issuer is no URL"))?;
        let metadata = ProviderMetadataWithLogout::discover_async(issuer, http).await;
        Discovered::new(metadata.map_err(|error| failed(&error))?, self.settings())
    }

    /// Fetches the provider's description and keys, and says what it found.
    ///
    /// # Errors
    /// The provider does not answer, or its answer cannot be used.
    pub async fn describe(&self) -> Result<String, Error> {
        let discovered = self.discovered().await?;
        let Discovered { scopes, keys, has_user_info, .. } = &*discovered;
        let keys = if *keys == 1 { "1 signing key".to_owned() } else { format!("{keys} signing keys") };
        let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        let user_info = if *has_user_info { "with" } else { "without" };
        let (issuer, url) = (&self.settings().issuer, &self.settings().url);
        Ok(format!(
            "{issuer} answers, {keys}, {user_info} userinfo; scopes openid {}; redirect URI {url}{CALLBACK_PATH}",
            scopes.join(" ")
        ))
    }
}

impl Discovered {
    fn new(metadata: ProviderMetadataWithLogout, settings: &OidcSettings) -> Result<Self, Error> {
        let offered = metadata.id_token_signing_alg_values_supported();
        let algorithms: Vec<_> = ALGORITHMS.into_iter().filter(|one| offered.contains(one)).collect();
        if algorithms.is_empty() {
            return Err(Error::malformed("it signs ID tokens with no algorithm that is accepted here"));
        }
        if metadata.token_endpoint().is_none() {
            return Err(Error::malformed("its description has no token_endpoint"));
        }
        let scopes = match (&settings.scopes, metadata.scopes_supported()) {
            (Some(named), _) => named.iter().filter(|scope| *scope != "openid").cloned().collect(),
            (None, Some(offered)) => {
                let is_offered = |scope: &&str| offered.iter().any(|one| one.as_str() == *scope);
                USUAL_SCOPES.into_iter().filter(is_offered).map(str::to_owned).collect()
            }
            (None, None) => vec!["profile".to_owned(), "email".to_owned()],
        };
        let methods = metadata.token_endpoint_auth_methods_supported();
        let takes = |method| methods.is_some_and(|methods| methods.contains(&method));
        let takes_body_alone =
            takes(CoreClientAuthMethod::ClientSecretPost) && !takes(CoreClientAuthMethod::ClientSecretBasic);
        let auth_type = if takes_body_alone { AuthType::RequestBody } else { AuthType::BasicAuth };
        let redirect = RedirectUrl::new(format!("{}{CALLBACK_PATH}", settings.url));
        let redirect = redirect.map_err(|_| Error::malformed("url is no URL"))?;
        let (keys, has_user_info) = (metadata.jwks().keys().len(), metadata.userinfo_endpoint().is_some());
        let secret = ClientSecret::new(settings.client_secret.expose_secret().to_owned());
        let client_id = ClientId::new(settings.client_id.clone());
        let logout = metadata.additional_metadata().end_session_endpoint.clone();
        let after = PostLogoutRedirectUrl::new(format!("{}{SIGNED_OUT_PATH}", settings.url));
        let after = after.map_err(|_| Error::malformed("url is no URL"))?;
        let logout = logout.map(|endpoint| {
            let request = LogoutRequest::from(endpoint).set_client_id(client_id.clone());
            request.set_post_logout_redirect_uri(after).http_get_url()
        });
        let client = OidcClient::from_provider_metadata(metadata, client_id, Some(secret));
        let client = client.set_redirect_uri(redirect).set_auth_type(auth_type);
        let scopes = scopes.into_iter().map(Scope::new).collect();
        Ok(Self { client, scopes, algorithms, keys, has_user_info, logout: logout.filter(is_secure) })
    }
}

fn failed(error: &DiscoveryError<Unanswered>) -> Error {
    match error {
        DiscoveryError::Request(unanswered) => Error::Unreachable(unanswered.to_string()),
        DiscoveryError::Response(status, ..) if status.is_server_error() => {
            Error::Unreachable(format!("its description is answered with HTTP status {status}"))
        }
        DiscoveryError::Response(status, ..) => Error::malformed(format!(
            "its description or keys are answered with HTTP status {status}, or are no JSON"
        )),
        DiscoveryError::Validation(_) => Error::malformed(
            "its description names another issuer than [admin.oidc] issuer; write it exactly as the provider does, \
             with or without a slash at its end",
        ),
        _ => Error::malformed("its description or keys cannot be read"),
    }
}
