//! The box that renders a message. Its key and values come by POST, so that no address and no log has one.

use axum::{
    Extension,
    extract::{Path, State},
    response::{Html, IntoResponse, Response},
};
use bytes::Bytes;
use hyper::{Request, StatusCode};

use super::{answer::Refused, collections::refusal, form::Sent};
use crate::{
    admin::{MessageToRender, RenderedMessage},
    api::{
        admin::{
            AdminState,
            gate::Caller,
            input::{detached, named},
        },
        http::{error::Error, layers::Arrival},
        read,
    },
    console::{Faults, Fields, Form, MESSAGE, MESSAGE_KEY, MESSAGE_VALUE, MessagePage, tag_of},
    domain::CollectionName,
};

/// The form alone, with the tag of the first index.
pub(super) async fn show(
    State(state): State<AdminState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Html<String>, Refused> {
    let name = named("collection", &name)?;
    let status = state.overview.collection(state.admin().as_ref(), &name).await?;
    let url = state.public_url.as_deref();
    let tag = status.indexes.first().map(|index| tag_of(url, &name, index)).unwrap_or_default();
    Ok(page(&state, &caller, &name, &Fields::preset(&[(MESSAGE, &tag)]), None))
}

/// The message of the form, rendered. Its requests are answered by the read API of this node, without a network.
pub(super) async fn render(
    State(state): State<AdminState>,
    caller: Caller,
    Extension(arrival): Extension<Arrival>,
    Path(name): Path<String>,
    sent: Sent,
) -> Result<Response, Refused> {
    let name: CollectionName = named("collection", &name)?;
    let fields = sent.fields.clone().with(MESSAGE_KEY, "");
    let Some(reads) = state.reads.clone() else {
        return Ok(page(&state, &caller, &name, &fields, None).into_response());
    };
    let (publisher, principal, collection) = (state.publisher()?, caller.principal().clone(), name.clone());
    let rendered = detached(async move {
        let read_api = |request: &Request<Bytes>| read::answer_here(&reads, request, &arrival);
        let message = MessageToRender {
            text: sent.fields.text(MESSAGE),
            key: sent.fields.text(MESSAGE_KEY),
            value: sent.fields.text(MESSAGE_VALUE),
        };
        publisher.render_message(&collection, message, &read_api, &principal).await
    })
    .await;
    let status = rendered.as_ref().err().map_or(StatusCode::OK, |error| error.code().status);
    Ok((status, page(&state, &caller, &name, &fields, Some(rendered))).into_response())
}

fn page(
    state: &AdminState,
    Caller(grant): &Caller,
    name: &CollectionName,
    fields: &Fields,
    outcome: Option<Result<RenderedMessage, Error>>,
) -> Html<String> {
    let mut faults = Faults::default();
    let (rendered, error) = match outcome {
        None => (None, None),
        Some(Ok(rendered)) => (Some(rendered), None),
        Some(Err(error)) => (None, Some(error)),
    };
    let error = error.filter(|error| {
        let is_of_message = error.code().code == "message_invalid";
        if is_of_message {
            faults.add(MESSAGE, error.message());
        }
        !is_of_message
    });
    let page = MessagePage {
        visitor: grant.into(),
        name,
        serves: state.reads.is_some(),
        form: Form { fields, faults: &faults },
        rendered: rendered.as_ref(),
        refusal: error.as_ref().map(refusal),
    };
    Html(page.render())
}
