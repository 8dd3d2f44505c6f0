//! Makes a token as an issuer would, for trying it out.

use std::{path::Path, slice::from_ref, time::Duration};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use super::{Binding, Error, KeySource, TokenSettings, Tokens, key_set::KEY_SET_BYTES_MAX};
use crate::{
    auth::Refusal,
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

/// Signs `new` with the issuer's secret, or with the private key in the PEM file `private_key`. Nodes with this
/// configuration accept the token.
///
/// # Errors
/// [`Error::KeyFile`], and [`Error::CannotMint`] for an issuer with public keys without a private one, and for a token
/// that nodes would refuse.
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
    let refused = |reason| Error::CannotMint(format!("[tokens.{}]: {reason}", issuer.name));
    check_claims(issuer, new).map_err(refused)?;
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
    let token = jsonwebtoken::encode(&header, &claims, &key)
        .map_err(|_| refused("the key cannot sign".to_owned()))?;
    // Keys that are fetched are not at hand.
    if !matches!(issuer.keys, KeySource::JwksUrl { .. }) {
        Tokens::open(from_ref(issuer))?
            .verify(&token, clock)
            .map_err(|refusal| refused(reason_of(refusal).to_owned()))?;
    }
    Ok(token)
}

/// What of `new` the issuer's configuration does not allow.
fn check_claims(issuer: &TokenSettings, new: &NewToken) -> Result<(), String> {
    let Binding { collections, record_index, .. } = &new.binding;
    let lifetime_max = issuer.lifetime_max;
    if new.lifetime < Duration::from_secs(1) || new.lifetime > lifetime_max {
        return Err(format!("a token is valid for 1 s to {} s (max_lifetime)", lifetime_max.as_secs()));
    }
    let index = match (&issuer.record_index, record_index) {
        (Some(own), Some(other)) if own != other => {
            return Err(format!("its record_index is {own}; a token cannot name another one"));
        }
        (own, other) => own.as_ref().or(other.as_ref()),
    };
    if let (Some(index), true) = (index, new.subject.as_deref().unwrap_or_default().trim().is_empty()) {
        return Err(format!("a token needs a subject: the value of the record in the index {index}"));
    }
    match collections.iter().flatten().find(|name| !issuer.scope.opens(name.as_str())) {
        Some(name) => Err(format!("its tokens do not open the collection {name}")),
        None => Ok(()),
    }
}

/// Why a token whose claims are right is refused.
fn reason_of(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::TokenKeyUnknown => {
            "its key set has no key of this id for its first algorithm; name one of its ids"
        }
        _ => "the token is longer than 8 KiB, or the private key does not belong to its public keys",
    }
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
