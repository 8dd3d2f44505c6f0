//! The page of open sessions.

use axum::{
    extract::{Path, State},
    response::{Html, Response},
};

use super::{
    answer::{Refused, forget_session, see},
    form::Parameters,
};
use crate::{
    admin::SIGN_IN_PATH,
    api::admin::{AdminState, gate::Caller, page::Page, sessions},
    console::{SESSIONS, SessionsPage},
};

/// Sessions of one page.
const SESSIONS_SHOWN: usize = 100;

/// The list, newest first: sessions that are used do not move between its pages.
pub(super) async fn list(
    State(state): State<AdminState>,
    Caller(grant): Caller,
    parameters: Parameters,
) -> Result<Html<String>, Refused> {
    let sessions = state.publisher()?.admin().sessions().await?;
    let page =
        Page::newest_first(sessions, SESSIONS_SHOWN, parameters.cursor(), |one| (one.created_at, &one.id))?;
    let page = SessionsPage {
        grant: &grant,
        sessions: &page.items,
        cursor: parameters.cursor(),
        next: page.next.as_deref(),
        now: state.clock.now(),
    };
    Ok(Html(page.render()))
}

/// Ends a session. A browser that ends its own signs in again.
pub(super) async fn end(
    State(state): State<AdminState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let ended = sessions::end(&state, state.publisher()?, caller.clone(), &id).await?;
    if !ended.is_session_of(&caller.0) {
        return Ok(see(SESSIONS));
    }
    let mut response = see(SIGN_IN_PATH);
    forget_session(&mut response);
    Ok(response)
}
