//! `/admin/v1/collections`: what is announced, its versions, and undoing.

use std::{collections::BTreeSet, time::Duration};

use axum::{
    Json,
    extract::{Path, Query, State},
    response::IntoResponse,
};
use chrono::{DateTime, Utc};
use hyper::header::{ETAG, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::{
    AdminState, Publishing, codes, etag,
    failure::Failure,
    gate::Caller,
    input::{Headers, Input, LIMIT_MAX, detached, invalid, limit, named, request_key},
    page::Page,
    sources::ListQuery,
};
use crate::{
    admin::{
        self, CollectionStatus, Dropped, Pinned, Publisher, RolledBack, ServableVersion, Status, Unpinned,
        fleet::{FleetStatus, NodeView, Served, StoreProblem},
    },
    api::http::error::Error,
    domain::{CollectionName, RegionName, Version},
};

/// Longest time that a request waits for nodes to serve a version: shorter than that of the listener.
const WAIT_SECONDS_MAX: u64 = 25;

/// A version, as it may be named.
pub(in crate::api) fn version(number: u64) -> Result<Version, Error> {
    let is_one = (1..=i64::MAX.unsigned_abs()).contains(&number);
    if is_one { Ok(Version(number)) } else { Err(invalid("version must be a whole number from 1")) }
}

/// The tag of what an operator changes of a collection: its version, pins, pause and regions.
pub(in crate::api) fn tag(status: &CollectionStatus) -> HeaderValue {
    let CollectionStatus { version, regions, dropped, paused, pins, .. } = status;
    etag::tag(&(version, regions, dropped, paused, pins))
}

/// Refuses the change of a collection whose state is not the one that `If-Match` names.
async fn check_unchanged(
    state: &AdminState,
    publisher: &Publisher,
    name: &CollectionName,
    headers: &Headers,
) -> Result<(), Error> {
    if is_unchanged(state, publisher, name, headers).await? {
        Ok(())
    } else {
        Err(codes::PRECONDITION_FAILED.into())
    }
}

/// Whether a collection is in the state that `If-Match` names, if the request has it.
async fn is_unchanged(
    state: &AdminState,
    publisher: &Publisher,
    name: &CollectionName,
    headers: &Headers,
) -> Result<bool, admin::Error> {
    if !headers.0.contains_key(hyper::header::IF_MATCH) {
        return Ok(true);
    }
    let status = state.overview.collection(Some(&publisher.admin()), name).await?;
    Ok(etag::check(&headers.0, &tag(&status)).is_ok())
}

/// The announced collections and the configured syncs, by name, with freshness, runs, pins and problems.
#[utoipa::path(get, path = "/admin/v1/collections", params(ListQuery), responses(
    (status = 200, description = "A page of collections", body = Page<CollectionStatus>),
    (status = 400, description = "A parameter is wrong"),
))]
pub(in crate::api) async fn list_collections(
    State(state): State<AdminState>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<CollectionStatus>>, Error> {
    let limit = limit(query.limit)?;
    let after =
        query.cursor.as_deref().map(|cursor| named::<CollectionName>("cursor", cursor)).transpose()?;
    let admin = state.admin();
    let found = state.overview.collections(admin.as_ref(), after.as_ref(), limit + 1).await?;
    Ok(Json(Page::of(found, limit, |one| one.collection.to_string())))
}

/// One collection. `ETag` changes with its version, pins, pause and regions.
#[utoipa::path(get, path = "/admin/v1/collections/{collection}", params(("collection" = String, Path)), responses(
    (status = 200, description = "The collection", body = CollectionStatus),
    (status = 404, description = "There is no such collection or sync"),
    (status = 400, description = "The name is not one of a collection"),
))]
pub(in crate::api) async fn show_collection(
    State(state): State<AdminState>,
    Path(collection): Path<String>,
) -> Result<impl IntoResponse, Error> {
    let name = named("collection", &collection)?;
    let status = state.overview.collection(state.admin().as_ref(), &name).await?;
    Ok(([(ETAG, tag(&status))], Json(status)))
}

/// How many versions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct VersionsQuery {
    /// Look at so many manifests at most, from 1 to 1,000.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// The versions of a collection that can be served, newest first: those to roll back or pin to.
#[utoipa::path(get, path = "/admin/v1/collections/{collection}/versions", params(("collection" = String, Path), VersionsQuery), responses(
    (status = 200, description = "A page of versions", body = Page<ServableVersion>),
    (status = 404, description = "There is no such collection"),
    (status = 400, description = "The name or a parameter is wrong"),
))]
pub(in crate::api) async fn list_versions(
    State(state): State<AdminState>,
    Path(collection): Path<String>,
    Query(query): Query<VersionsQuery>,
) -> Result<Json<Page<ServableVersion>>, Error> {
    let (name, limit) = (named("collection", &collection)?, limit(query.limit)?);
    Ok(Json(versions(&state, &name, limit, query.cursor.as_deref()).await?))
}

/// A page of the versions of a collection that can be served, the newest first.
pub(in crate::api) async fn versions(
    state: &AdminState,
    name: &CollectionName,
    limit: usize,
    cursor: Option<&str>,
) -> Result<Page<ServableVersion>, Error> {
    let before = cursor.map(|cursor| named::<u64>("cursor", cursor)).transpose()?;
    // There are few versions: their manifests are read again for each page.
    let read = if before.is_none() { limit + 1 } else { LIMIT_MAX };
    let mut found = state.overview.versions(state.admin().as_ref(), name, read).await?;
    found.retain(|one| before.is_none_or(|before| one.version.0 < before));
    Ok(Page::of(found, limit, |one| one.version.to_string()))
}

/// Which version, and how long to wait.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct ServedQuery {
    /// The version.
    #[param(minimum = 1)]
    version: u64,
    /// How long to wait, in seconds, up to 25.
    #[serde(default)]
    #[param(minimum = 0, maximum = 25, default = 0)]
    seconds: u64,
}

/// Whether a version is served.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Awaited {
    /// By which nodes; null if some do not serve it in time.
    served: Option<Served>,
    /// Which do not.
    error: Option<Failure>,
}

/// Waits until every live node that serves the collection has a version. `served` is null when they do not in time, and
/// `error` says which.
#[utoipa::path(get, path = "/admin/v1/collections/{collection}/served", params(("collection" = String, Path), ServedQuery), responses(
    (status = 200, description = "Whether every live node serves it", body = Awaited),
    (status = 404, description = "There is no such collection"),
    (status = 400, description = "The name or a parameter is wrong"),
))]
pub(in crate::api) async fn await_served(
    State(state): State<AdminState>,
    Path(collection): Path<String>,
    Query(query): Query<ServedQuery>,
) -> Result<Json<Awaited>, Error> {
    let name = named("collection", &collection)?;
    if query.seconds > WAIT_SECONDS_MAX {
        return Err(invalid(format!("seconds must be at most {WAIT_SECONDS_MAX}")));
    }
    let patience = Duration::from_secs(query.seconds);
    let version = version(query.version)?;
    // Of a collection that does not exist no node serves anything.
    let newest = state.overview.collection(None, &name).await?.version;
    if newest.is_none_or(|newest| newest < version.0) {
        return Err(invalid(format!("version {version} of {name} is not announced")));
    }
    match state.overview.await_version(&name, version, patience).await {
        Ok(served) => Ok(Json(Awaited { served: Some(served), error: None })),
        Err(error @ (admin::Error::NodesBehind { .. } | admin::Error::NoLiveNode { .. })) => {
            Ok(Json(Awaited { served: None, error: Some(Failure::of(&error)) }))
        }
        Err(error) => Err(error.into()),
    }
}

/// The version to go to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct ToVersion {
    /// A version that can be served.
    #[schema(minimum = 1)]
    version: u64,
}

/// Announces the content of an earlier version again under a new number, and pauses the sync.
#[utoipa::path(post, path = "/admin/v1/collections/{collection}/rollback", params(("collection" = String, Path), ("If-Match" = Option<String>, Header), ("Idempotency-Key" = Option<String>, Header)), request_body = ToVersion, responses(
    (status = 200, description = "It is rolled back", body = RolledBack),
    (status = 404, description = "There is no such collection or version, or this node does not publish"),
    (status = 400, description = "The body is wrong, or the version is the present one"),
    (status = 409, description = "Another change came first, or is in progress, or the Idempotency-Key came with another request"),
    (status = 412, description = "The collection is not in the state that If-Match names"),
))]
pub(in crate::api) async fn roll_back(
    State(state): State<AdminState>,
    Publishing(publisher): Publishing,
    caller: Caller,
    Path(collection): Path<String>,
    headers: Headers,
    Input { value, digest }: Input<ToVersion>,
) -> Result<Json<Value>, Error> {
    let name = named("collection", &collection)?;
    let to = version(value.version)?;
    let key = request_key(&headers.0, &caller, &format!("roll back {name}"), digest)?;
    let act = async move {
        let admin = publisher.admin();
        let act = async {
            if !is_unchanged(&state, &publisher, &name, &headers).await? {
                return Err(admin::Error::CollectionChanged(name.clone()));
            }
            let done = json!(publisher.rollback(&name, to, caller.principal()).await?);
            Ok((done.clone(), done))
        };
        Box::pin(admin.once(key, act)).await
    };
    Ok(Json(Box::pin(detached(act)).await?.0))
}

/// Pins a region to a version, while the others follow the newest.
#[utoipa::path(put, path = "/admin/v1/collections/{collection}/pins/{region}", params(("collection" = String, Path), ("region" = String, Path), ("If-Match" = Option<String>, Header)), request_body = ToVersion, responses(
    (status = 200, description = "It is pinned", body = Pinned),
    (status = 404, description = "There is no such collection or version, or this node does not publish"),
    (status = 400, description = "The body or a name is wrong, or the region does not serve the collection"),
    (status = 409, description = "Other changes came first"),
    (status = 412, description = "The collection is not in the state that If-Match names"),
))]
pub(in crate::api) async fn pin_region(
    State(state): State<AdminState>,
    Publishing(publisher): Publishing,
    caller: Caller,
    Path((collection, region)): Path<(String, String)>,
    headers: Headers,
    Input { value, .. }: Input<ToVersion>,
) -> Result<Json<Pinned>, Error> {
    let (name, region) = (named("collection", &collection)?, named::<RegionName>("region", &region)?);
    let to = version(value.version)?;
    check_unchanged(&state, &publisher, &name, &headers).await?;
    let done = detached(async move { publisher.pin(&name, &region, to, caller.principal()).await });
    Ok(Json(done.await?))
}

/// Lets a pinned region follow the newest version again.
#[utoipa::path(delete, path = "/admin/v1/collections/{collection}/pins/{region}", params(("collection" = String, Path), ("region" = String, Path), ("If-Match" = Option<String>, Header)), responses(
    (status = 200, description = "It follows the newest version", body = Unpinned),
    (status = 404, description = "There is no such collection, or this node does not publish"),
    (status = 400, description = "A name is wrong, or the region is not pinned"),
    (status = 409, description = "Other changes came first"),
    (status = 412, description = "The collection is not in the state that If-Match names"),
))]
pub(in crate::api) async fn unpin_region(
    State(state): State<AdminState>,
    Publishing(publisher): Publishing,
    caller: Caller,
    Path((collection, region)): Path<(String, String)>,
    headers: Headers,
) -> Result<Json<Unpinned>, Error> {
    let (name, region) = (named("collection", &collection)?, named::<RegionName>("region", &region)?);
    check_unchanged(&state, &publisher, &name, &headers).await?;
    let done = detached(async move { publisher.unpin(&name, &region, caller.principal()).await });
    Ok(Json(done.await?))
}

/// Removes a collection; readers see it as one that never was.
#[utoipa::path(delete, path = "/admin/v1/collections/{collection}", params(("collection" = String, Path), ("If-Match" = Option<String>, Header)), responses(
    (status = 200, description = "It is dropped", body = Dropped),
    (status = 404, description = "There is no such collection, or this node does not publish"),
    (status = 400, description = "The name is not one of a collection"),
    (status = 409, description = "A run or another change is in progress"),
    (status = 412, description = "The collection is not in the state that If-Match names"),
))]
pub(in crate::api) async fn drop_collection(
    State(state): State<AdminState>,
    Publishing(publisher): Publishing,
    caller: Caller,
    Path(collection): Path<String>,
    headers: Headers,
) -> Result<Json<Dropped>, Error> {
    let name = named("collection", &collection)?;
    check_unchanged(&state, &publisher, &name, &headers).await?;
    let done = detached(async move { publisher.drop_collection(&name, caller.principal()).await });
    Ok(Json(done.await?))
}

/// The status of everything, as `larder status --json` shows it: announced collections, and nodes by region.
#[utoipa::path(get, path = "/admin/v1/status", responses((status = 200, description = "The status", body = Status)))]
pub(in crate::api) async fn show_all(State(state): State<AdminState>) -> Result<Json<Status>, Error> {
    let mut status = state.overview.status(state.admin().as_ref()).await?;
    status.fleet = Some((*state.fleet.read().await).clone());
    Ok(Json(status))
}

/// A page of nodes.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct NodesPage {
    items: Vec<NodeView>,
    /// The cursor of the next page; null on the last one.
    next: Option<String>,
    /// When the statuses were last read.
    read_at: Option<DateTime<Utc>>,
    /// Why the last read failed.
    problem: Option<StoreProblem>,
    /// Nodes left off because there are too many.
    left_off: usize,
}

/// The nodes that have written a status lately, by region and id.
#[utoipa::path(get, path = "/admin/v1/nodes", params(ListQuery), responses(
    (status = 200, description = "A page of nodes", body = NodesPage),
    (status = 400, description = "A parameter is wrong"),
))]
pub(in crate::api) async fn list_nodes(
    State(state): State<AdminState>,
    Query(query): Query<ListQuery>,
) -> Result<Json<NodesPage>, Error> {
    let limit = limit(query.limit)?;
    let FleetStatus { read_at, problem, left_off, nodes } = (*state.fleet.read().await).clone();
    let mut nodes: Vec<_> =
        nodes.into_iter().map(|node| (format!("{}/{}", node.region, node.node), node)).collect();
    nodes.sort_by(|(one, _), (other, _)| one.cmp(other));
    let Page { items, next } = Page::by_name(nodes, limit, query.cursor.as_deref());
    Ok(Json(NodesPage { items, next, read_at, problem, left_off }))
}

/// The regions from which a node has reported lately, or that a sync or an announced collection names; null when there
/// are too many nodes to read.
#[utoipa::path(get, path = "/admin/v1/regions", responses((status = 200, description = "The names", body = Option<Vec<RegionName>>)))]
pub(in crate::api) async fn list_regions(
    State(state): State<AdminState>,
) -> Result<Json<Option<BTreeSet<RegionName>>>, Error> {
    Ok(Json(state.overview.known_regions().await?))
}
