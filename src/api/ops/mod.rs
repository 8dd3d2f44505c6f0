//! Health, metrics and status.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRef, State},
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::IntoResponse,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{admin::AdminState, http::error::NO_STORE, read::ReadState};
use crate::{
    admin::fleet::FleetStatus,
    status::{Board, NodeState, NodeStatus},
    support::shutdown::Shutdown,
    telemetry::metrics,
};

/// Whether the process runs.
pub(super) const LIVEZ: &str = "/livez";
/// Whether a load balancer should send requests here.
pub(super) const READYZ: &str = "/readyz";
pub(super) const METRICS: &str = "/metrics";
/// The status of the node and of the fleet.
pub(super) const STATUS: &str = "/status";

/// The word of a process that runs.
pub(super) const LIVE: &str = "live";

/// The state behind `/readyz`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Readiness {
    board: Board,
    drain: Shutdown,
}

impl Readiness {
    /// The readiness of the node that `board` shows. `drain` is the token that the listener drains on, and
    /// ends readiness at once.
    pub fn new(board: Board, drain: Shutdown) -> Self {
        Self { board, drain }
    }

    /// `ready`, `starting`, `draining` or `publisher`. A node that only publishes has nothing to load, and is
    /// not `starting`.
    pub fn state(&self) -> NodeState {
        let (is_publisher_only, is_ready) =
            self.board.view(|status| (status.is_publisher_only(), status.ready));
        match () {
            () if self.drain.is_cancelled() => NodeState::Draining,
            () if is_publisher_only => NodeState::Publisher,
            () if is_ready => NodeState::Ready,
            () => NodeState::Starting,
        }
    }

    /// Whether the node has everything that its roles need.
    pub fn is_ready(&self) -> bool {
        matches!(self.state(), NodeState::Ready | NodeState::Publisher)
    }
}

impl FromRef<ReadState> for Readiness {
    fn from_ref(state: &ReadState) -> Self {
        state.readiness().clone()
    }
}

/// A word for the state.
#[derive(Serialize, ToSchema)]
pub(super) struct HealthBody {
    status: String,
}

type Health = (StatusCode, [(HeaderName, HeaderValue); 1], Json<HealthBody>);

fn health(code: StatusCode, word: &str) -> Health {
    (code, [(CACHE_CONTROL, NO_STORE)], Json(HealthBody { status: word.to_owned() }))
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

/// The process runs and answers.
#[utoipa::path(get, path = LIVEZ, responses((status = 200, description = "The process runs", body = HealthBody)))]
pub(super) async fn admin_livez() -> Health {
    livez().await
}

/// Whether the node has everything that its roles need, as the public listener says it.
#[utoipa::path(get, path = READYZ, responses(
    (status = 200, description = "It is ready", body = HealthBody),
    (status = 503, description = "It is starting or draining", body = HealthBody),
))]
pub(super) async fn admin_readyz(readiness: State<Readiness>) -> Health {
    readyz(readiness).await
}

/// The metrics in OpenMetrics text.
#[utoipa::path(get, path = METRICS, responses((status = 200, description = "The metrics", body = String, content_type = metrics::CONTENT_TYPE)))]
pub(super) async fn show_metrics(State(state): State<AdminState>) -> impl IntoResponse {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], state.metrics.encode(&state.board.read(), state.clock.now()))
}

/// The status of this node, and under `fleet` that of all nodes as the store has it.
#[derive(Serialize, ToSchema)]
pub(super) struct StatusBody {
    state: NodeState,
    #[serde(flatten)]
    node: NodeStatus,
    #[schema(value_type = FleetStatus)]
    fleet: Arc<FleetStatus>,
}

/// The status of the node, and under `fleet` that of all nodes.
#[utoipa::path(get, path = STATUS, responses((status = 200, description = "The status", body = StatusBody)))]
pub(super) async fn show_status(State(state): State<AdminState>) -> Json<StatusBody> {
    let fleet = state.fleet.read().await;
    // The node's own status is read last, because reading the fleet's takes time.
    let node = state.board.read();
    Json(StatusBody { state: node.state(), node, fleet })
}
