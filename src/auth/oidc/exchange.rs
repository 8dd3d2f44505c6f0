//! The way back: the provider's code is exchanged for an ID token, which is verified, and for who the person is.

use std::{sync::Arc, time::Duration};

use openidconnect::{
    AccessToken, AccessTokenHash, AuthorizationCode, ClaimsVerificationError, Nonce,
    OAuth2TokenResponse as _, RequestTokenError, SignatureVerificationError, StandardErrorResponse,
    TokenResponse as _, UserInfoClaims, UserInfoError,
    core::{CoreErrorResponseType, CoreGenderClaim, CoreIdTokenVerifier},
};
use tokio::time::timeout;
use tracing::warn;

use super::{
    Error, Identity, IdentityProvider, PendingSignIn,
    discovery::{Claims, Discovered, OidcClient},
    error::error_word,
    http::Unanswered,
    identity::Person,
};
use crate::support::clock::Clock;

/// Longest time for all requests of one sign-in; less than that of a request of the admin listener.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(20);

type IdToken = openidconnect::IdToken<
    Claims,
    CoreGenderClaim,
    openidconnect::core::CoreJweContentEncryptionAlgorithm,
    openidconnect::core::CoreJwsSigningAlgorithm,
>;
type IdClaims = openidconnect::IdTokenClaims<Claims, CoreGenderClaim>;

/// Why an ID token was not verified.
enum Unverified {
    /// It names a key that is not among the known ones.
    UnknownKey,
    Refused(&'static str),
}

impl IdentityProvider {
    /// Who signed in at the provider, which has answered `pending` with `code`.
    ///
    /// # Errors
    /// All of [`Error`] but [`Error::UnknownSignIn`] and [`Error::NoRole`].
    pub async fn identify(&self, pending: &PendingSignIn, code: &str) -> Result<Identity, Error> {
        let identified = async {
            // The semaphore is never closed.
            let _permit = self.0.exchanges.acquire().await;
            self.exchange(pending, code).await
        };
        timeout(EXCHANGE_TIMEOUT, identified).await.unwrap_or_else(|_| {
            let seconds = EXCHANGE_TIMEOUT.as_secs();
            Err(Error::Unreachable(format!("it did not answer within {seconds} s")))
        })
    }

    async fn exchange(&self, pending: &PendingSignIn, code: &str) -> Result<Identity, Error> {
        let (settings, mut discovered) = (self.settings(), self.discovered().await?);
        let request = discovered.client.exchange_code(AuthorizationCode::new(code.to_owned()));
        let request = request.map_err(|_| Error::malformed("its description has no token_endpoint"))?;
        let request = request.set_pkce_verifier(pending.verifier());
        let answer = request.request_async(&settings.http).await.map_err(refused)?;
        let token =
            answer.id_token().ok_or_else(|| Error::malformed("its token endpoint gives no ID token"))?;
        let nonce = Nonce::new(pending.nonce());
        let verify = |by: &Arc<Discovered>| verified(token, by, &nonce, answer.access_token(), &self.0.clock);
        let mut claims = verify(&discovered);
        if matches!(claims, Err(Unverified::UnknownKey)) {
            discovered = self.rediscovered(&discovered).await?;
            claims = verify(&discovered);
        }
        let claims = claims.map_err(|unverified| match unverified {
            Unverified::UnknownKey => Error::TokenRefused("no key of the provider has signed it"),
            Unverified::Refused(why) => Error::TokenRefused(why),
        })?;
        let mut person = Person::of(claims, &settings.group_claim);
        if person.lacks_claims() {
            match self.user_info(&discovered.client, claims, answer.access_token()).await {
                Ok(Some(more)) => person.complete(&more, &settings.group_claim),
                Ok(None) => {}
                Err(error) if person.has_groups() => {
                    warn!(code = error.code(), %error, "cannot fetch the name of the person; the subject is used");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(person.identify(&settings.issuer, &settings.roles))
    }

    /// The claims of the userinfo endpoint, if there is one. They are of the same person.
    async fn user_info(
        &self,
        client: &OidcClient,
        claims: &IdClaims,
        token: &AccessToken,
    ) -> Result<Option<UserInfoClaims<Claims, CoreGenderClaim>>, Error> {
        let Ok(request) = client.user_info(token.clone(), Some(claims.subject().clone())) else {
            return Ok(None);
        };
        let answer = request.request_async(&self.settings().http).await;
        answer.map(Some).map_err(|error| match error {
            UserInfoError::Request(unanswered) => Error::Unreachable(unanswered.to_string()),
            UserInfoError::ClaimsVerification(_) => Error::malformed(
                "its userinfo endpoint answers for another person, or with another signature",
            ),
            _ => Error::malformed("the answer of its userinfo endpoint cannot be read"),
        })
    }
}

/// The claims of `token` once signature, issuer, audience, time, nonce and the hash of the access token are verified.
fn verified<'a>(
    token: &'a IdToken,
    by: &Discovered,
    nonce: &Nonce,
    access_token: &AccessToken,
    clock: &Clock,
) -> Result<&'a IdClaims, Unverified> {
    let clock = clock.clone();
    let verifier: CoreIdTokenVerifier<'_> = by.client.id_token_verifier();
    let verifier = verifier.set_allowed_algs(by.algorithms.iter().cloned()).set_time_fn(move || clock.now());
    let claims = token.claims(&verifier, nonce).map_err(|error| unverified(&error))?;
    if let Some(expected) = claims.access_token_hash() {
        let mismatch = Unverified::Refused("it belongs to another access token");
        let (Ok(algorithm), Ok(key)) = (token.signing_alg(), token.signing_key(&verifier)) else {
            return Err(mismatch);
        };
        let actual = AccessTokenHash::from_token(access_token, algorithm, key);
        if actual.ok().as_ref() != Some(expected) {
            return Err(mismatch);
        }
    }
    Ok(claims)
}

/// What is wrong, without the claim that is.
fn unverified(error: &ClaimsVerificationError) -> Unverified {
    use SignatureVerificationError::{DisallowedAlg, NoMatchingKey, NoSignature, UnsupportedAlg};
    Unverified::Refused(match error {
        ClaimsVerificationError::SignatureVerification(NoMatchingKey) => return Unverified::UnknownKey,
        ClaimsVerificationError::SignatureVerification(
            DisallowedAlg(_) | NoSignature | UnsupportedAlg(_),
        ) => "it is signed with no algorithm that is accepted",
        ClaimsVerificationError::SignatureVerification(_) => "its signature is wrong",
        ClaimsVerificationError::Expired(_) => "it has expired; compare the clocks of both machines",
        ClaimsVerificationError::InvalidAudience(_) => "it is for another client",
        ClaimsVerificationError::InvalidIssuer(_) => "it is of another issuer",
        ClaimsVerificationError::InvalidNonce(_) => "it belongs to another sign-in",
        _ => "its form is wrong",
    })
}

/// Why the token endpoint gave no tokens.
fn refused(error: RequestTokenError<Unanswered, StandardErrorResponse<CoreErrorResponseType>>) -> Error {
    match error {
        RequestTokenError::Request(unanswered) => Error::Unreachable(unanswered.to_string()),
        RequestTokenError::ServerResponse(answer) => match answer.error() {
            CoreErrorResponseType::InvalidClient => Error::ClientRefused("invalid_client".to_owned()),
            CoreErrorResponseType::UnauthorizedClient => {
                Error::ClientRefused("unauthorized_client".to_owned())
            }
            word => Error::Refused(error_word(word.as_ref())),
        },
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            Error::malformed("the answer of its token endpoint cannot be read")
        }
    }
}
