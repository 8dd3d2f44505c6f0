//! Makes a token as an issuer would, for trying it out.

use std::{path::Path, time::Duration};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use super::{Binding, Error, KeySource, TokenSettings, key_set::KEY_SET_BYTES_MAX};
use crate::{
    settings::read_bounded,
    support::{clock::Clock, secret::ExposeSecret},
};

/// What a new token says.
#[derive(Debug, Clone, Default)]
pub struct NewToken {
    /// The claim `sub`.
    pub subject: Option<String>,
    /// The claim `larder`.
    pub binding: Binding,
    /// The header's `kid`.
    pub key_id: Option<String>,
    /// How long it is valid.
    pub lifetime: Duration,
}

/// Signs `new` with the issuer's secret, or with the private key in the PEM file `private_key`.
///
/// # Errors
/// [`Error::KeyFile`], and [`Error::CannotMint`] for an issuer with public keys without a private one.
pub fn mint(
    issuer: &TokenSettings,
    new: &NewToken,
    private_key: Option<&Path>,
    clock: &Clock,
) -> Result<String, Error> {
    #[derive(Serialize)]
    struct Claims<'a> {
        iss: &'a str,
        aud: &'a str,
        iat: i64,
        exp: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        sub: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        larder: Option<&'a Binding>,
    }
    let algorithm = issuer.algorithms[0];
    let key = signing_key(issuer, algorithm, private_key)?;
    let iat = clock.now().timestamp();
    let claims = Claims {
        iss: &issuer.issuer,
        aud: &issuer.audience,
        iat,
        exp: iat.saturating_add_unsigned(new.lifetime.as_secs()),
        sub: new.subject.as_deref(),
        larder: (new.binding != Binding::default()).then_some(&new.binding),
    };
    let header = Header { kid: new.key_id.clone(), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, &claims, &key)
        .map_err(|_| Error::CannotMint(format!("[tokens.{}]: the key cannot sign", issuer.name)))
}

fn signing_key(
    issuer: &TokenSettings,
    algorithm: Algorithm,
    file: Option<&Path>,
) -> Result<EncodingKey, Error> {
    let Some(file) = file else {
        return match &issuer.keys {
            KeySource::Secret(secret) => Ok(EncodingKey::from_secret(secret.expose_secret().as_bytes())),
            _ => Err(Error::CannotMint(format!(
                "[tokens.{}] has public keys only; give the private key with --private-key-file",
                issuer.name
            ))),
        };
    };
    let faulty = |reason| Error::KeyFile { name: issuer.name.clone(), file: file.to_owned(), reason };
    let pem =
        read_bounded(file, KEY_SET_BYTES_MAX).map_err(|error| faulty(format!("cannot be read: {error}")))?;
    let key = match algorithm {
        Algorithm::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
        Algorithm::ES256 => EncodingKey::from_ec_pem(pem.as_bytes()),
        _ => EncodingKey::from_rsa_pem(pem.as_bytes()),
    };
    key.map_err(|_| faulty("has no private key in PEM (PKCS#8) for the issuer's first algorithm".to_owned()))
}
