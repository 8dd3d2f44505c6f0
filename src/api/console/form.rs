//! Reading forms and queries.

use std::convert::Infallible;

use axum::{
    body::{Body, to_bytes},
    extract::{FromRequest, FromRequestParts, Request},
    http::request::Parts,
};
use serde::Deserialize;

use super::answer::Refused;
use crate::{
    admin::RequestKey,
    api::{
        admin::{codes, gate::Caller, input},
        http::error::Error,
    },
    console::{Done, Fields, REQUEST},
    domain::Digest,
};

/// Largest form, in bytes: a key with as many names and fields as it may have.
const FORM_BYTES_MAX: usize = 512 * 1024;

/// Where a list goes on.
#[derive(Debug, Deserialize)]
pub(super) struct Cursor {
    pub(super) cursor: Option<String>,
}

/// A form that a browser has sent.
pub(super) struct Sent {
    pub(super) fields: Fields,
    digest: Digest,
}

/// The form in a body.
pub(super) async fn read(body: Body) -> Result<Sent, Refused> {
    let bytes = to_bytes(body, FORM_BYTES_MAX).await.map_err(|_| Error::from(codes::BODY_TOO_LARGE))?;
    Ok(Sent { fields: Fields::parse(&bytes), digest: Digest::of(&bytes) })
}

impl<S: Sync> FromRequest<S> for Sent {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refused> {
        read(request.into_body()).await
    }
}

impl Sent {
    /// The key of the form in its hidden field: a page that is loaded again sends the form again, and changes nothing.
    pub(super) fn request_key(&self, caller: &Caller, route: &str) -> Result<RequestKey, Error> {
        input::request_key_named(self.fields.text(REQUEST), caller, route, self.digest)
    }
}

/// The parameters of a page. Those that it does not know are ignored: a shared link never becomes wrong.
pub(super) struct Parameters(Fields);

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Infallible;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(Fields::parse(head.uri.query().unwrap_or_default().as_bytes())))
    }
}

impl Parameters {
    /// The value of a parameter that was given.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        Some(self.0.text(name)).filter(|value| !value.is_empty())
    }

    /// Where the page of a list begins.
    pub(super) fn cursor(&self) -> Option<&str> {
        self.get("cursor")
    }

    /// What a form has done before this page.
    pub(super) fn done(&self) -> Option<Done> {
        self.get(Done::PARAMETER)?.parse().ok()
    }
}
