//! Access tokens (JWT, RFC 7519) of configured issuers, for callers that cannot keep a key: browsers and apps.
//!
//! Nothing in a token chooses how it is checked. The issuer's configuration has its algorithms and keys; of the header
//! only `alg` and `kid` are read, and `jku`, `x5u`, `x5c` and `jwk` are not looked at.

mod cache;
mod claims;
mod error;
mod fetch;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod issuer;
mod key_set;
mod mint;
mod settings;

use std::sync::Arc;

pub(crate) use self::settings::read_all;
use self::{cache::VerifiedTokens, claims::ParsedToken, issuer::Issuer};
pub use self::{
    claims::Binding,
    error::Error,
    fetch::RefreshPace,
    mint::{NewToken, mint},
    settings::{KeySource, TokenSettings},
};
use super::{Grant, Refusal};
use crate::{domain::digest::Digest, support::clock::Clock};

/// Largest token, in bytes: a header line of it fits in what most proxies accept.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// The issuers of a node, and the tokens that were verified. Cheap to clone; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Tokens(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    issuers: Vec<Issuer>,
    verified: VerifiedTokens,
}

/// A token that was verified, and what it opens.
#[derive(Debug)]
pub struct VerifiedToken {
    grant: Grant,
    /// Seconds since 1970, with the leeway.
    valid_from: f64,
    valid_until: f64,
    /// The position of its issuer, and the generation of the issuer's keys that verified it.
    issuer: usize,
    generation: u64,
}

impl VerifiedToken {
    /// What the token opens.
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    fn check_time(&self, now: f64) -> Result<(), Refusal> {
        match () {
            () if now >= self.valid_until => Err(Refusal::TokenExpired),
            () if now < self.valid_from => Err(Refusal::TokenNotYetValid),
            () => Ok(()),
        }
    }
}

impl Tokens {
    /// Opens the issuers and reads their key files. Blocks.
    pub fn open(settings: &[TokenSettings]) -> Result<Self, Error> {
        let issuers = settings.iter().map(Issuer::open).collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(Inner { issuers, verified: VerifiedTokens::default() })))
    }

    /// Whether no issuer is configured.
    pub fn is_empty(&self) -> bool {
        self.0.issuers.is_empty()
    }

    /// Verifies `token`, unless that was done before. Signatures of known tokens are not verified again while the
    /// issuer's keys stay the same.
    pub fn verify(&self, token: &str, clock: &Clock) -> Result<Arc<VerifiedToken>, Refusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::TokenInvalid);
        }
        let Inner { issuers, verified } = &*self.0;
        let now = clock.now().timestamp_millis() as f64 / 1000.0;
        let digest = Digest::of(token.as_bytes());
        if let Some(known) = verified.get(&digest)
            && issuers[known.issuer].generation() == known.generation
        {
            return known.check_time(now).map(|()| known);
        }
        let parsed = ParsedToken::parse(token).ok_or(Refusal::TokenInvalid)?;
        let issuer =
            issuers.iter().position(|issuer| issuer.is_issuer_of(&parsed)).ok_or(Refusal::TokenInvalid)?;
        let token = Arc::new(issuers[issuer].verify(&parsed, issuer, now)?);
        token.check_time(now)?;
        verified.insert(digest, Arc::clone(&token));
        Ok(token)
    }
}
