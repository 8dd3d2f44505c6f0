//! The admin listener: its state, caller, table of codes, and the handlers but those of metrics and status, which
//! are in `ops`.
//!
//! A handler is an axum function with `#[utoipa::path]` and one line in `router.rs`. It takes what it needs as
//! arguments: [`Publishing`] for use cases, `Query`, `Path` or `Json` for input. It
//! returns `Result<_, Error>`: `?` turns the error of a use case into an answer ([`codes`]).

pub(super) mod codes;
pub(super) mod runs;
mod state;

use axum::{extract::FromRequestParts, http::request::Parts};

pub use state::AdminState;
use state::Publishing;

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
