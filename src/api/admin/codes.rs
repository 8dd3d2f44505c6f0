//! The table of codes of the admin listener. Each code has a section in `docs/errors.md`.
//!
//! Handlers return an [`Error`](crate::api::http::error::Error) with one of these rows, or use axum's own
//! extractors: [`of_status`] gives the answers of extractors and layers their code and body.

use hyper::StatusCode;

use crate::api::http::error::{INTERNAL, METHOD_NOT_ALLOWED, Refusal, rows};

rows! {
    /// The listener has no such path.
    ROUTE_NOT_FOUND NOT_FOUND "route_not_found":
        "there is nothing at this path of the admin listener; it has /metrics and /status";
    /// The body is no JSON, or not of the form that the route needs.
    INVALID_BODY BAD_REQUEST "invalid_body":
        "the path, query or body is not what this route needs; see the route's description";
    /// The body is too large.
    BODY_TOO_LARGE PAYLOAD_TOO_LARGE "body_too_large": "the body is larger than an admin request may be";
    /// The request took too long.
    REQUEST_TIMEOUT REQUEST_TIMEOUT "request_timeout":
        "the request was not answered in time; it may have taken effect";
}

/// The rows of this listener alone.
pub(in crate::api) const TABLE: &[Refusal] =
    &[ROUTE_NOT_FOUND, INVALID_BODY, BODY_TOO_LARGE, REQUEST_TIMEOUT];

/// The row for an answer of this status that has no body of ours.
pub(in crate::api) fn of_status(status: StatusCode) -> Refusal {
    match status {
        StatusCode::NOT_FOUND => ROUTE_NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED => METHOD_NOT_ALLOWED,
        StatusCode::PAYLOAD_TOO_LARGE => BODY_TOO_LARGE,
        StatusCode::REQUEST_TIMEOUT => REQUEST_TIMEOUT,
        _ if status.is_client_error() => INVALID_BODY,
        _ => INTERNAL,
    }
}
