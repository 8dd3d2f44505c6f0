//! Refusals, and the one place where they become answers.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::{
    Response,
    header::{
        ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
    },
};

use super::{
    codes::Code,
    reply::Body,
    request_id::{self, RequestId},
};
use crate::{
    auth,
    domain::{error::ErrorKind, json, name::RegionName},
};

/// `Content-Type` of every JSON answer.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
/// `Cache-Control` of refusals: what is missing now may be there in a second.
pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("private, no-store");
/// The methods that most paths of both listeners answer, as `Allow` names them.
pub(super) const METHODS: &str = "GET, HEAD";

/// Why a request gets no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    code: Code,
    detail: Detail,
}

/// Names, never values, that make a refusal concrete.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Detail {
    None,
    /// Where the collection is served.
    Regions(Arc<[RegionName]>),
    /// The methods that the path answers.
    Methods(&'static str),
    /// The paths that there are.
    Paths(&'static str),
    /// Seconds to wait.
    Wait(u64),
}

impl Error {
    /// The collection is served in `regions` only.
    pub fn in_other_region(regions: Arc<[RegionName]>) -> Self {
        Self { code: Code::CollectionInOtherRegion, detail: Detail::Regions(regions) }
    }

    /// The key may ask again after `wait`.
    pub(super) fn too_many(wait: Duration) -> Self {
        Self {
            code: Code::TooManyRequests,
            detail: Detail::Wait(wait.as_millis().div_ceil(1000).max(1) as u64),
        }
    }

    /// The path answers `methods` only.
    pub(super) const fn method_not_allowed(methods: &'static str) -> Self {
        Self { code: Code::MethodNotAllowed, detail: Detail::Methods(methods) }
    }

    /// There is nothing at the path; there is at `paths`, in words.
    pub(super) const fn no_route_but(paths: &'static str) -> Self {
        Self { code: Code::RouteNotFound, detail: Detail::Paths(paths) }
    }

    /// The code.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// What the error means to whoever meets it.
    pub fn kind(&self) -> ErrorKind {
        match self.code.status().as_u16() {
            401 => ErrorKind::Unauthenticated,
            403 => ErrorKind::Forbidden,
            404 => ErrorKind::NotFound,
            429 | 503 => ErrorKind::Unavailable,
            500.. => ErrorKind::Internal,
            _ => ErrorKind::Invalid,
        }
    }

    /// The answer, as a body that hyper sends.
    pub(super) fn respond(&self, id: &RequestId) -> Response<Body> {
        self.answer(id).map(Body::from)
    }

    /// The answer: status, headers that the status demands, one JSON object.
    pub(super) fn answer(&self, id: &RequestId) -> Response<Bytes> {
        let mut response = Response::new(self.body(id));
        *response.status_mut() = self.code.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(CACHE_CONTROL, NO_STORE);
        headers.insert(request_id::HEADER, id.header());
        self.add_demanded(headers);
        response
    }

    fn add_demanded(&self, headers: &mut HeaderMap) {
        // Where the body ends is not known, or not awaited any longer: nothing can follow it on HTTP/1.
        if matches!(self.code, Code::BodyIncomplete | Code::InvalidRequest) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        match self.code.status().as_u16() {
            401 => headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            405 => {
                let methods = if let Detail::Methods(methods) = self.detail { methods } else { METHODS };
                headers.insert(ALLOW, HeaderValue::from_static(methods))
            }
            429 => {
                let seconds = if let Detail::Wait(seconds) = self.detail { seconds } else { 1 };
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds))
            }
            _ => None,
        };
    }

    fn body(&self, id: &RequestId) -> Bytes {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(b"{\"error\":{\"code\":");
        json::write_string(&mut out, self.code.as_str().as_bytes());
        out.extend_from_slice(b",\"message\":");
        json::write_string(&mut out, self.message().as_bytes());
        out.extend_from_slice(b",\"request_id\":");
        json::write_string(&mut out, id.as_str().as_bytes());
        out.extend_from_slice(b"}}");
        out.into()
    }

    fn message(&self) -> String {
        match &self.detail {
            Detail::None | Detail::Methods(_) | Detail::Wait(_) => self.code.message().to_owned(),
            Detail::Regions(regions) => {
                let names: Vec<&str> = regions.iter().map(RegionName::as_str).collect();
                format!("{}; these do: {}", self.code.message(), names.join(", "))
            }
            Detail::Paths(paths) => format!("there is nothing at this path of this listener; it has {paths}"),
        }
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self { code, detail: Detail::None }
    }
}

impl From<auth::Refusal> for Error {
    fn from(refusal: auth::Refusal) -> Self {
        Code::from(refusal).into()
    }
}
