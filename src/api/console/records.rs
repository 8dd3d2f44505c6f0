//! The record explorer. Its values come by POST, so that no address and no log has one.

use axum::{
    extract::{Path, State},
    response::{Html, IntoResponse, Response},
};

use super::{answer::Refused, collections::refusal, form::Sent};
use crate::{
    admin::RecordView,
    api::{
        admin::{
            AdminState,
            gate::Caller,
            input::{detached, invalid, named},
        },
        http::error::Error,
    },
    console::{Faults, Fields, Form, RecordPage},
    domain::CollectionName,
};

/// The form alone.
pub(super) async fn show(
    State(state): State<AdminState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Html<String>, Refused> {
    render(&state, &caller, &named("collection", &name)?, &Fields::default(), None).await
}

/// The record that holds the value of the form.
pub(super) async fn find(
    State(state): State<AdminState>,
    caller: Caller,
    Path(name): Path<String>,
    sent: Sent,
) -> Result<Response, Refused> {
    let name: CollectionName = named("collection", &name)?;
    let (index, value) = (sent.fields.text("index").to_owned(), sent.fields.text("value").to_owned());
    let found = if value.is_empty() {
        Err(invalid("enter the value to look up"))
    } else {
        let (records, publisher) = (state.records.clone(), state.publisher()?);
        let (name, principal) = (name.clone(), caller.principal().clone());
        detached(async move { records.find(&publisher, &name, &index, &value, &principal).await }).await
    };
    let status = found.as_ref().err().map_or(hyper::StatusCode::OK, |error| error.code().status);
    let page = render(&state, &caller, &name, &sent.fields, Some(found)).await?;
    Ok((status, page).into_response())
}

async fn render(
    state: &AdminState,
    Caller(grant): &Caller,
    name: &CollectionName,
    fields: &Fields,
    outcome: Option<Result<RecordView, Error>>,
) -> Result<Html<String>, Refused> {
    let status = state.overview.collection(state.admin().as_ref(), name).await?;
    let (found, error) = match outcome {
        None => (None, None),
        Some(Ok(found)) => (Some(found), None),
        Some(Err(error)) => (None, Some(error)),
    };
    let mut faults = Faults::default();
    let error = error.filter(|error| {
        let field = match error.code().code {
            "index_not_found" => "index",
            "invalid_input" | "hash_secret_missing" => "value",
            _ => return true,
        };
        faults.add(field, error.message());
        false
    });
    let page = RecordPage {
        visitor: grant.into(),
        status: &status,
        public_url: state.public_url.as_deref(),
        form: Form { fields, faults: &faults },
        found: found.as_ref(),
        refusal: error.as_ref().map(refusal),
        now: state.clock.now(),
    };
    Ok(Html(page.render()))
}
