//! What handlers share of reading requests: bodies, names in paths, limits, idempotency keys, and work that must not
//! end with its request.

use std::{fmt::Display, str::FromStr};

use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use hyper::{HeaderMap, header::HeaderName};
use serde::de::DeserializeOwned;

use super::{codes, gate::Caller};
use crate::{
    admin::{self, RequestKey},
    api::http::error::{Detail, Error, INTERNAL},
    domain::Digest,
};

/// How many items a page has when the request does not say.
const LIMIT_DEFAULT: usize = 50;
/// Most items of a page.
pub(super) const LIMIT_MAX: usize = 1000;
/// Longest idempotency key, in characters.
const IDEMPOTENCY_KEY_CHARACTERS_MAX: usize = 128;
/// The header of idempotency keys.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A refusal because of the request's input, with what to write instead.
pub(in crate::api) fn invalid(message: impl Into<String>) -> Error {
    Error::new(codes::INVALID_INPUT, Detail::Message(message.into()))
}

/// The number of items of a page.
pub(super) fn limit(given: Option<usize>) -> Result<usize, Error> {
    let limit = given.unwrap_or(LIMIT_DEFAULT);
    if (1..=LIMIT_MAX).contains(&limit) {
        Ok(limit)
    } else {
        Err(invalid(format!("limit must be from 1 to {LIMIT_MAX}")))
    }
}

/// A name or id of the path or query.
pub(in crate::api) fn named<T: FromStr<Err: Display>>(what: &str, text: &str) -> Result<T, Error> {
    text.parse().map_err(|error| invalid(format!("{what}: {error}")))
}

/// A body of JSON, with the digest of its bytes. No body is an empty object.
pub(in crate::api) struct Input<T> {
    pub(super) value: T,
    pub(super) digest: Digest,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|rejection| codes::of_status(rejection.status()))?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        // serde reads structs from arrays, too.
        if text.trim_ascii_start().first() != Some(&b'{') {
            return Err(invalid("the body must be a JSON object"));
        }
        let value = serde_json::from_slice(text).map_err(|error| {
            // Other messages may repeat values of the body.
            let message = error.to_string();
            let names_only = ["unknown field", "missing field", "duplicate field", "unknown variant"];
            let is_shown = names_only.iter().any(|begin| message.starts_with(begin));
            let why =
                if is_shown { message } else { "is not JSON of the form that this route needs".to_owned() };
            invalid(format!("the body: {why} (line {}, column {})", error.line(), error.column()))
        })?;
        Ok(Self { value, digest: Digest::of(text) })
    }
}

/// The key of a request that may be sent again; none without the header.
pub(super) fn request_key(
    headers: &HeaderMap,
    caller: &Caller,
    route: &str,
    body: Digest,
) -> Result<Option<RequestKey>, Error> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    // Of two headers it is unclear which one is meant.
    let name = value.to_str().ok().filter(|_| values.next().is_none()).unwrap_or_default();
    request_key_named(name, caller, route, body).map(Some)
}

/// The key `name` of a request that may be sent again.
pub(in crate::api) fn request_key_named(
    name: &str,
    caller: &Caller,
    route: &str,
    body: Digest,
) -> Result<RequestKey, Error> {
    let is_valid = (1..=IDEMPOTENCY_KEY_CHARACTERS_MAX).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !is_valid {
        return Err(invalid(format!(
            "Idempotency-Key must be given once, 1 to {IDEMPOTENCY_KEY_CHARACTERS_MAX} visible ASCII characters"
        )));
    }
    let request = Digest::of(format!("{route} {body}").as_bytes());
    Ok(RequestKey { holder: caller.0.id.clone(), name: name.to_owned(), request })
}

/// Awaits `act`, which goes on when the request ends first: a change is never left half done by a client that leaves.
pub(in crate::api) async fn detached<T: Send + 'static>(
    act: impl Future<Output = Result<T, admin::Error>> + Send + 'static,
) -> Result<T, Error> {
    match tokio::spawn(act).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(INTERNAL.into()),
    }
}

/// All headers of a request.
pub(in crate::api) struct Headers(pub(super) HeaderMap);

impl<S: Sync> FromRequestParts<S> for Headers {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, _: &S) -> Result<Self, Error> {
        Ok(Self(parts.headers.clone()))
    }
}
