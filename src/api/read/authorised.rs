//! The check of a request's credential. The handler needs an [`Authorised`], which only the check can make.

use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
};

use super::codes::Code;
use crate::{
    api::http::{
        error::{Detail, Error},
        layers::Arrival,
    },
    auth::{self, Authenticator, Caller, CollectionGrant, SCRATCH_BYTES},
    domain::fields::FieldSelection,
    support::clock::Clock,
};

/// The header that holds only a key.
pub(in crate::api) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// The addresses that a request came by, as proxies write them.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Proof that the request carries a valid credential, from an address that it may be used from.
#[derive(Debug)]
pub(super) struct Authorised(Caller);

impl Authorised {
    /// Checks the credential in `headers`, and where the request comes from.
    pub(super) fn check(
        headers: &HeaderMap,
        arrival: &Arrival,
        callers: &Authenticator,
        clock: &Clock,
    ) -> Result<Self, Code> {
        let mut scratch = [0; SCRATCH_BYTES];
        let (authorization, api_key) = (single(headers, &AUTHORIZATION)?, single(headers, &API_KEY)?);
        let credential = auth::credential(authorization, api_key, &mut scratch)?;
        let caller = callers.authenticate(credential, clock)?;
        if !caller.is_allowed_everywhere() {
            let forwarded = headers.get_all(FORWARDED_FOR).iter().map(HeaderValue::as_bytes);
            if !caller.is_allowed_from(callers.client_address(arrival.peer, forwarded)) {
                return Err(Code::NetworkNotAllowed);
            }
        }
        Ok(Self(caller))
    }

    /// Counts the request against the caller's rate limit. Returns whether it is over the limit and is to be answered
    /// like a miss.
    pub(super) fn count(&self) -> Result<bool, Error<Code>> {
        match self.0.count() {
            Ok(()) => Ok(false),
            Err(_) if self.0.never_gets_throttle_status() => Ok(true),
            Err(wait) => {
                let seconds = wait.as_millis().div_ceil(1000).max(1) as u64;
                Err(Error::new(Code::TooManyRequests, Detail::RetryAfter(seconds)))
            }
        }
    }

    /// Refuses a collection or an index that the caller does not open.
    pub(super) fn open(&self, collection: &str, index: &str) -> Result<(), Code> {
        let grant = self.0.grant().collection(collection);
        if grant.is_some_and(|grant| grant.allows_index(index)) { Ok(()) } else { Err(Code::Forbidden) }
    }

    /// What the caller may read in the collection that [`Authorised::open`] opened.
    pub(super) fn rights(&self, collection: &str) -> &CollectionGrant {
        self.0.grant().rights(collection)
    }

    /// The fields that the caller may read of records that others include from `collection`, `None` within for all;
    /// `None` if it may read none of them.
    #[expect(clippy::option_option, reason = "the outer one is access, the inner one a limit")]
    pub(super) fn included(&self, collection: &str) -> Option<Option<&FieldSelection>> {
        self.0.grant().included(collection).map(CollectionGrant::fields)
    }

    /// The refusal for a collection that does not exist: only a caller that opens all collections may learn which
    /// ones exist.
    pub(super) fn no_such_collection(&self) -> Code {
        if self.0.grant().opens_everything() { Code::CollectionNotFound } else { Code::Forbidden }
    }
}

/// The value of a header that may occur once. With two credentials it is unclear which one is meant, and
/// which one a proxy before us has checked.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, Code> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(HeaderValue::as_bytes);
    if values.next().is_some() { Err(Code::KeyMalformed) } else { Ok(value) }
}
