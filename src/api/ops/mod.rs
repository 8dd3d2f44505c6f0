//! Health, metrics and status.

mod readiness;
mod status;

use axum::{
    Json,
    extract::{FromRef, State},
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::IntoResponse,
};
use serde_json::{Value, json};

pub use readiness::Readiness;

use self::status::StatusBody;
use super::{admin::AdminState, http::error::NO_STORE, read::ReadState};
use crate::telemetry::metrics;

/// Whether the process runs.
pub(super) const LIVEZ: &str = "/livez";
/// Whether a load balancer should send requests here.
pub(super) const READYZ: &str = "/readyz";
/// The metrics.
pub(super) const METRICS: &str = "/metrics";
/// The status of the node and of the fleet.
pub(super) const STATUS: &str = "/status";

/// The word of a process that runs.
pub(super) const LIVE: &str = "live";

impl FromRef<ReadState> for Readiness {
    fn from_ref(state: &ReadState) -> Self {
        state.readiness().clone()
    }
}

type Health = (StatusCode, [(HeaderName, HeaderValue); 1], Json<Value>);

fn health(code: StatusCode, word: &str) -> Health {
    (code, [(CACHE_CONTROL, NO_STORE)], Json(json!({ "status": word })))
}

/// `GET /livez`: the process runs and answers.
pub(super) async fn livez() -> Health {
    health(StatusCode::OK, LIVE)
}

/// `GET /readyz`: whether a load balancer should send requests here.
pub(super) async fn readyz(State(readiness): State<Readiness>) -> Health {
    let code = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    health(code, readiness.state().as_str())
}

/// The metrics in OpenMetrics text.
#[utoipa::path(get, path = METRICS, responses((status = 200, description = "The metrics", body = String, content_type = metrics::CONTENT_TYPE)))]
pub(super) async fn show_metrics(State(state): State<AdminState>) -> impl IntoResponse {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], state.metrics.encode(&state.board.read(), state.clock.now()))
}

/// The status of the node, and under `fleet` that of all nodes.
#[utoipa::path(get, path = STATUS, responses((status = 200, description = "The status", body = Value)))]
pub(super) async fn show_status(State(state): State<AdminState>) -> Json<StatusBody> {
    let fleet = state.fleet.read().await;
    // The node's own status is read last, because reading the fleet's takes time.
    Json(StatusBody::new(state.board.read(), fleet))
}
