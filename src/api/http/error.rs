//! Refusals, and the one place where they become answers.
//!
//! A [`Refusal`] is a row of a table of codes. Each listener has its own table (`read/codes.rs`,
//! `admin/codes.rs`); the rows below are in both.

use std::{borrow::Cow, sync::Arc};

use axum::response::IntoResponse;
use bytes::Bytes;
use hyper::{
    Response, StatusCode,
    header::{
        ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
    },
};

use super::{
    answer::Body,
    request_id::{self, RequestId},
};
use crate::domain::{RegionName, json};

/// `Content-Type` of every JSON answer.
pub(in crate::api) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
/// `Cache-Control` of refusals: a missing record may exist a second later.
pub(in crate::api) const NO_STORE: HeaderValue = HeaderValue::from_static("private, no-store");
/// The methods of a path that is only read, as `Allow` names them.
pub(in crate::api) const METHODS: &str = "GET, HEAD";

/// One row of a table of codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) struct Refusal {
    /// The stable word in bodies, metrics and `docs/errors.md`.
    pub(in crate::api) code: &'static str,
    /// The status of the answer.
    pub(in crate::api) status: StatusCode,
    /// What happened and what to do.
    pub(in crate::api) message: &'static str,
}

impl Refusal {
    /// A row of a table of codes.
    pub(in crate::api) const fn new(code: &'static str, status: StatusCode, message: &'static str) -> Self {
        Self { code, status, message }
    }
}

/// Declares rows: `/// Doc` `NAME STATUS "word": "message";`.
macro_rules! rows {
    ($(#[$table_doc:meta])* $table:ident = [
        $($(#[$doc:meta])* $name:ident $status:ident $word:literal: $message:literal;)+
    ]) => {
        $(#[$table_doc])*
        pub(in crate::api) const $table: &[Refusal] = &[$($name),+];
        rows! { $($(#[$doc])* $name $status $word: $message;)+ }
    };
    ($($(#[$doc:meta])* $name:ident $status:ident $word:literal: $message:literal;)+) => {
        $($(#[$doc])*
        pub(in crate::api) const $name: Refusal = Refusal::new($word, StatusCode::$status, $message);)+
    };
}
pub(in crate::api) use rows;

rows! {
    /// The path exists, the method does not.
    METHOD_NOT_ALLOWED METHOD_NOT_ALLOWED "method_not_allowed":
        "this path does not support this method; see the Allow header for those it supports";
    /// The headers together are too large.
    HEADERS_TOO_LARGE REQUEST_HEADER_FIELDS_TOO_LARGE "headers_too_large":
        "the request headers together are larger than 32768 bytes";
    /// The request target is too long.
    PATH_TOO_LONG URI_TOO_LONG "path_too_long": "the path and query of the request are longer than 8192 bytes";
    /// A request whose end is uncertain.
    INVALID_REQUEST BAD_REQUEST "invalid_request": "the request is not valid HTTP; the connection is closed";
    /// A request without exactly one valid host.
    HOST_INVALID BAD_REQUEST "invalid_request":
        "a request needs exactly one Host header with a valid host (RFC 9112, 3.2); the connection is closed";
    /// A bug.
    INTERNAL INTERNAL_SERVER_ERROR "internal":
        "internal error; see the server log at the time of this request";
}

/// A refusal and the names that make it concrete. `C` is a row, or a code of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) struct Error<C = Refusal> {
    code: C,
    detail: Detail,
}

/// Names and numbers, never values of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) enum Detail {
    /// Nothing.
    None,
    /// The regions that serve the collection.
    Regions(Arc<[RegionName]>),
    /// The methods that the path supports.
    Methods(HeaderValue),
    /// Seconds after which the caller may ask again.
    RetryAfter(u64),
    /// The message in place of the row's.
    Message(String),
}

impl<C: Copy + Into<Refusal>> Error<C> {
    /// `code`, made concrete by `detail`.
    pub(in crate::api) const fn new(code: C, detail: Detail) -> Self {
        Self { code, detail }
    }

    /// The code.
    pub(in crate::api) const fn code(&self) -> C {
        self.code
    }

    /// The answer: status, the headers that the status demands, and one JSON object.
    pub(in crate::api) fn respond(&self, id: &RequestId) -> Response<Body> {
        let refusal: Refusal = self.code.into();
        let mut response = Response::new(Body::from(self.body(refusal, id)));
        *response.status_mut() = refusal.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(CACHE_CONTROL, NO_STORE);
        headers.insert(request_id::HEADER, id.header());
        self.add_demanded(headers);
        response
    }

    /// What happened and what to do, for people.
    pub(in crate::api) fn message(&self) -> Cow<'_, str> {
        let refusal: Refusal = self.code.into();
        match &self.detail {
            Detail::Regions(regions) => {
                let names: Vec<&str> = regions.iter().map(RegionName::as_str).collect();
                format!("{}; served in: {}", refusal.message, names.join(", ")).into()
            }
            Detail::Message(message) => message.into(),
            _ => refusal.message.into(),
        }
    }

    /// Adds the headers that the status demands.
    pub(in crate::api) fn add_demanded(&self, headers: &mut HeaderMap) {
        let refusal: Refusal = self.code.into();
        // The end of the body is unknown, or is not awaited any longer: nothing can follow it on HTTP/1.
        if matches!(refusal.code, "body_incomplete" | "invalid_request") {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        match (refusal.status, &self.detail) {
            (StatusCode::UNAUTHORIZED, _) => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            (StatusCode::METHOD_NOT_ALLOWED, Detail::Methods(methods)) => {
                headers.insert(ALLOW, methods.clone());
            }
            (_, Detail::RetryAfter(seconds)) => _ = headers.insert(RETRY_AFTER, HeaderValue::from(*seconds)),
            _ => {}
        }
    }

    fn body(&self, refusal: Refusal, id: &RequestId) -> Bytes {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(b"{\"error\":{\"code\":");
        json::write_string(&mut out, refusal.code.as_bytes());
        out.extend_from_slice(b",\"message\":");
        json::write_string(&mut out, self.message().as_bytes());
        out.extend_from_slice(b",\"request_id\":");
        json::write_string(&mut out, id.as_str().as_bytes());
        out.extend_from_slice(b"}}");
        out.into()
    }
}

impl<C: Copy + Into<Refusal>> From<C> for Error<C> {
    fn from(code: C) -> Self {
        Self::new(code, Detail::None)
    }
}

/// For handlers of the router: `router.rs` gives the answer its body and its request id.
impl IntoResponse for Error {
    fn into_response(self) -> axum::response::Response {
        let mut response = self.code.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
