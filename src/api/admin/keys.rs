//! `/admin/v1/keys`, `/admin/v1/admin-keys` and `/admin/v1/audit`.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, Query, State},
};
use chrono::{DateTime, Datelike as _, Utc};
use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::{
    AdminState, Publishing,
    failure::Failure,
    gate::Caller,
    input::{Headers, Input, detached, invalid, limit, request_key},
    page::{Page, cursor_at, time_and_id},
    sources::ListQuery,
};
use crate::{
    admin::{
        self, Admin, AdminKeyView, AdminRole, ApiKey, AuditEntry, KeyChange, KeyView, NewAdminKey, NewKey,
        Publisher, RequestKey, check_key_name, check_overlap,
    },
    api::http::error::Error,
    domain::keyset::{KeyLimits, Scope},
};

/// A page of keys.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct KeysPage {
    items: Vec<KeyView>,
    /// The cursor of the next page; null on the last one.
    next: Option<String>,
    /// Whether nodes do not know every change yet.
    has_unannounced_changes: bool,
}

/// A key with a new secret.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct CreatedKey {
    id: String,
    /// The whole key; null in an answer that is given again.
    key: Option<String>,
    /// Why the change is stored but not announced yet.
    pending: Option<Failure>,
    /// Names in the grant and the limits of a new key that open nothing yet, and are probably mistyped.
    warnings: Vec<String>,
}

/// A revoked key.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct RevokedKey {
    id: String,
    /// Why the change is stored but not announced yet.
    pending: Option<Failure>,
}

/// A new admin key.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct CreatedAdminKey {
    id: String,
    /// The whole key; null in an answer that is given again.
    key: Option<String>,
}

/// A revoked admin key, or an ended session.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Revoked {
    pub(super) id: String,
}

/// The API keys, revoked ones too, by id, with their last use by region. Their secrets are stored nowhere.
#[utoipa::path(get, path = "/admin/v1/keys", params(ListQuery), responses(
    (status = 200, description = "A page of keys", body = KeysPage),
    (status = 404, description = "This node does not publish"),
    (status = 400, description = "A parameter is wrong"),
))]
pub(in crate::api) async fn list_keys(
    State(state): State<AdminState>,
    Publishing(publisher): Publishing,
    Query(query): Query<ListQuery>,
) -> Result<Json<KeysPage>, Error> {
    let (limit, admin) = (limit(query.limit)?, publisher.admin());
    let mut keys = read_keys(&state, &admin).await?;
    keys.sort_by(|a, b| a.id.cmp(&b.id));
    let keys = keys.into_iter().map(|key| (key.id.clone(), key)).collect();
    let page = Page::by_name(keys, limit, query.cursor.as_deref());
    let is_pending = admin.has_unannounced_keys().await?;
    Ok(Json(KeysPage { items: page.items, next: page.next, has_unannounced_changes: is_pending }))
}

/// All keys with their last use. Keys work, and are listed, while the statuses of nodes cannot be read.
pub(in crate::api) async fn read_keys(
    state: &AdminState,
    admin: &Admin,
) -> Result<Vec<KeyView>, admin::Error> {
    let mut keys = admin.keys().await?;
    let mut uses = state.overview.key_uses().await.unwrap_or_default();
    for key in &mut keys {
        key.last_used = uses.remove(&key.id).unwrap_or_default();
    }
    Ok(keys)
}

/// A key to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct CreateKey {
    /// What it is for, 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// `"all_collections"`, or `{"collections": ["customer"]}`.
    #[schema(value_type = Value)]
    grant: Scope,
    /// When it expires; without it never.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<DateTime<Utc>>,
    /// What limits it further, as `GET /admin/v1/keys` shows it.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    limits: KeyLimits,
}

/// Creates an API key. The answer has the whole key, which is shown only once; an answer that is given again for its
/// Idempotency-Key has it as null.
#[utoipa::path(post, path = "/admin/v1/keys", params(("Idempotency-Key" = Option<String>, Header)), request_body = CreateKey, responses(
    (status = 201, description = "It is created", body = CreatedKey),
    (status = 404, description = "This node does not publish"),
    (status = 400, description = "The body is wrong"),
    (status = 409, description = "Other changes came first, or the Idempotency-Key came with another request"),
))]
pub(in crate::api) async fn create_key(
    State(state): State<AdminState>,
    Publishing(publisher): Publishing,
    caller: Caller,
    Headers(headers): Headers,
    Input { value, digest }: Input<CreateKey>,
) -> Result<(StatusCode, Json<Value>), Error> {
    let CreateKey { name, grant, expires_at, limits } = value;
    let new = NewKey { name: check_key_name(&name).map_err(invalid)?, grant, expires_at, limits };
    check_expiry(expires_at, state.clock.now())?;
    let key = request_key(&headers, &caller, CREATE_KEY, digest)?;
    Ok((StatusCode::CREATED, Json(create(publisher, new, key, caller).await?)))
}

/// The name of the route that creates a key, for idempotency keys.
pub(in crate::api) const CREATE_KEY: &str = "create key";

/// Creates an API key, once for a request key. The answer has the whole key; not when it is given again.
pub(in crate::api) async fn create(
    publisher: Publisher,
    new: NewKey,
    key: Option<RequestKey>,
    caller: Caller,
) -> Result<Value, Error> {
    let (answer, _) = detached(async move {
        let warnings = new.warnings(&publisher.registry);
        let create = async { Ok(twice(&publisher.create_key(new, caller.principal()).await?, &warnings)) };
        publisher.admin().once(key, create).await
    })
    .await?;
    Ok(answer)
}

/// The answer to a changed key, now and when the request comes again.
fn twice(changed: &KeyChange<ApiKey>, warnings: &[String]) -> (Value, Value) {
    let answer = |key: Option<&str>| {
        let pending = changed.pending.as_ref().map(Failure::of);
        let (id, key, warnings) = (changed.done.id().to_owned(), key.map(str::to_owned), warnings.to_vec());
        json!(CreatedKey { id, key, pending, warnings })
    };
    (answer(Some(changed.done.expose())), answer(None))
}

/// Refuses a key that would never work.
fn check_expiry(expires_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<(), Error> {
    if expires_at.is_some_and(|at| at <= now) {
        return Err(invalid("expires_at is over already"));
    }
    // RFC 3339 has years of four digits.
    if expires_at.is_some_and(|at| at.year() > 9999) {
        return Err(invalid(
            "expires_at is after the year 9999; leave it out for a key that does not expire",
        ));
    }
    Ok(())
}

/// How a key is rotated.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct RotateKey {
    /// How long the old secret works on: `24h`, `7d`, at most `365d`; `0s` ends it at once.
    overlap: String,
}

/// Gives a key a new secret, which is shown only once. The old one works on for the overlap.
#[utoipa::path(post, path = "/admin/v1/keys/{id}/rotate", params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = RotateKey, responses(
    (status = 200, description = "It has a new secret", body = CreatedKey),
    (status = 404, description = "There is no such key, or this node does not publish"),
    (status = 400, description = "The body is wrong"),
    (status = 409, description = "Other changes came first, or the Idempotency-Key came with another request"),
))]
pub(in crate::api) async fn rotate_key(
    Publishing(publisher): Publishing,
    caller: Caller,
    Path(id): Path<String>,
    Headers(headers): Headers,
    Input { value, digest }: Input<RotateKey>,
) -> Result<Json<Value>, Error> {
    let overlap = check_overlap(&value.overlap).map_err(|error| invalid(format!("overlap: {error}")))?;
    let key = request_key(&headers, &caller, &rotate_route(&id), digest)?;
    Ok(Json(rotate(publisher, id, overlap, key, caller).await?))
}

/// The name of the route that rotates the key `id`, for idempotency keys.
pub(in crate::api) fn rotate_route(id: &str) -> String {
    format!("rotate {id}")
}

/// Gives a key a new secret, once for a request key. The answer has the whole key; not when it is given again.
pub(in crate::api) async fn rotate(
    publisher: Publisher,
    id: String,
    overlap: Duration,
    key: Option<RequestKey>,
    caller: Caller,
) -> Result<Value, Error> {
    let (answer, _) = detached(async move {
        let rotate = async { Ok(twice(&publisher.rotate_key(&id, overlap, caller.principal()).await?, &[])) };
        publisher.admin().once(key, rotate).await
    })
    .await?;
    Ok(answer)
}

/// Revokes a key. Every region refuses it within two poll intervals of the announcement.
#[utoipa::path(delete, path = "/admin/v1/keys/{id}", params(("id" = String, Path)), responses(
    (status = 200, description = "It is revoked", body = RevokedKey),
    (status = 404, description = "There is no such key, or this node does not publish"),
    (status = 409, description = "Other changes came first"),
))]
pub(in crate::api) async fn revoke_key(
    Publishing(publisher): Publishing,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<RevokedKey>, Error> {
    let revoked = revoke(publisher, id, caller).await?;
    Ok(Json(RevokedKey { id: revoked.done, pending: revoked.pending.as_ref().map(Failure::of) }))
}

/// Revokes a key.
pub(in crate::api) async fn revoke(
    publisher: Publisher,
    id: String,
    caller: Caller,
) -> Result<KeyChange<String>, Error> {
    detached(async move { publisher.revoke_key(&id, caller.principal()).await }).await
}

/// The admin keys, revoked ones too, by id. Their secrets are stored nowhere.
#[utoipa::path(get, path = "/admin/v1/admin-keys", params(ListQuery), responses(
    (status = 200, description = "A page of admin keys", body = Page<AdminKeyView>),
    (status = 404, description = "This node does not publish"),
    (status = 400, description = "A parameter is wrong"),
))]
pub(in crate::api) async fn list_admin_keys(
    Publishing(publisher): Publishing,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<AdminKeyView>>, Error> {
    let limit = limit(query.limit)?;
    let mut keys: Vec<_> = publisher.admin().admin_keys().await?;
    keys.sort_by(|a, b| a.id.cmp(&b.id));
    let keys = keys.into_iter().map(|key| (key.id.clone(), key)).collect();
    Ok(Json(Page::by_name(keys, limit, query.cursor.as_deref())))
}

/// An admin key to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct CreateAdminKey {
    /// What it is for, 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// `viewer`, `operator` or `admin`.
    #[schema(value_type = String)]
    role: AdminRole,
    /// When it expires; without it never.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<DateTime<Utc>>,
}

/// Creates an admin key. The answer has the whole key, which is shown only once; an answer that is given again for its
/// Idempotency-Key has it as null.
#[utoipa::path(post, path = "/admin/v1/admin-keys", params(("Idempotency-Key" = Option<String>, Header)), request_body = CreateAdminKey, responses(
    (status = 201, description = "It is created", body = CreatedAdminKey),
    (status = 404, description = "This node does not publish"),
    (status = 400, description = "The body is wrong"),
    (status = 409, description = "The Idempotency-Key came with another request"),
))]
pub(in crate::api) async fn create_admin_key(
    State(state): State<AdminState>,
    Publishing(publisher): Publishing,
    caller: Caller,
    Headers(headers): Headers,
    Input { value, digest }: Input<CreateAdminKey>,
) -> Result<(StatusCode, Json<Value>), Error> {
    let CreateAdminKey { name, role, expires_at } = value;
    let new = NewAdminKey { name: check_key_name(&name).map_err(invalid)?, role, expires_at };
    check_expiry(expires_at, state.clock.now())?;
    let key = request_key(&headers, &caller, CREATE_ADMIN_KEY, digest)?;
    Ok((StatusCode::CREATED, Json(create_admin(publisher, new, key, caller).await?)))
}

/// The name of the route that creates an admin key, for idempotency keys.
pub(in crate::api) const CREATE_ADMIN_KEY: &str = "create admin key";

/// Creates an admin key, once for a request key. The answer has the whole key; not when it is given again.
pub(in crate::api) async fn create_admin(
    publisher: Publisher,
    new: NewAdminKey,
    key: Option<RequestKey>,
    caller: Caller,
) -> Result<Value, Error> {
    let (answer, _) = detached(async move {
        let admin = publisher.admin();
        let create = async {
            let key = admin.create_admin_key(new, caller.principal()).await?;
            let answer = |secret| json!(CreatedAdminKey { id: key.id().to_owned(), key: secret });
            Ok((answer(Some(key.expose().to_owned())), answer(None)))
        };
        admin.once(key, create).await
    })
    .await?;
    Ok(answer)
}

/// Revokes an admin key. Every publisher refuses it within two seconds.
#[utoipa::path(delete, path = "/admin/v1/admin-keys/{id}", params(("id" = String, Path)), responses(
    (status = 200, description = "It is revoked", body = Revoked),
    (status = 404, description = "There is no such admin key, or this node does not publish"),
))]
pub(in crate::api) async fn revoke_admin_key(
    Publishing(publisher): Publishing,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Revoked>, Error> {
    Ok(Json(Revoked { id: revoke_admin(publisher, id, caller).await? }))
}

/// Revokes an admin key.
pub(in crate::api) async fn revoke_admin(
    publisher: Publisher,
    id: String,
    caller: Caller,
) -> Result<String, Error> {
    detached(async move { publisher.admin().revoke_admin_key(&id, caller.principal()).await }).await
}

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct AuditQuery {
    /// Only entries about this collection, key id or admin key id.
    subject: Option<String>,
    /// Most entries, from 1 to 1,000.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// The audit log, newest entries first: who did what, from where.
#[utoipa::path(get, path = "/admin/v1/audit", params(AuditQuery), responses(
    (status = 200, description = "A page of entries", body = Page<AuditEntry>),
    (status = 404, description = "This node does not publish"),
    (status = 400, description = "A parameter is wrong"),
))]
pub(in crate::api) async fn list_audit(
    Publishing(publisher): Publishing,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Page<AuditEntry>>, Error> {
    let (limit, admin) = (limit(query.limit)?, publisher.admin());
    Ok(Json(read_audit(&admin, query.subject.as_deref(), query.cursor.as_deref(), limit).await?))
}

/// A page of the audit log.
pub(in crate::api) async fn read_audit(
    admin: &Admin,
    subject: Option<&str>,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page<AuditEntry>, Error> {
    let entries = admin.audit_before(subject, time_and_id(cursor)?, limit + 1).await?;
    let page = Page::of(entries, limit, |(id, entry)| cursor_at(entry.at, id));
    Ok(Page { items: page.items.into_iter().map(|(_, entry)| entry).collect(), next: page.next })
}
