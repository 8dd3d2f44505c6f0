//! Signing in at the identity provider: the way there and the way back.

use axum::{
    extract::{Request, State},
    http::request::Parts,
    response::{Html, IntoResponse, Response},
};
use hyper::header::SET_COOKIE;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    answer::{Refused, see},
    form::Parameters,
    sign_in::{page_of, show},
};
use crate::{
    admin::{ProviderAnswer, SIGN_IN_PATH, SignInError},
    api::{
        admin::{AdminState, browser, codes, gate},
        http::error::{Error, INTERNAL},
    },
    console::{self, SignInPage},
};

/// Sends the browser to the identity provider. A page of another site cannot: what it leads to is the page that signs in.
pub(super) async fn begin(
    State(state): State<AdminState>,
    parameters: Parameters,
    request: Request,
) -> Result<Response, Refused> {
    let (head, _) = request.into_parts();
    let next = page_of(parameters.get("next"));
    let provider = state.access.single_sign_on().ok_or(Error::from(codes::ROUTE_NOT_FOUND))?;
    if browser::is_from_elsewhere(&head) {
        return Ok(see(&format!("{SIGN_IN_PATH}?next={}", utf8_percent_encode(next, NON_ALPHANUMERIC))));
    }
    state.publisher()?;
    let address = gate::address(&state, &head)?;
    let begun = match state.access.begin_single_sign_on(next, address).await {
        Ok(begun) => begun.ok_or(Error::from(codes::ROUTE_NOT_FOUND))?,
        Err(error) => return refused(&state, &head, error, next),
    };
    let mut response = see(&begun.url);
    let cookie = browser::set_pending_cookie(provider.is_plain, &begun.cookie, begun.lifetime);
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// Begins a session by what the identity provider sends back. The answer is used up, whatever comes of it.
pub(super) async fn finish(
    State(state): State<AdminState>,
    parameters: Parameters,
    request: Request,
) -> Result<Response, Refused> {
    let (head, _) = request.into_parts();
    let provider = state.access.single_sign_on().ok_or(Error::from(codes::ROUTE_NOT_FOUND))?;
    let (publisher, address) = (state.publisher()?, gate::address(&state, &head)?);
    let text = |name| parameters.get(name).unwrap_or_default().to_owned();
    let answer = ProviderAnswer {
        code: text("code"),
        state: text("state"),
        error: text("error"),
        cookie: browser::pending_cookie(&head).map(str::to_owned),
    };
    let access = state.access.clone();
    // A code that was used must give its session, also to a browser that leaves meanwhile.
    let signed_in =
        tokio::spawn(async move { access.sign_in_by_provider(&publisher, &answer, address).await });
    let mut response = match signed_in.await.map_err(|_| Error::from(INTERNAL))? {
        Ok((session, next)) => {
            let mut response = Html(console::signed_in(page_of(Some(&next)))).into_response();
            let cookie = browser::set_cookie(provider.is_plain, &session);
            response.headers_mut().append(SET_COOKIE, cookie);
            response
        }
        Err(error) => refused(&state, &head, error, console::HOME)?,
    };
    for cookie in browser::clear_pending_cookies() {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The page that signs in, with the reason: the other ways are open.
fn refused(state: &AdminState, head: &Parts, error: SignInError, next: &str) -> Result<Response, Refused> {
    let error = match error {
        SignInError::Failed(error) => Error::from(error),
        SignInError::Refused(refusal) => return Err(gate::not_now(refusal).into()),
    };
    let (code, message) = (error.code(), error.message());
    let page = SignInPage { next, refusal: Some((code.code, &message)), ..SignInPage::default() };
    let mut response = show(state, head, page);
    *response.status_mut() = code.status;
    Ok(response)
}
