//! Tokens of an application (OAuth 2.0 client credentials), kept until shortly before they expire.
//!
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use form_urlencoded::Serializer;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, time::Instant};

use super::fault;
use crate::{
    domain::digest::Digest,
    source::{
        error::{Error, malformed},
        http::Endpoint,
    },
    support::{
        clock::Clock,
        random,
        secret::{ExposeSecret as _, SecretString},
    },
};

/// How long an assertion is valid; at most ten minutes are recommended.
const ASSERTION_S: i64 = 300;
/// A token is fetched anew this long before its end, so that it lasts for the requests of a call.
const TOKEN_MARGIN: Duration = Duration::from_mins(5);
/// Most bytes of an answer with a token.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An application that is registered in a tenant, and its newest token.
pub(super) struct Login {
    /// Where it gets its tokens.
    endpoint: Endpoint,
    pub(super) client_id: String,
    credentials: Credentials,
    scope: String,
    token: Mutex<Option<(SecretString, Instant)>>,
}

/// How an application proves who it is.
pub(super) enum Credentials {
    Secret(SecretString),
    Certificate(Signer),
}

/// The private key of a certificate that the application's registration has.
pub(super) struct Signer {
    key: EncodingKey,
    /// SHA-256 of the certificate, as the header of an assertion has it.
    thumbprint: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: String,
    nbf: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

impl Signer {
    /// Reads a certificate and its key of RSA, both in PEM form.
    pub(super) fn new(certificate: &str, key: &str) -> Result<Self, &'static str> {
        let found = x509_parser::pem::parse_x509_pem(certificate.as_bytes());
        let found = found.ok().map(|(_, pem)| pem).filter(|pem| pem.label == "CERTIFICATE");
        let found = found.ok_or("has a certificate_file without a certificate in PEM form")?;
        let key = EncodingKey::from_rsa_pem(key.as_bytes());
        let key = key.map_err(|_| "has a key_file without an unencrypted private key of RSA in PEM form")?;
        Ok(Self { key, thumbprint: URL_SAFE_NO_PAD.encode(Digest::of(&found.contents).as_bytes()) })
    }

    fn assertion(&self, client_id: &str, audience: &str) -> Result<String, Error> {
        let mut header = Header::new(Algorithm::PS256);
        header.x5t_s256 = Some(self.thumbprint.clone());
        let now = Clock::default().now().timestamp();
        let claims = Claims {
            aud: audience,
            iss: client_id,
            sub: client_id,
            jti: random::uuid().to_string(),
            nbf: now,
            exp: now + ASSERTION_S,
        };
        let assertion = jsonwebtoken::encode(&header, &claims, &self.key);
        assertion.map_err(|_| malformed("the key of the certificate signs nothing"))
    }
}

impl Login {
    pub(super) fn new(
        endpoint: Endpoint,
        client_id: String,
        credentials: Credentials,
        scope: String,
    ) -> Self {
        Self { endpoint, client_id, credentials, scope, token: Mutex::default() }
    }

    /// The token: the newest one, or another one than `refused`.
    pub(super) async fn token(&self, refused: Option<&SecretString>) -> Result<SecretString, Error> {
        let mut kept = self.token.lock().await;
        if let Some((token, until)) = &*kept
            && Instant::now() < *until
            && refused.is_none_or(|refused| refused.expose_secret() != token.expose_secret())
        {
            return Ok(token.clone());
        }
        let Answer { access_token, expires_in } = self.fetch().await?;
        let token = SecretString::from(access_token);
        let lasts = Duration::from_secs(expires_in).saturating_sub(TOKEN_MARGIN);
        *kept = Some((token.clone(), Instant::now() + lasts));
        Ok(token)
    }

    async fn fetch(&self) -> Result<Answer, Error> {
        let Self { endpoint, client_id, .. } = self;
        let body = self.form()?;
        let post = || {
            let post = endpoint.client.post(endpoint.url.clone());
            post.header("content-type", "application/x-www-form-urlencoded").body(body.clone())
        };
        let response = endpoint.send(post).await?;
        let status = response.status();
        if status != StatusCode::OK {
            let refusal = endpoint.refusal(response).await;
            return Err(fault::of_login(&refusal, client_id).unwrap_or_else(|| endpoint.unexpected(status)));
        }
        let body = endpoint.body(response, ANSWER_BYTES_MAX).await?;
        serde_json::from_slice(&body).map_err(|_| malformed("the answer is not a token"))
    }

    /// What a request for a token says.
    fn form(&self) -> Result<String, Error> {
        let Self { endpoint, client_id, credentials, scope, .. } = self;
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials")
            .append_pair("client_id", client_id)
            .append_pair("scope", scope);
        match credentials {
            Credentials::Secret(secret) => form.append_pair("client_secret", secret.expose_secret()),
            Credentials::Certificate(signer) => form
                .append_pair("client_assertion_type", ASSERTION_TYPE)
                .append_pair("client_assertion", &signer.assertion(client_id, endpoint.url.as_str())?),
        };
        Ok(form.finish())
    }
}
