//! Beginning and ending a session.

use axum::{
    extract::{Path, Query, Request, State},
    http::request::Parts,
    response::{Html, IntoResponse, Response},
};
use hyper::{StatusCode, header::SET_COOKIE};
use serde::Deserialize;

use super::{
    answer::{Refused, forget_session, see},
    form,
};
use crate::{
    admin::{self, AccessRefusal, SIGN_IN_PATH, SignIn, SignInError},
    api::{
        admin::{
            AdminState, browser, codes,
            gate::{self, Caller},
            input::detached,
        },
        http::error::{Error, INTERNAL},
    },
    console::{self, SignInPage},
};

/// Where to go after signing in.
#[derive(Debug, Deserialize)]
pub(super) struct Next {
    next: Option<String>,
}

/// `next` if it is a page of the console, else the first page. A link must not send a browser to another site.
pub(super) fn page_of(next: Option<&str>) -> &str {
    let is_page = |next: &&str| {
        let rest = next.strip_prefix(console::HOME);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
            && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
            && !next.starts_with(SIGN_IN_PATH)
    };
    next.filter(is_page).unwrap_or(console::HOME)
}

/// The form for an admin key. Who is signed in goes on.
pub(super) async fn show_form(
    State(state): State<AdminState>,
    Query(query): Query<Next>,
    request: Request,
) -> Response {
    let (head, _) = request.into_parts();
    let next = page_of(query.next.as_deref());
    let mut has_ended = false;
    if let Some(cookie) = browser::session_cookie(&head) {
        match gate::in_session(&state, &head, cookie).await {
            Ok(_) => return see(next),
            Err(error) => has_ended = error.code() == codes::SESSION_ENDED,
        }
    } else if browser::is_from_elsewhere(&head) {
        return Html(console::reload()).into_response();
    }
    let mut response = show(&state, &head, SignInPage { next, ..SignInPage::default() });
    if has_ended {
        forget_session(&mut response);
    }
    response
}

/// The form that uses a link.
pub(super) async fn show_link(
    State(state): State<AdminState>,
    Path(token): Path<String>,
    request: Request,
) -> Response {
    let page = SignInPage { token: Some(&token), next: console::HOME, ..SignInPage::default() };
    show(&state, &request.into_parts().0, page)
}

/// The page, or why this node has no sessions at present.
pub(super) fn show(state: &AdminState, head: &Parts, page: SignInPage<'_>) -> Response {
    let single_sign_on = state.access.single_sign_on();
    let is_insecure = browser::is_insecure(head);
    let page = SignInPage { is_insecure, single_sign_on: single_sign_on.as_ref(), ..page };
    match state.publisher() {
        Ok(_) => Html(page.render()).into_response(),
        Err(error) => {
            let unavailable = Some(&*error.message());
            let page = SignInPage { unavailable, ..page }.render();
            (error.code().status, Html(page)).into_response()
        }
    }
}

/// Begins a session with the key or the link's token of the form.
pub(super) async fn sign_in(State(state): State<AdminState>, request: Request) -> Result<Response, Refused> {
    let (head, body) = request.into_parts();
    let publisher = state.publisher()?;
    let address = gate::address(&state, &head)?;
    let fields = form::read(body).await?.fields;
    let next = page_of(Some(fields.text("next"))).to_owned();
    let token = fields.all("token").next().map(str::to_owned);
    let (access, given, key) = (state.access.clone(), token.clone(), fields.text("key").to_owned());
    // A link that was used must give its session, also to a browser that leaves meanwhile: it can sign out.
    let signed_in = tokio::spawn(async move {
        match given {
            Some(token) => access.sign_in_by_link(&publisher, &token, address).await,
            None => access.sign_in_by_key(&publisher, &key, address).await,
        }
    });
    let fault = match signed_in.await.map_err(|_| Error::from(INTERNAL))? {
        Ok(session) => return Ok(begun(&head, &session, &next)),
        Err(SignInError::Failed(error)) => return Err(error.into()),
        Err(SignInError::Refused(AccessRefusal::Unknown)) if token.is_some() => {
            "This link was used already, or is older than ten minutes. Create another one, or sign in with an admin key."
        }
        Err(SignInError::Refused(AccessRefusal::Unknown)) => {
            "This is no admin key of this deployment, or a revoked one."
        }
        Err(SignInError::Refused(AccessRefusal::Expired)) => "The admin key has expired.",
        Err(SignInError::Refused(refusal)) => return Err(gate::not_now(refusal).into()),
    };
    let page = SignInPage { next: &next, fault: Some(fault), ..SignInPage::default() };
    let mut response = show(&state, &head, page);
    *response.status_mut() = StatusCode::FORBIDDEN;
    Ok(response)
}

fn begun(head: &Parts, session: &SignIn, next: &str) -> Response {
    let mut response = see(next);
    response.headers_mut().insert(SET_COOKIE, browser::set_cookie(browser::is_plain(head), session));
    response
}

/// Ends the session; of single sign-on the one at the provider, too.
pub(super) async fn sign_out(
    State(state): State<AdminState>,
    Caller(grant): Caller,
) -> Result<Response, Refused> {
    let publisher = state.publisher()?;
    let access = state.access.clone();
    let sign_out = async move {
        access.sign_out(&publisher, &grant).await?;
        Ok::<_, admin::Error>(access.provider_logout(&grant).await)
    };
    let mut response = match detached(sign_out).await? {
        // A form of this listener must not lead to another site, so the page does.
        Some(url) => Html(console::signed_out(&url)).into_response(),
        None => see(SIGN_IN_PATH),
    };
    forget_session(&mut response);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_console_follow_a_sign_in() {
        for page in ["/console", "/console/", "/console/x?after=a%20b", "/console?after=x"] {
            assert_eq!(page_of(Some(page)), page);
        }
        for other in [
            "https://evil.example",
            "//evil.example",
            "/console\\..",
            "/consolex",
            "/admin/v1/whoami",
            "/console/\r\nX: y",
            "/console/sign-in/lrl_x",
            "",
        ] {
            assert_eq!(page_of(Some(other)), console::HOME, "{other}");
        }
        assert_eq!(page_of(None), console::HOME);
    }
}
