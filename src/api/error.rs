//! Refusals, and the one place where they become answers.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE},
};

use super::{
    codes::Code,
    reply::Whole,
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
/// The methods that every path of both listeners answers.
pub(super) const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");

/// Why a request gets no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    code: Code,
    /// Names, never values, that make the message concrete.
    regions: Option<Arc<[RegionName]>>,
}

impl Error {
    /// The collection is served in `regions` only.
    pub fn in_other_region(regions: Arc<[RegionName]>) -> Self {
        Self { code: Code::CollectionInOtherRegion, regions: Some(regions) }
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
            500.. => ErrorKind::Internal,
            _ => ErrorKind::Invalid,
        }
    }

    /// The answer: status, headers that the status demands, one JSON object.
    pub(super) fn respond(&self, id: &RequestId) -> Whole {
        let mut response = Response::new(Full::new(self.body(id)));
        *response.status_mut() = self.code.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(CACHE_CONTROL, NO_STORE);
        headers.insert(request_id::HEADER, id.header());
        self.add_demanded(headers);
        response
    }

    fn add_demanded(&self, headers: &mut HeaderMap) {
        match self.code.status().as_u16() {
            401 => headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            405 => headers.insert(ALLOW, METHODS),
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
        let Some(regions) = &self.regions else { return self.code.message().to_owned() };
        let names: Vec<&str> = regions.iter().map(RegionName::as_str).collect();
        format!("{}; these do: {}", self.code.message(), names.join(", "))
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self { code, regions: None }
    }
}

impl From<auth::Refusal> for Error {
    fn from(refusal: auth::Refusal) -> Self {
        Code::from(refusal).into()
    }
}
