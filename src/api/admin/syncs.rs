//! `/admin/v1/syncs`: the configured syncs, their previews and validation, and starting runs.

use axum::{
    Json,
    extract::{Path, Query, State},
};
use chrono::{DateTime, Utc};
use hyper::{StatusCode, header::LOCATION};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{
    AdminState, Publishing,
    gate::Caller,
    input::{Headers, Input, detached, named, request_key},
    page::Page,
    sources::{ListQuery, Rows, RowsQuery, section},
    stored::ShownEntry,
};
use crate::{
    admin::{self, EntryView, OperationKind, OperationView, Pause, Publisher, RequestKey, RequestedRun},
    api::http::error::{Error, INTERNAL},
    domain::{CollectionName, Column, OperationId, RejectedRow, StoredName, StoredSection},
};

/// Most rejected rows of a preview.
const REJECTED_MAX: usize = 1000;

/// The configured syncs, by name. Secrets are masked.
#[utoipa::path(get, path = "/admin/v1/syncs", params(ListQuery), responses(
    (status = 200, description = "A page of syncs", body = Page<EntryView>),
))]
pub(in crate::api) async fn list_syncs(
    State(state): State<AdminState>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<EntryView>>, Error> {
    section(&state, StoredSection::Syncs, &query).map(Json)
}

/// One sync, with the state of its collection. `ETag` is the version of a stored sync.
#[utoipa::path(get, path = "/admin/v1/syncs/{sync}", params(("sync" = String, Path)), responses(
    (status = 200, description = "The sync", body = ShownEntry),
    (status = 404, description = "There is no such sync, or this node does not publish"),
    (status = 400, description = "The name is not one of a sync"),
))]
pub(in crate::api) async fn show_sync(
    State(state): State<AdminState>,
    Publishing(publisher): Publishing,
    Path(sync): Path<String>,
) -> Result<ShownEntry, Error> {
    let name: CollectionName = named("sync", &sync)?;
    let entry = StoredName { section: StoredSection::Syncs, name: sync.clone() };
    let Some(entry) = state.configured.read().entry(&entry) else {
        return Err(publisher.registry.find(&sync).err().map_or_else(|| INTERNAL.into(), Error::from));
    };
    let collection = match state.overview.collection(Some(&publisher.admin()), &name).await {
        Ok(status) => Some(status),
        // A sync that is left out because of its faults may have announced nothing yet.
        Err(admin::Error::UnknownCollection { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(ShownEntry { entry, collection })
}

/// Records of a sync as they would be served.
#[derive(utoipa::ToSchema, Debug, Serialize)]
pub(in crate::api) struct SyncPreview {
    #[serde(flatten)]
    pub(in crate::api) records: Rows,
    pub(in crate::api) rejected: Vec<RejectedRow>,
    pub(in crate::api) warnings: Vec<String>,
}

impl SyncPreview {
    /// At most `limit` records of a sync, from its source.
    pub(in crate::api) async fn read(
        publisher: &Publisher,
        sync: &str,
        now: DateTime<Utc>,
        limit: u64,
    ) -> Result<Self, Error> {
        let (mut records, mut rejected) = (Rows::default(), Vec::new());
        let show = |record: &crate::domain::Record, mapped: Result<(), crate::domain::Rejection>| match mapped
        {
            Ok(()) => records.push(&record.body),
            Err(rejection) if rejected.len() < REJECTED_MAX => rejected.push(RejectedRow {
                reason: rejection.reason.to_string(),
                field: rejection.field,
                primary_key: Some(record.key.clone()).filter(|key| !key.is_empty()),
            }),
            Err(_) => {}
        };
        let warnings = publisher.registry.preview(sync, now, limit, show).await?;
        Ok(Self { records, rejected, warnings })
    }
}

/// The first records of a sync as they would be served, and the rows that would be rejected.
#[utoipa::path(get, path = "/admin/v1/syncs/{sync}/preview", params(("sync" = String, Path), RowsQuery), responses(
    (status = 200, description = "Records and rejected rows", body = SyncPreview),
    (status = 404, description = "There is no such sync, or this node does not publish"),
    (status = 400, description = "The mapping does not fit, the source refuses, or a parameter is wrong"),
))]
pub(in crate::api) async fn preview_sync(
    State(state): State<AdminState>,
    Publishing(publisher): Publishing,
    caller: Caller,
    Path(sync): Path<String>,
    Query(query): Query<RowsQuery>,
) -> Result<Json<SyncPreview>, Error> {
    state.audit_read(&caller.0, "sync.preview", &sync).await?;
    Ok(Json(SyncPreview::read(&publisher, &sync, state.clock.now(), query.rows()?).await?))
}

/// Whether a sync fits its model. One that does not has faults alone.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Validated {
    is_valid: bool,
    faults: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<Vec<String>>,
    /// The columns of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    columns: Option<Vec<Column>>,
    /// The number of fields of a record.
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<usize>,
}

/// Whether a sync fits its model: its columns, its fields, and every fault at once. No row is read.
#[utoipa::path(post, path = "/admin/v1/syncs/{sync}/validate", params(("sync" = String, Path)), responses(
    (status = 200, description = "The outcome", body = Validated),
    (status = 404, description = "There is no such sync, or this node does not publish"),
    (status = 400, description = "The source refuses"),
))]
pub(in crate::api) async fn validate_sync(
    Publishing(publisher): Publishing,
    Path(sync): Path<String>,
) -> Result<Json<Validated>, Error> {
    match publisher.registry.check(&sync).await {
        Ok(checked) => Ok(Json(Validated {
            is_valid: true,
            faults: Vec::new(),
            warnings: Some(checked.mapping.warnings().iter().map(ToString::to_string).collect()),
            fields: Some(checked.mapping.fields().len()),
            columns: Some(checked.columns),
        })),
        Err(admin::Error::Mapping { faults, .. }) => {
            let faults = faults.iter().map(ToString::to_string).collect();
            Ok(Json(Validated { is_valid: false, faults, warnings: None, columns: None, fields: None }))
        }
        Err(error) => Err(error.into()),
    }
}

/// How a sync runs.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct StartRun {
    /// Announce the result even if a guard would hold it.
    #[serde(default)]
    accept: bool,
    /// Read the whole model, also of a sync that reads increments.
    #[serde(default)]
    full: bool,
    /// Read and compare only; nothing is announced or recorded.
    #[serde(default)]
    dry_run: bool,
}

/// Starts a run of a sync, or follows the one that is in progress. The answer has the operation, which
/// `GET /admin/v1/operations/{operation}` shows until an hour after its end.
#[utoipa::path(post, path = "/admin/v1/syncs/{sync}/runs", params(("sync" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = StartRun, responses(
    (status = 202, description = "It was started", body = Started),
    (status = 404, description = "There is no such sync, or this node does not publish"),
    (status = 400, description = "The body is wrong"),
    (status = 409, description = "The Idempotency-Key came with another request, or its first request is in progress"),
))]
pub(in crate::api) async fn start_run(
    State(state): State<AdminState>,
    Publishing(publisher): Publishing,
    caller: Caller,
    Path(sync): Path<String>,
    Headers(headers): Headers,
    Input { value, digest }: Input<StartRun>,
) -> Result<Accepted, Error> {
    let key = request_key(&headers, &caller, &format!("start {sync}"), digest)?;
    let StartRun { accept, full, dry_run } = value;
    let requested = RequestedRun { accept, full, dry_run };
    start(&state, publisher, &caller, sync, requested, key).await.map(Accepted)
}

/// Starts a run, once with one key.
pub(in crate::api) async fn start(
    state: &AdminState,
    publisher: Publisher,
    caller: &Caller,
    sync: String,
    requested: RequestedRun,
    key: Option<RequestKey>,
) -> Result<Value, Error> {
    let (operations, principal) = (state.operations.clone(), caller.principal().clone());
    let (answer, _) = detached(async move {
        let admin = publisher.admin();
        let start = async { Ok(twice(&operations.start_sync(publisher, &sync, requested, principal)?)) };
        admin.once(key, start).await
    })
    .await?;
    Ok(answer)
}

/// An operation that was started.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Started {
    operation: OperationId,
    /// Its collection; of an approval null until it is known.
    sync: Option<CollectionName>,
    kind: OperationKind,
}

/// The answer to a started operation, now and when the request comes again.
pub(super) fn twice(view: &OperationView) -> (Value, Value) {
    let answer = json!(Started { operation: view.id, sync: view.sync.clone(), kind: view.kind });
    (answer.clone(), answer)
}

/// An operation that was started.
pub(in crate::api) struct Accepted(pub(super) Value);

impl axum::response::IntoResponse for Accepted {
    fn into_response(self) -> axum::response::Response {
        let id = self.0["operation"].as_str().unwrap_or_default();
        let location = format!("/admin/v1/operations/{id}");
        (StatusCode::ACCEPTED, [(LOCATION, location)], Json(self.0)).into_response()
    }
}

/// A sync that is not paused.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Resumed {
    sync: CollectionName,
    /// The pause that ended.
    pause: Option<Pause>,
}

/// Lets a sync run by its schedule again, after a rollback. The answer has the pause that ended; null without one.
#[utoipa::path(post, path = "/admin/v1/syncs/{sync}/resume", params(("sync" = String, Path)), responses(
    (status = 200, description = "It is not paused", body = Resumed),
    (status = 404, description = "There is no such sync, or this node does not publish"),
    (status = 400, description = "The name is not one of a sync"),
    (status = 409, description = "Other announcements came first"),
))]
pub(in crate::api) async fn resume_sync(
    Publishing(publisher): Publishing,
    caller: Caller,
    Path(sync): Path<String>,
) -> Result<Json<Resumed>, Error> {
    let (sync, resumed) = named::<CollectionName>("sync", &sync).map(|name| (name.clone(), name))?;
    let pause = detached(async move { publisher.resume(&resumed, caller.principal()).await }).await?;
    Ok(Json(Resumed { sync, pause }))
}
