//! Deleted sources, models and syncs, and storing them again.

use axum::{
    extract::{Path, State},
    response::{Html, IntoResponse, Response},
};
use hyper::StatusCode;

use super::{
    answer::{Refused, see},
    collections::refusal,
    entries::entry,
    form::{Parameters, Sent},
};
use crate::{
    admin::{self, Expected, Grant, NewStored},
    api::{
        admin::{AdminState, gate::Caller, input::invalid, page::Page, stored},
        http::error::Error,
    },
    console::{DeletedPage, Done, RESTORED_VERSION, entry::entry_path},
};

/// Entries of one page.
const DELETED_LISTED: usize = 50;

/// The deleted entries, by section and name.
pub(super) async fn list(
    State(state): State<AdminState>,
    Caller(grant): Caller,
    parameters: Parameters,
) -> Result<Response, Refused> {
    render(&state, &grant, parameters.cursor(), None).await
}

async fn render(
    state: &AdminState,
    grant: &Grant,
    cursor: Option<&str>,
    refused: Option<Error>,
) -> Result<Response, Refused> {
    let deleted = state.publisher()?.admin().deleted_entries().await?;
    let deleted = deleted.into_iter().map(|one| (one.entry.to_string(), one)).collect();
    let Page { items, next } = Page::by_name(deleted, DELETED_LISTED, cursor);
    let page = DeletedPage {
        visitor: grant.into(),
        entries: &items,
        cursor,
        next: next.as_deref(),
        refusal: refused.as_ref().map(refusal),
        now: state.clock.now(),
    };
    let status = refused.map_or(StatusCode::OK, |error| error.code().status);
    Ok((status, Html(page.render())).into_response())
}

/// Stores a version of a deleted entry again. An entry that exists meanwhile is left alone.
pub(super) async fn restore(
    State(state): State<AdminState>,
    caller: Caller,
    Path((section, name)): Path<(String, String)>,
    sent: Sent,
) -> Result<Response, Refused> {
    let name = entry(&section, &name)?;
    let version =
        sent.fields.text(RESTORED_VERSION).parse().map_err(|_| invalid("version must be a whole number"))?;
    let (publisher, new) = (state.publisher()?, NewStored::Version(version));
    let restored = stored::change(&state, publisher, &name, new, Expected::Absent, false, caller.principal());
    let refused = match restored.await {
        Ok(Ok(_)) => return Ok(see(&Done::Saved.at(&entry_path(&name)))),
        Ok(Err(faults)) => admin::Error::ConfigurationInvalid(faults).into(),
        Err(error) => error,
    };
    render(&state, &caller.0, None, Some(refused)).await
}
