//! One issuer: its settings, its keys in force, and the check of its tokens.

use std::{path::Path, sync::Arc};

use arc_swap::ArcSwap;
use jsonwebtoken::Algorithm;
use tokio::sync::Notify;

use super::{
    Error, KeySource, TokenSettings, VerifiedToken,
    claims::{Binding, Claims, ParsedToken},
    key_set::{self, KEY_SET_BYTES_MAX, Unverified, VerifyKey, read_jwk_set},
};
use crate::{
    auth::{CollectionGrant, Grant, Refusal},
    domain::{
        fields::{FieldLimit, FieldSelection},
        keyset::Scope,
        name::{CollectionName, IndexName},
    },
    settings::read_bounded,
    support::secret::ExposeSecret,
};

/// An issuer of tokens.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) settings: TokenSettings,
    keys: ArcSwap<Keys>,
    /// A token named a key that is not in the set.
    pub(super) lacks_key: Notify,
}

/// The keys in force. Each change has a higher generation, so that tokens of a removed key are verified again.
#[derive(Debug, Default)]
struct Keys {
    generation: u64,
    verifying: Vec<VerifyKey>,
    /// The text that they were read from.
    text: Vec<u8>,
}

impl Issuer {
    /// Opens an issuer and reads its key file. An issuer with a URL has no keys yet.
    pub(super) fn open(settings: &TokenSettings) -> Result<Self, Error> {
        let keys = match &settings.keys {
            KeySource::Secret(secret) => vec![VerifyKey::secret(secret.expose_secret().as_bytes())],
            KeySource::PublicKeyFile(path) => read_file(settings, path, |pem| {
                let key = VerifyKey::pem(pem, &settings.algorithms);
                key.map(|key| vec![key])
                    .ok_or_else(|| "has no public key in PEM for its algorithms".to_owned())
            })?,
            KeySource::JwksFile(path) => read_file(settings, path, read_jwk_set)?,
            KeySource::JwksUrl { .. } => Vec::new(),
        };
        let keys = Keys { generation: 1, verifying: keys, text: Vec::new() };
        Ok(Self { settings: settings.clone(), keys: ArcSwap::from_pointee(keys), lacks_key: Notify::new() })
    }

    /// Puts a fetched key set in force; returns whether it differs. One that cannot be used changes nothing.
    pub(super) fn replace_keys(&self, text: Vec<u8>) -> Result<bool, String> {
        let before = self.keys.load();
        if before.text == text {
            return Ok(false);
        }
        let verifying = read_jwk_set(&text)?;
        self.keys.store(Arc::new(Keys { generation: before.generation + 1, verifying, text }));
        Ok(true)
    }

    pub(super) fn generation(&self) -> u64 {
        self.keys.load().generation
    }

    pub(super) fn is_issuer_of(&self, token: &ParsedToken<'_>) -> bool {
        self.settings.issuer == token.claims.iss
    }

    /// Verifies a token of this issuer, the `number`th. Its times are still to be checked.
    pub(super) fn verify(
        &self,
        token: &ParsedToken<'_>,
        number: usize,
        now: f64,
    ) -> Result<VerifiedToken, Refusal> {
        let algorithm = self.algorithm(&token.header.alg).ok_or(Refusal::TokenInvalid)?;
        let keys = self.keys.load();
        let id = token.header.kid.as_deref();
        key_set::verify(&keys.verifying, id, algorithm, token.message, token.signature).map_err(|error| {
            match error {
                Unverified::NoSuchKey => {
                    self.lacks_key.notify_one();
                    Refusal::TokenKeyUnknown
                }
                Unverified::Forged => Refusal::TokenInvalid,
            }
        })?;
        let claims = &token.claims;
        if !claims.is_for(&self.settings.audience) {
            return Err(Refusal::TokenInvalid);
        }
        let (valid_from, valid_until) = self.times(claims, now).ok_or(Refusal::TokenInvalid)?;
        let grant = self.grant(claims).ok_or(Refusal::TokenInvalid)?;
        Ok(VerifiedToken { grant, valid_from, valid_until, issuer: number, generation: keys.generation })
    }

    /// The algorithm that a header names, if the issuer uses it.
    fn algorithm(&self, name: &str) -> Option<Algorithm> {
        let algorithm = super::settings::ALGORITHMS.iter().find(|(known, _)| *known == name)?.1;
        self.settings.algorithms.contains(&algorithm).then_some(algorithm)
    }

    /// From when until when the token is valid, with the leeway; `None` if its lifetime is too long. A token that does
    /// not say when it was issued counts as issued now.
    fn times(&self, claims: &Claims, now: f64) -> Option<(f64, f64)> {
        let Claims { exp, nbf, iat, .. } = *claims;
        let (leeway, lifetime_max) =
            (self.settings.leeway.as_secs_f64(), self.settings.lifetime_max.as_secs_f64());
        let lifetime = exp - iat.unwrap_or(now - leeway);
        let begin = nbf.unwrap_or(f64::MIN).max(iat.unwrap_or(f64::MIN));
        (lifetime <= lifetime_max + if iat.is_none() { leeway } else { 0.0 })
            .then_some((begin - leeway, exp + leeway))
    }

    /// Returns the grant of a token: the grant of its issuer, narrowed by the claims. `None` if a claim is
    /// missing or contradicts the configuration.
    fn grant(&self, claims: &Claims) -> Option<Grant> {
        let TokenSettings { scope, indexes, fields, record_index, included, .. } = &self.settings;
        let none = Binding::default();
        let binding = claims.larder.as_ref().unwrap_or(&none);
        let index = bound_index(record_index.as_ref(), binding.record_index.as_ref())?;
        let record = match (index, &claims.sub) {
            (None, _) => None,
            (Some(index), Some(sub)) if !sub.trim().is_empty() => Some((index, sub.clone())),
            (Some(_), _) => return None,
        };
        let limits = [
            fields.as_ref().map(FieldLimit::selection),
            binding.fields.as_ref().map(FieldSelection::only),
            binding.without_fields.as_ref().map(FieldSelection::without),
        ];
        let fields = limits.into_iter().flatten().reduce(|one, two| one.intersect(&two));
        let rights = CollectionGrant { indexes: indexes.clone(), fields, record };
        Some(
            Grant::new(narrowed(scope, binding.collections.as_ref()), rights).with_included(included.clone()),
        )
    }
}

/// The keys in a file, as `read` reads them.
fn read_file(
    settings: &TokenSettings,
    file: &Path,
    read: impl FnOnce(&[u8]) -> Result<Vec<VerifyKey>, String>,
) -> Result<Vec<VerifyKey>, Error> {
    let text = read_bounded(file, KEY_SET_BYTES_MAX).map_err(|error| format!("cannot be read: {error}"));
    text.and_then(|text| read(text.as_bytes())).map_err(|reason| Error::KeyFile {
        name: settings.name.clone(),
        file: file.to_owned(),
        reason,
    })
}

/// The index of `sub`; `None` if configuration and claim name different ones.
#[expect(clippy::option_option, reason = "the outer one is a contradiction, the inner one absence")]
fn bound_index(configured: Option<&IndexName>, claimed: Option<&IndexName>) -> Option<Option<IndexName>> {
    match (configured, claimed) {
        (Some(one), Some(other)) if one != other => None,
        (one, other) => Some(one.or(other).cloned()),
    }
}

/// The collections of `scope` that are also in `names`, if there are any.
fn narrowed(scope: &Scope, names: Option<&Vec<CollectionName>>) -> Scope {
    match names {
        None => scope.clone(),
        Some(names) => {
            Scope::Collections(names.iter().filter(|name| scope.opens(name.as_str())).cloned().collect())
        }
    }
}
