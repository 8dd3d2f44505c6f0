//! The caller and the table of codes of the admin listener. A route is a handler and one line in
//! `router.rs`.

pub(super) mod codes;

use axum::{extract::FromRequestParts, http::request::Parts};

use super::http::error::Error;

/// Proof that the caller may use the admin listener. `router.rs` demands it for every route, so that no
/// handler can forget the check. A handler that changes something takes it as an argument and makes its
/// [`Principal`](crate::admin::Principal) from it.
///
/// Every client that reaches the listener may use it: the listener is bound to a private address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller;

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Error;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Error> {
        Ok(Self)
    }
}
