//! Answers for browsers: pages, redirects, and refusals as pages.

use axum::{
    http::request::Parts,
    response::{Html, IntoResponse, Response},
};
use hyper::{
    StatusCode,
    header::{LOCATION, SET_COOKIE},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    admin::{self, SIGN_IN_PATH},
    api::{
        admin::{browser, codes},
        http::error::Error,
    },
    console,
};

/// A refusal, as a page.
#[derive(Debug)]
pub(super) struct Refused(pub(super) Error);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<admin::Error> for Refused {
    fn from(error: admin::Error) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let page = Html(console::refusal(error.code().code, &error.message()));
        let mut response = (error.code().status, page).into_response();
        error.add_demanded(response.headers_mut());
        response
    }
}

/// Sends the browser to `path` of this listener.
pub(super) fn see(path: &str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, path)]).into_response()
}

/// The answer to a request that its session, or the lack of one, does not allow: those that only read go to the page
/// that signs in.
pub(super) fn refuse(head: &Parts, error: Error) -> Response {
    let refused = error.code();
    let has_ended = refused == codes::SESSION_ENDED;
    let is_signed_out = has_ended || refused == codes::ADMIN_KEY_MISSING;
    let mut response = if head.method.is_safe() && is_signed_out {
        let target = head.uri.path_and_query().map_or(console::HOME, |target| target.as_str());
        see(&format!("{SIGN_IN_PATH}?next={}", utf8_percent_encode(target, NON_ALPHANUMERIC)))
    } else if is_signed_out {
        (refused.status, Html(console::form_without_session())).into_response()
    } else {
        Refused(error).into_response()
    };
    if has_ended {
        forget_session(&mut response);
    }
    response
}

/// Takes the cookie of the session from the browser.
pub(super) fn forget_session(response: &mut Response) {
    for cookie in browser::clear_cookies() {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}
