//! `/admin/v1/runs` and `/admin/v1/operations`: sync runs, and what was requested.

use axum::{
    Json,
    extract::{Path, Query, State},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    AdminState, Publishing,
    gate::Caller,
    input::{Headers, detached, limit, named, request_key},
    page::{Page, cursor_of_run, time_and_id},
    syncs::{Accepted, Started, twice},
};
use crate::{
    admin::{OperationView, Publisher, RequestKey, RunsFilter},
    api::http::error::Error,
    domain::{CollectionName, Digest, OperationId, RejectedRow, RunId, RunProgress, RunRecord},
};

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct RunsQuery {
    /// Only those of this sync.
    sync: Option<String>,
    /// Only those that announced a version.
    #[serde(default)]
    announced: bool,
    /// Most runs, from 1 to 1,000.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// The sync runs of all publishers, newest first.
#[utoipa::path(get, path = "/admin/v1/runs", params(RunsQuery), responses(
    (status = 200, description = "A page of runs", body = Page<RunRecord>),
    (status = 404, description = "There is no such sync, or this node does not publish"),
    (status = 400, description = "A parameter is wrong"),
))]
pub(in crate::api) async fn list_runs(
    Publishing(publisher): Publishing,
    Query(query): Query<RunsQuery>,
) -> Result<Json<Page<RunRecord>>, Error> {
    let limit = limit(query.limit)?;
    let sync = query.sync.as_deref().map(|sync| named::<CollectionName>("sync", sync)).transpose()?;
    let before = time_and_id(query.cursor.as_deref())?;
    // One more tells whether there is a next page; at most as many as are listed at once.
    let filter = RunsFilter { sync: sync.as_ref(), announced: query.announced, before, limit: limit + 1 };
    Ok(Json(Page::of(publisher.admin().runs(filter).await?, limit, cursor_of_run)))
}

/// A run.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct ShownRun {
    run: RunRecord,
    /// What it has done so far; null once it has ended.
    progress: Option<RunProgress>,
    /// What it has read; null if it is not known.
    sql: Option<String>,
}

/// A run that will end.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct CancelledRun {
    run: RunId,
}

/// One run, what it has done so far, and what it has read.
#[utoipa::path(get, path = "/admin/v1/runs/{run}", params(("run" = String, Path)), responses(
    (status = 200, description = "The run", body = ShownRun),
    (status = 404, description = "There is no such run, or this node does not publish"),
    (status = 400, description = "The id is not one of a run"),
))]
pub(in crate::api) async fn show_run(
    Publishing(publisher): Publishing,
    Path(run): Path<String>,
) -> Result<Json<ShownRun>, Error> {
    let (id, admin) = (named::<RunId>("run", &run)?, publisher.admin());
    let (run, _) = admin.run(id).await?;
    let (progress, sql) = (admin.run_progress(id).await?, admin.run_query(id).await?);
    Ok(Json(ShownRun { run, progress, sql }))
}

/// The rejected rows of a run with their primary keys; at most 100 of a reason and 1,000 in all are kept.
#[utoipa::path(get, path = "/admin/v1/runs/{run}/rejected", params(("run" = String, Path)), responses(
    (status = 200, description = "The rows", body = Vec<RejectedRow>),
    (status = 404, description = "There is no such run, or this node does not publish"),
    (status = 400, description = "The id is not one of a run"),
))]
pub(in crate::api) async fn list_rejected(
    Publishing(publisher): Publishing,
    Path(run): Path<String>,
) -> Result<Json<Vec<RejectedRow>>, Error> {
    Ok(Json(publisher.admin().run(named("run", &run)?).await?.1))
}

/// Asks for the end of a run, wherever it is in progress. It ends within two seconds, unless it announces already.
#[utoipa::path(post, path = "/admin/v1/runs/{run}/cancel", params(("run" = String, Path)), responses(
    (status = 202, description = "It will end", body = CancelledRun),
    (status = 404, description = "There is no such run, or this node does not publish"),
    (status = 400, description = "The id is not one of a run"),
    (status = 409, description = "It is not in progress"),
))]
pub(in crate::api) async fn cancel_run(
    Publishing(publisher): Publishing,
    caller: Caller,
    Path(run): Path<String>,
) -> Result<(hyper::StatusCode, Json<CancelledRun>), Error> {
    let id = named::<RunId>("run", &run)?;
    publisher.admin().cancel_run(id, caller.principal()).await?;
    Ok((hyper::StatusCode::ACCEPTED, Json(CancelledRun { run: id })))
}

/// Announces exactly what a held run has made. The answer has the operation.
#[utoipa::path(post, path = "/admin/v1/runs/{run}/approve", params(("run" = String, Path), ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 202, description = "The approval was started", body = Started),
    (status = 404, description = "There is no such run, or this node does not publish"),
    (status = 400, description = "The id is not one of a run, or no guard holds it"),
    (status = 409, description = "Another run took its place, or the Idempotency-Key came with another request"),
))]
pub(in crate::api) async fn approve_run(
    State(state): State<AdminState>,
    Publishing(publisher): Publishing,
    caller: Caller,
    Path(run): Path<String>,
    Headers(headers): Headers,
) -> Result<Accepted, Error> {
    let id = named::<RunId>("run", &run)?;
    let key = request_key(&headers, &caller, &format!("approve {id}"), Digest::of(b""))?;
    approve(&state, publisher, &caller, id, key).await.map(Accepted)
}

/// Starts the approval of a run, once with one key.
pub(in crate::api) async fn approve(
    state: &AdminState,
    publisher: Publisher,
    caller: &Caller,
    id: RunId,
    key: Option<RequestKey>,
) -> Result<Value, Error> {
    let (operations, principal) = (state.operations.clone(), caller.principal().clone());
    let (answer, _) = detached(async move {
        let admin = publisher.admin();
        let start = async {
            publisher.check_held(id).await?;
            Ok(twice(&operations.start_approval(publisher, id, principal)?))
        };
        admin.once(key, start).await
    })
    .await?;
    Ok(answer)
}

/// A requested operation: its progress, and its outcome once it has ended.
#[utoipa::path(get, path = "/admin/v1/operations/{operation}", params(("operation" = String, Path)), responses(
    (status = 200, description = "The operation", body = OperationView),
    (status = 404, description = "This node has no such operation"),
    (status = 400, description = "The id is not one of an operation"),
))]
pub(in crate::api) async fn show_operation(
    State(state): State<AdminState>,
    Path(operation): Path<String>,
) -> Result<Json<OperationView>, Error> {
    Ok(Json(state.operations.find(named::<OperationId>("operation", &operation)?)?))
}

/// Cancels an operation, unless it has ended.
#[utoipa::path(post, path = "/admin/v1/operations/{operation}/cancel", params(("operation" = String, Path)), responses(
    (status = 202, description = "It will end", body = OperationView),
    (status = 404, description = "This node has no such operation"),
    (status = 400, description = "The id is not one of an operation"),
))]
pub(in crate::api) async fn cancel_operation(
    State(state): State<AdminState>,
    Path(operation): Path<String>,
) -> Result<(hyper::StatusCode, Json<OperationView>), Error> {
    let view = state.operations.cancel(named::<OperationId>("operation", &operation)?)?;
    Ok((hyper::StatusCode::ACCEPTED, Json(view)))
}
