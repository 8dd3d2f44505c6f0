//! The check of a request's API key. The handler needs an [`Authorised`], which only the check can make.

use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
};

use super::codes::Code;
use crate::{
    api::http::error::{Detail, Error},
    auth::{self, KeyRing, SCRATCH_BYTES, ValidKey},
    support::clock::Clock,
};

/// The header that holds only a key.
pub(in crate::api) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Proof that the request carries a valid key.
#[derive(Debug)]
pub(super) struct Authorised(ValidKey);

impl Authorised {
    /// Checks the credential in `headers`.
    pub(super) fn check(headers: &HeaderMap, keys: &KeyRing, clock: &Clock) -> Result<Self, Code> {
        let mut scratch = [0; SCRATCH_BYTES];
        let (authorization, api_key) = (single(headers, &AUTHORIZATION)?, single(headers, &API_KEY)?);
        let credential = auth::credential(authorization, api_key, &mut scratch)?;
        Ok(Self(keys.authenticate(credential, clock)?))
    }

    /// Counts the request against the key's rate limit.
    pub(super) fn count(&self) -> Result<(), Error<Code>> {
        self.0.count().map_err(|wait| {
            let seconds = wait.as_millis().div_ceil(1000).max(1) as u64;
            Error::new(Code::TooManyRequests, Detail::RetryAfter(seconds))
        })
    }

    /// Refuses a collection that the key does not open.
    pub(super) fn open(&self, collection: &str) -> Result<(), Code> {
        if self.0.opens(collection) { Ok(()) } else { Err(Code::Forbidden) }
    }

    /// The refusal for a collection that does not exist: only a key for all collections may learn which
    /// ones exist.
    pub(super) fn no_such_collection(&self) -> Code {
        if self.0.opens_everything() { Code::CollectionNotFound } else { Code::Forbidden }
    }
}

/// The value of a header that may occur once. With two credentials it is unclear which one is meant, and
/// which one a proxy before us has checked.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, Code> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(HeaderValue::as_bytes);
    if values.next().is_some() { Err(Code::KeyMalformed) } else { Ok(value) }
}
