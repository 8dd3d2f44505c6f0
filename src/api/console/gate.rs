//! The one place where requests for pages are admitted, and what every page tells the browser.

use axum::{
    extract::{MatchedPath, Request, State},
    http::request::Parts,
    middleware::Next,
    response::Response,
};
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

use super::{
    answer::{Refused, refuse},
    routes,
};
use crate::{
    api::{
        admin::{
            AdminState, browser, codes,
            gate::{self, Caller},
        },
        http::error::{Error, NO_STORE},
    },
    console,
};

/// Admits a request for a page: one that needs no session, or one in a session with the role that the page needs.
/// Requests that change something come from a page of this listener, also those that begin a session.
pub(super) async fn admit(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    let response = match check(&state, &head).await {
        Ok(caller) => {
            if let Some(caller) = caller {
                head.extensions.insert(caller);
            }
            next.run(Request::from_parts(head, body)).await
        }
        Err(error) => refuse(&head, error),
    };
    with_policy(response)
}

async fn check(state: &AdminState, head: &Parts) -> Result<Option<Caller>, Error> {
    let path = head.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
    let Some(role) = routes::need(path, &head.method) else {
        let is_allowed = head.method.is_safe() || browser::is_same_origin(head);
        return if is_allowed { Ok(None) } else { Err(codes::CROSS_SITE_REQUEST.into()) };
    };
    let cookie = browser::session_cookie(head).ok_or(codes::ADMIN_KEY_MISSING)?;
    gate::in_session(state, head, cookie).await?.with_role(role).map(Some)
}

/// Adds what browsers must do with an answer, unless it says so itself.
fn with_policy(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(console::CONTENT_SECURITY_POLICY));
    // Nothing goes to other sites. With `no-referrer`, the `Origin` of the forms themselves would be null.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(CACHE_CONTROL).or_insert(NO_STORE);
    response
}

/// The answer for a path of the console at which there is nothing.
pub(super) async fn not_found() -> Refused {
    Refused(codes::ROUTE_NOT_FOUND.into())
}
