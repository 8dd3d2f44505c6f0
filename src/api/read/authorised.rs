//! The check of a request's key. A handler takes [`Authorised`], which only the check can make, so
//! that it cannot forget it.

use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
};

use crate::{
    api::{codes::Code, error::Error},
    auth::{self, KeyRing, Principal, SCRATCH_BYTES},
    support::clock::Clock,
};

/// The header of a key alone.
pub(in crate::api) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Proof that the request carries a key in force.
#[derive(Debug)]
pub(super) struct Authorised(Principal);

impl Authorised {
    /// Checks the credential that `headers` carry.
    pub(super) fn check(headers: &HeaderMap, keys: &KeyRing, clock: &Clock) -> Result<Self, Error> {
        let mut scratch = [0; SCRATCH_BYTES];
        let (authorization, api_key) = (single(headers, &AUTHORIZATION)?, single(headers, &API_KEY)?);
        let credential = auth::credential(authorization, api_key, &mut scratch)?;
        Ok(Self(keys.authenticate(credential, clock)?))
    }

    /// Counts the request under its key, and refuses it when there were too many.
    pub(super) fn count(&self) -> Result<(), Error> {
        self.0.count().map_err(Error::too_many)
    }

    /// Refuses a collection that the key does not open.
    pub(super) fn open(&self, collection: &str) -> Result<(), Error> {
        if self.0.opens(collection) { Ok(()) } else { Err(Code::Forbidden.into()) }
    }

    /// What the holder is told of a collection that does not exist: only a key for all
    /// collections may learn which do.
    pub(super) fn no_such_collection(&self) -> Error {
        if self.0.opens_everything() { Code::CollectionNotFound } else { Code::Forbidden }.into()
    }
}

/// The value of a header that stands once or not at all. Of two credentials nobody can say which one
/// was meant, or which one a proxy before us had checked.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, Error> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(HeaderValue::as_bytes);
    if values.next().is_some() { Err(Code::KeyMalformed.into()) } else { Ok(value) }
}
