//! The pages of API keys.

use std::time::Duration;

use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{
    answer::{Refused, see},
    form::Sent,
    key_form,
};
use crate::{
    admin::{self, KeyView, RequestKey, check_overlap},
    api::{
        admin::{AdminState, gate::Caller, keys, page::Page},
        http::error::Error,
    },
    console::{
        Faults, Fields, Form, KEYS, KeyPage, KeysPage, NewKeyPage, REQUEST, RevokePage, RotateKeyPage,
        SecretPage, key_path,
    },
};

/// Keys of one page.
const KEYS_SHOWN: usize = 100;
/// Most collections that the form offers.
const COLLECTIONS_OFFERED_MAX: usize = 200;
/// How long the form lets the old secret of a rotated key work on, unless it is changed.
const OVERLAP_PRESET: &str = "24h";
/// Longest wait for the answer to the same form, which another request has sent. Another publisher may be at work on it, so
/// the metadata database is asked, this often.
const FIRST_ANSWER_WAIT: Duration = Duration::from_secs(5);
const FIRST_ANSWER_POLL: Duration = Duration::from_millis(50);
/// What is said when a form was changed after it was sent.
pub(super) const SENT_BEFORE: &str = "This form was sent before, with other values, and has done its work then. Send it again to do it once more.";

/// Which keys.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    search: String,
    state: String,
    cursor: Option<String>,
}

/// The list, newest first.
pub(super) async fn list(
    State(state): State<AdminState>,
    Caller(grant): Caller,
    Query(filter): Query<Filter>,
) -> Result<Html<String>, Refused> {
    let (admin, now) = (state.publisher()?.admin(), state.clock.now());
    let search = filter.search.trim().to_lowercase();
    let mut found: Vec<KeyView> = keys::read_keys(&state, &admin).await?;
    found.retain(|key| {
        let is_named = [&key.name, &key.id].iter().any(|text| text.to_lowercase().contains(&search));
        is_named && (filter.state.is_empty() || key.state(now).as_str() == filter.state)
    });
    let cursor = filter.cursor.as_deref();
    let page = Page::newest_first(found, KEYS_SHOWN, cursor, |key| (key.created_at, &key.id))?;
    let page = KeysPage {
        visitor: (&grant).into(),
        keys: &page.items,
        search: filter.search.trim(),
        state: &filter.state,
        cursor,
        next: page.next.as_deref(),
        has_unannounced: admin.has_unannounced_keys().await?,
        now,
    };
    Ok(Html(page.render()))
}

/// The key with this id.
async fn find(state: &AdminState, id: &str) -> Result<KeyView, Refused> {
    let keys = keys::read_keys(state, &state.publisher()?.admin()).await?;
    let found = keys.into_iter().find(|key| key.id == id);
    Ok(found.ok_or_else(|| admin::Error::UnknownKey(id.to_owned()))?)
}

/// One key.
pub(super) async fn show(
    State(state): State<AdminState>,
    Caller(grant): Caller,
    Path(id): Path<String>,
) -> Result<Html<String>, Refused> {
    let key = find(&state, &id).await?;
    let has_unannounced = state.publisher()?.admin().has_unannounced_keys().await?;
    let page = KeyPage { visitor: (&grant).into(), key: &key, has_unannounced, now: state.clock.now() };
    Ok(Html(page.render()))
}

/// The form of a new key.
pub(super) async fn show_new(State(state): State<AdminState>, caller: Caller) -> Result<Response, Refused> {
    let fields = Fields::preset(&[("grant", "some"), (REQUEST, &RequestKey::new_name())]);
    show_form(&state, &caller, &fields, &Faults::default(), None)
}

fn show_form(
    state: &AdminState,
    Caller(grant): &Caller,
    fields: &Fields,
    faults: &Faults,
    notice: Option<&str>,
) -> Result<Response, Refused> {
    let names = state.publisher()?.registry.names().into_iter().take(COLLECTIONS_OFFERED_MAX);
    let collections: Vec<String> = names.map(|name| name.to_string()).collect();
    let form = Form { fields, faults };
    let page = NewKeyPage { visitor: grant.into(), form, collections: &collections, notice };
    Ok(answered(faults, notice, page.render()))
}

/// The answer with a form: refused if it has faults or must be sent again.
pub(super) fn answered(faults: &Faults, notice: Option<&str>, page: String) -> Response {
    let status = match notice {
        Some(_) => StatusCode::CONFLICT,
        None if faults.is_empty() => StatusCode::OK,
        None => StatusCode::BAD_REQUEST,
    };
    (status, Html(page)).into_response()
}

/// Whether the form was sent before with other values.
pub(super) fn is_sent_before(error: &Error) -> bool {
    error.code().code == admin::Error::IdempotencyKeyReused.code()
}

/// Creates a key. The answer shows it.
pub(super) async fn create(
    State(state): State<AdminState>,
    caller: Caller,
    sent: Sent,
) -> Result<Response, Refused> {
    let new = match key_form::new_key(&sent.fields, state.clock.now()) {
        Ok(new) => new,
        Err(faults) => return show_form(&state, &caller, &sent.fields, &faults, None),
    };
    let key = sent.request_key(&caller, keys::CREATE_KEY)?;
    let publisher = state.publisher()?;
    let create = || keys::create(publisher.clone(), new.clone(), Some(key.clone()), caller.clone());
    match answer_of(create).await {
        Ok(created) => {
            let rotation = created["id"].as_str().map(|id| format!("{}/rotate", key_path(id)));
            Ok(show_secret(&caller, "Key created", &created, rotation.as_deref(), KEYS))
        }
        Err(error) if is_sent_before(&error) => {
            let fields = sent.fields.with(REQUEST, &RequestKey::new_name());
            show_form(&state, &caller, &fields, &Faults::default(), Some(SENT_BEFORE))
        }
        Err(error) => Err(error.into()),
    }
}

/// The answer of a form. While the same form is worked on for another request, waits for that one: a browser shows the answer
/// to the last click alone.
pub(super) async fn answer_of<F: Future<Output = Result<Value, Error>>>(
    act: impl Fn() -> F,
) -> Result<Value, Error> {
    let deadline = Instant::now() + FIRST_ANSWER_WAIT;
    loop {
        match act().await {
            Err(error)
                if error.code().code == admin::Error::RequestUnderWay.code() && Instant::now() < deadline =>
            {
                sleep(FIRST_ANSWER_POLL).await;
            }
            answer => return answer,
        }
    }
}

/// The page with a new key, from the answer of the API's route. `rotation` is where the key gets another secret.
pub(super) fn show_secret(
    Caller(grant): &Caller,
    title: &str,
    answer: &Value,
    rotation: Option<&str>,
    back: &str,
) -> Response {
    let page = SecretPage {
        visitor: grant.into(),
        title,
        id: answer["id"].as_str().unwrap_or_default(),
        secret: answer["key"].as_str(),
        rotation,
        pending: answer["pending"]["message"].as_str(),
        back,
    };
    Html(page.render()).into_response()
}

/// The form that rotates a key.
pub(super) async fn show_rotate(
    State(state): State<AdminState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let fields = Fields::preset(&[("overlap", OVERLAP_PRESET), (REQUEST, &RequestKey::new_name())]);
    show_rotation(&state, &caller, &id, &fields, &Faults::default(), None).await
}

async fn show_rotation(
    state: &AdminState,
    Caller(grant): &Caller,
    id: &str,
    fields: &Fields,
    faults: &Faults,
    notice: Option<&str>,
) -> Result<Response, Refused> {
    let key = find(state, id).await?;
    let page = RotateKeyPage { visitor: grant.into(), key: &key, form: Form { fields, faults }, notice };
    Ok(answered(faults, notice, page.render()))
}

/// Gives a key a new secret. The answer shows it.
pub(super) async fn rotate(
    State(state): State<AdminState>,
    caller: Caller,
    Path(id): Path<String>,
    sent: Sent,
) -> Result<Response, Refused> {
    let mut faults = Faults::default();
    let Some(overlap) = faults.take("overlap", check_overlap(sent.fields.text("overlap"))) else {
        return show_rotation(&state, &caller, &id, &sent.fields, &faults, None).await;
    };
    let key = sent.request_key(&caller, &keys::rotate_route(&id))?;
    let publisher = state.publisher()?;
    let rotate = || keys::rotate(publisher.clone(), id.clone(), overlap, Some(key.clone()), caller.clone());
    match answer_of(rotate).await {
        Ok(rotated) => {
            let path = key_path(&id);
            let rotation = format!("{path}/rotate");
            Ok(show_secret(&caller, "Key rotated", &rotated, Some(&rotation), &path))
        }
        Err(error) if is_sent_before(&error) => {
            let fields = sent.fields.with(REQUEST, &RequestKey::new_name());
            show_rotation(&state, &caller, &id, &fields, &faults, Some(SENT_BEFORE)).await
        }
        Err(error) => Err(error.into()),
    }
}

/// The page that confirms a revocation.
pub(super) async fn show_revoke(
    State(state): State<AdminState>,
    Caller(grant): Caller,
    Path(id): Path<String>,
) -> Result<Html<String>, Refused> {
    let (key, path) = (find(&state, &id).await?, key_path(&id));
    let page = RevokePage {
        visitor: (&grant).into(),
        name: &key.name,
        consequence: "Every region refuses requests with this key within two poll intervals.",
        path: &format!("{path}/revoke"),
        back: &path,
    };
    Ok(Html(page.render()))
}

/// Revokes a key. Its page says so, and whether nodes know it yet.
pub(super) async fn revoke(
    State(state): State<AdminState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    keys::revoke(state.publisher()?, id.clone(), caller).await?;
    Ok(see(&key_path(&id)))
}
