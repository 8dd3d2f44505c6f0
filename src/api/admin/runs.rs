//! `GET /admin/v1/runs`: the newest sync runs.

use axum::{Json, extract::Query};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Publishing, codes};
use crate::{
    admin::{RUNS_LISTED_MAX, RunsFilter},
    api::http::error::Error,
    domain::RunRecord,
};

/// How many runs are listed when the request does not say.
const LIMIT_DEFAULT: usize = 50;

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct RunsQuery {
    /// The newest so many, from 1 to 1,000.
    #[serde(default = "limit_default")]
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: usize,
}

const fn limit_default() -> usize {
    LIMIT_DEFAULT
}

/// The newest sync runs of all publishers, newest first, as `larder runs --json` shows them.
#[utoipa::path(get, path = "/admin/v1/runs", params(RunsQuery), responses(
    (status = 200, description = "The runs", body = Vec<serde_json::Value>),
    (status = 404, description = "This node does not publish"),
    (status = 503, description = "The publishing side is not up, or the metadata database does not answer"),
))]
pub(in crate::api) async fn list_runs(
    Publishing(publisher): Publishing,
    Query(query): Query<RunsQuery>,
) -> Result<Json<Vec<RunRecord>>, Error> {
    if !(1..=RUNS_LISTED_MAX).contains(&query.limit) {
        return Err(codes::INVALID_INPUT.into());
    }
    let filter = RunsFilter { sync: None, announced: false, limit: query.limit };
    Ok(Json(publisher.admin().runs(filter).await?))
}
