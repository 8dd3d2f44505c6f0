//! The table of codes of the admin listener. Each code has a section in `docs/errors.md`.
//!
//! Handlers return an [`Error`] with one of these rows or with the error of a use case, or use axum's own
//! extractors: [`of_status`] gives the answers of extractors and layers their code and body.

use hyper::StatusCode;

use crate::{
    admin,
    api::http::error::{Detail, Error, INTERNAL, METHOD_NOT_ALLOWED, Refusal, rows},
    domain::ErrorKind,
};

rows! {
    /// The rows of this listener alone.
    TABLE = [
        /// No credential.
        ADMIN_KEY_MISSING UNAUTHORIZED "admin_key_missing":
            "the request carries no admin key; send one as `Authorization: Bearer lra_...`";
        /// No key of this deployment, or a revoked one.
        ADMIN_KEY_UNKNOWN UNAUTHORIZED "admin_key_unknown":
            "the credential is no admin key of this deployment, or a revoked one";
        /// An expired key.
        ADMIN_KEY_EXPIRED UNAUTHORIZED "admin_key_expired": "the admin key has expired; ask for a new one";
        /// An ended session.
        SESSION_ENDED UNAUTHORIZED "session_ended":
            "the session of this browser has ended; sign in again at /console/sign-in";
        /// A request of another site.
        CROSS_SITE_REQUEST FORBIDDEN "cross_site_request":
            "in a session, only pages of this listener may change something, and this request comes from elsewhere";
        /// The role does not allow it.
        ROLE_FORBIDDEN FORBIDDEN "role_forbidden": "the role of the admin key does not allow this request";
        /// Too many failures from one address.
        TOO_MANY_SIGN_INS TOO_MANY_REQUESTS "too_many_sign_ins":
            "too many refused admin keys came from this address; wait for the seconds in Retry-After";
        /// No keys are known yet.
        ADMIN_KEYS_UNREAD SERVICE_UNAVAILABLE "admin_keys_unread":
            "this node has not read the admin keys from the metadata database yet; try again later";
        /// The listener has no such path.
        ROUTE_NOT_FOUND NOT_FOUND "route_not_found":
            "there is nothing at this path of the admin listener; docs/admin-api.md lists its paths";
        /// The state is another one than the client has seen.
        PRECONDITION_FAILED PRECONDITION_FAILED "precondition_failed":
            "it was changed since: its state is not the one that If-Match names; read it again";
        /// The path, query or body is not of the form that the route needs.
        INVALID_INPUT BAD_REQUEST "invalid_input":
            "the path, query or body is not what this route needs; see the route's description";
        /// The body is too large.
        BODY_TOO_LARGE PAYLOAD_TOO_LARGE "body_too_large": "the body is larger than an admin request may be";
        /// Too many clients watch the events.
        TOO_MANY_WATCHERS SERVICE_UNAVAILABLE "too_many_watchers":
            "too many clients watch the events of this node already; end one of them";
        /// The request took too long.
        REQUEST_TIMEOUT REQUEST_TIMEOUT "request_timeout":
            "the request was not answered in time; it may have taken effect";
        /// The route needs a publisher.
        NO_METADATA NOT_FOUND "no_metadata":
            "this node does not publish, so it has no metadata database; send the request to a publisher";
        /// The route needs the publishing side.
        PUBLISHER_NOT_UP SERVICE_UNAVAILABLE "publisher_not_up":
            "the publishing side of this node is not up; `publisher.problem` in GET /status says why";
    ]
}

/// The error of a use case: its code and message, and the status of its kind.
impl From<admin::Error> for Error {
    fn from(error: admin::Error) -> Self {
        if error.code() == PRECONDITION_FAILED.code {
            return PRECONDITION_FAILED.into();
        }
        let status = match error.kind() {
            // The request names what the source reads: another one would be answered.
            _ if ["source_answer_malformed", "source_query_failed"].contains(&error.code()) => {
                StatusCode::BAD_REQUEST
            }
            ErrorKind::Invalid => StatusCode::BAD_REQUEST,
            ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
            ErrorKind::Forbidden => StatusCode::FORBIDDEN,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Corrupt | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let refusal = Refusal::new(error.code(), status, INTERNAL.message);
        Self::new(refusal, Detail::Message(error.text()))
    }
}

/// The row for an answer of this status that has no body of ours.
pub(in crate::api) fn of_status(status: StatusCode) -> Refusal {
    match status {
        StatusCode::NOT_FOUND => ROUTE_NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED => METHOD_NOT_ALLOWED,
        StatusCode::PAYLOAD_TOO_LARGE => BODY_TOO_LARGE,
        StatusCode::REQUEST_TIMEOUT => REQUEST_TIMEOUT,
        _ if status.is_client_error() => INVALID_INPUT,
        _ => INTERNAL,
    }
}
