//! Health, metrics, status, and the answers to paths and methods that do not exist.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::{FromRef, State},
    http::{HeaderName, Response, StatusCode, header::CACHE_CONTROL},
    response::IntoResponse,
};
use serde_json::{Value, json};

use super::{
    codes::Code,
    error::{Error, NO_STORE},
    read::ReadState,
    readiness::Readiness,
    request_id::RequestId,
    status::StatusBody,
};
use crate::{
    admin::fleet::FleetReader,
    status::Board,
    support::clock::Clock,
    telemetry::{Metrics, metrics},
};

/// Whether the process runs.
pub(super) const LIVEZ: &str = "/livez";
/// Whether requests should be sent here.
pub(super) const READYZ: &str = "/readyz";
/// The metrics.
pub(super) const METRICS: &str = "/metrics";
/// What is announced and what is served.
pub(super) const STATUS: &str = "/status";

/// The word of a process that runs.
pub(super) const LIVE: &str = "live";
impl FromRef<ReadState> for Readiness {
    fn from_ref(state: &ReadState) -> Self {
        state.readiness().clone()
    }
}

/// What the admin listener needs to answer. Cheap to clone.
#[derive(Clone)]
pub struct AdminState {
    /// The node's counters.
    pub metrics: Metrics,
    /// For ages.
    pub clock: Clock,
    /// The node's status.
    pub board: Board,
    /// The fleet's.
    pub fleet: Arc<FleetReader>,
}

type Answer = (StatusCode, [(HeaderName, axum::http::HeaderValue); 1], Json<Value>);

fn status(code: StatusCode, word: &str) -> Answer {
    (code, [(CACHE_CONTROL, NO_STORE)], Json(json!({ "status": word })))
}

/// `/livez`: the process runs and answers.
pub(super) async fn livez() -> Answer {
    status(StatusCode::OK, LIVE)
}

/// `/readyz`: whether requests should be sent here.
pub(super) async fn readyz(State(state): State<Readiness>) -> Answer {
    let code = if state.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    status(code, state.word())
}

/// `/metrics` in OpenMetrics text.
pub(super) async fn metrics(State(state): State<AdminState>) -> impl IntoResponse {
    let headers = [(axum::http::header::CONTENT_TYPE, metrics::CONTENT_TYPE)];
    (headers, state.metrics.encode(&state.board.read(), state.clock.now()))
}

/// `/status` as JSON.
pub(super) async fn show_status(State(state): State<AdminState>) -> Json<StatusBody> {
    let fleet = state.fleet.read().await;
    // The local part after that: it is the newer one.
    Json(StatusBody::new(state.board.read(), fleet))
}

/// Any path that the public listener has not.
pub(super) async fn no_route(Extension(id): Extension<RequestId>) -> Response<Body> {
    refuse(&Code::RouteNotFound.into(), &id)
}

/// Any path that the admin listener has not.
pub(super) async fn no_admin_route(Extension(id): Extension<RequestId>) -> Response<Body> {
    refuse(&Error::no_route_but("/metrics and /status"), &id)
}

/// A method that a path does not answer.
pub(super) async fn no_method(Extension(id): Extension<RequestId>) -> Response<Body> {
    refuse(&Code::MethodNotAllowed.into(), &id)
}

/// The refusal, with its code beside it for whoever counts.
fn refuse(error: &Error, id: &RequestId) -> Response<Body> {
    let mut response = error.respond(id).map(Body::new);
    response.extensions_mut().insert(error.code());
    response
}
