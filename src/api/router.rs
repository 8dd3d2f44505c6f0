//! Every path of both listeners.
//!
//! Requests for records are answered by a plain call before axum's router runs: the router's captures, boxes
//! and clones cost as much as the look-up itself. All other paths go through axum.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::Body as RequestBody,
    extract::{DefaultBodyLimit, MatchedPath},
    http::Extensions,
    middleware::{Next, from_fn, from_fn_with_state},
    response::IntoResponse,
    routing::{get, options},
};
use futures::{StreamExt, future::ready};
use http_body_util::BodyExt;
use hyper::{
    Request, Response, StatusCode, Uri,
    body::{Body as _, Incoming},
    header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use tower::ServiceExt;
use tower_http::{
    catch_panic::CatchPanicLayer, compression::CompressionLayer, limit::RequestBodyLimitLayer,
    timeout::TimeoutLayer,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    admin::{self, AdminState},
    console,
    http::{
        answer::{Body, EVENT_STREAM, Endpoint, ResponseFuture},
        error::{Detail, Error, INTERNAL, Refusal},
        layers::{Arrival, Layers},
        request_id,
        unread::Unread,
    },
    openapi, ops,
    read::{self, Code, ReadState, RecordRequest},
};

/// Largest body of an admin request, in bytes: the largest configuration file as JSON.
const ADMIN_BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Longest time for an admin request, its body included.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(30);

/// The routes of the public listener, beside records.
fn public_routes() -> Router<ReadState> {
    Router::new()
        // HAProxy checks with OPTIONS.
        .route(ops::LIVEZ, get(ops::livez).options(ops::livez))
        .route(ops::READYZ, get(ops::readyz).options(ops::readyz))
        .route(openapi::PATH, get(openapi::answer))
}

/// The routes of the admin listener.
pub(super) fn admin_routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(ops::admin_livez))
        .routes(routes!(ops::admin_readyz))
        // HAProxy checks with OPTIONS here, too.
        .route(ops::LIVEZ, options(ops::livez))
        .route(ops::READYZ, options(ops::readyz))
        .routes(routes!(ops::show_metrics))
        .routes(routes!(ops::show_status))
        .routes(routes!(admin::whoami::show_caller))
        .routes(routes!(admin::collections::show_all))
        .routes(routes!(admin::collections::list_nodes))
        .routes(routes!(admin::collections::list_regions))
        .routes(routes!(admin::sources::show_configuration))
        .routes(routes!(admin::stored::whole::export_configuration))
        .routes(routes!(admin::stored::whole::import_configuration))
        .routes(routes!(admin::stored::whole::rotate_secrets))
        .routes(routes!(admin::sources::list_sources))
        .routes(routes!(
            admin::stored::sources::show_source,
            admin::stored::sources::put_source,
            admin::stored::sources::delete_source
        ))
        .routes(routes!(admin::stored::sources::list_source_versions))
        .routes(routes!(admin::stored::sources::undo_source))
        .routes(routes!(admin::sources::check_source))
        .routes(routes!(admin::sources::list_tables))
        .routes(routes!(admin::sources::list_columns))
        .routes(routes!(admin::sources::query_source))
        .routes(routes!(admin::sources::list_models))
        .routes(routes!(
            admin::stored::models::show_model,
            admin::stored::models::put_model,
            admin::stored::models::delete_model
        ))
        .routes(routes!(admin::stored::models::list_model_versions))
        .routes(routes!(admin::stored::models::undo_model))
        .routes(routes!(admin::sources::preview_model))
        .routes(routes!(admin::sources::check_key))
        .routes(routes!(admin::syncs::list_syncs))
        .routes(routes!(
            admin::syncs::show_sync,
            admin::stored::syncs::put_sync,
            admin::stored::syncs::delete_sync
        ))
        .routes(routes!(admin::stored::syncs::list_sync_versions))
        .routes(routes!(admin::stored::syncs::undo_sync))
        .routes(routes!(admin::syncs::preview_sync))
        .routes(routes!(admin::syncs::validate_sync))
        .routes(routes!(admin::syncs::start_run))
        .routes(routes!(admin::syncs::resume_sync))
        .routes(routes!(admin::runs::list_runs))
        .routes(routes!(admin::runs::show_run))
        .routes(routes!(admin::runs::list_rejected))
        .routes(routes!(admin::runs::cancel_run))
        .routes(routes!(admin::runs::approve_run))
        .routes(routes!(admin::runs::show_operation))
        .routes(routes!(admin::runs::cancel_operation))
        .routes(routes!(admin::collections::list_collections))
        .routes(routes!(admin::collections::show_collection, admin::collections::drop_collection))
        .routes(routes!(admin::collections::list_versions))
        .routes(routes!(admin::collections::await_served))
        .routes(routes!(admin::collections::roll_back))
        .routes(routes!(admin::collections::pin_region, admin::collections::unpin_region))
        .routes(routes!(admin::keys::list_keys, admin::keys::create_key))
        .routes(routes!(admin::keys::rotate_key))
        .routes(routes!(admin::keys::revoke_key))
        .routes(routes!(admin::keys::list_admin_keys, admin::keys::create_admin_key))
        .routes(routes!(admin::keys::revoke_admin_key))
        .routes(routes!(admin::login_links::create_login_link))
        .routes(routes!(admin::sessions::list_sessions))
        .routes(routes!(admin::sessions::end_session))
        .routes(routes!(admin::keys::list_audit))
        .routes(routes!(admin::events::stream_events))
}

/// Answers the requests of the public listener: records, health and its description.
pub fn public(state: ReadState) -> Endpoint {
    let counted = state.clone();
    let is_record = |path: &str| read::RawPath::of(path).is_some();
    let layers = Layers::new(is_record, move |row, took| counted.count_other(Code::of(row), took));
    let site = Arc::new(Site {
        layers,
        router: public_routes()
            .route_layer(from_fn(name_route))
            .layer(CatchPanicLayer::custom(panicked))
            .with_state(state.clone()),
        refusal_of: |status| match status {
            StatusCode::NOT_FOUND => Code::RouteNotFound.row(),
            StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed.row(),
            _ => INTERNAL,
        },
        takes_bodies: false,
    });
    Arc::new(move |request, peer| {
        site.layers.around(request, peer, |request, arrival| match RecordRequest::of(&request) {
            Some(asked) if asked.has_value_in_body() => {
                ResponseFuture::routed(read::answer_post(state.clone(), request, arrival))
            }
            Some(asked) if request.body().is_end_stream() => {
                ResponseFuture::ready(read::answer(&state, asked, &arrival))
            }
            Some(_) => ResponseFuture::routed(read::answer_despite_body(state.clone(), request, arrival)),
            None => ResponseFuture::routed(Arc::clone(&site).route(request, arrival)),
        })
    })
}

/// Answers the requests of the admin listener.
pub fn admin(state: AdminState) -> Endpoint {
    let (routes, _) = admin_routes().split_for_parts();
    let gate = from_fn_with_state(state.clone(), admin::gate::admit);
    // The fallback, and with it its gate, is that of the router that is merged.
    let routes = console::routes(&state).merge(routes.layer(gate));
    let site = Arc::new(admin_site(routes.with_state(state)));
    Arc::new(move |request, peer| {
        let routed = |request, arrival| ResponseFuture::routed(Arc::clone(&site).route(request, arrival));
        site.layers.around(request, peer, routed)
    })
}

fn admin_site(routes: Router) -> Site {
    let router = routes
        .route_layer(from_fn(name_route))
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyLimitLayer::new(ADMIN_BODY_BYTES_MAX))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, ADMIN_TIMEOUT))
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::custom(panicked));
    let layers = Layers::new(|_| false, |_, _| {});
    Site { layers, router, refusal_of: admin::codes::of_status, takes_bodies: true }
}

/// `target` without the slash at its end, which changes nothing.
fn without_slash(target: &Uri) -> Option<Uri> {
    let path = target.path().strip_suffix('/').filter(|path| !path.is_empty())?;
    let query = target.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{path}{query}").parse().ok()
}

/// Adds the route's path to the answer, for the log.
async fn name_route(route: MatchedPath, request: axum::extract::Request, next: Next) -> impl IntoResponse {
    (Extension(route), next.run(request).await)
}

/// A panic ends one request only. Its message may hold a value: the panic hook logs its place.
fn panicked(_: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    IntoResponse::into_response(Error::from(INTERNAL))
}

/// A listener's router and its layers.
struct Site {
    layers: Layers,
    router: Router,
    /// The row for answers of axum and of its layers, which have no body of ours.
    refusal_of: fn(StatusCode) -> Refusal,
    takes_bodies: bool,
}

impl Site {
    async fn route(self: Arc<Self>, request: Request<Incoming>, arrival: Arrival) -> Response<Body> {
        let (mut head, body) = request.into_parts();
        head.uri = without_slash(&head.uri).unwrap_or(head.uri);
        if self.takes_bodies {
            let request = Request::from_parts(head, RequestBody::new(body));
            return self.answer(request, &arrival).await;
        }
        let unread = Unread::new(&head, body);
        let request = Request::from_parts(head, RequestBody::empty());
        unread.before(self.answer(request, &arrival).await).await
    }

    async fn answer(&self, mut request: Request<RequestBody>, arrival: &Arrival) -> Response<Body> {
        request.extensions_mut().insert(arrival.clone());
        let Ok(answer) = self.router.clone().oneshot(request).await;
        let (mut head, body) = answer.into_parts();
        let route = head.extensions.remove::<MatchedPath>();
        let error = head.extensions.remove::<Error>().or_else(|| {
            let is_bare = (head.status.is_client_error() || head.status.is_server_error())
                && !head.headers.get(CONTENT_TYPE).is_some_and(is_ours);
            is_bare.then(|| Error::new((self.refusal_of)(head.status), detail(&head.headers)))
        });
        if head.headers.get(CONTENT_TYPE) == Some(&EVENT_STREAM) {
            let events = body.into_data_stream().take_while(|piece| ready(piece.is_ok()));
            let events = events.filter_map(|piece| ready(piece.ok())).boxed();
            head.headers.insert(request_id::HEADER, arrival.id.header());
            head.extensions.extend(route.map(with_route).unwrap_or_default());
            return Response::from_parts(head, Body::from(events));
        }
        // Every other route answers with bytes in memory.
        let answer = match (error, body.collect().await) {
            (None, Ok(body)) => Ok(Response::from_parts(head, Body::from(body.to_bytes()))),
            (error, _) => Err(error.unwrap_or_else(|| INTERNAL.into())),
        };
        let mut answer = answer.unwrap_or_else(|error| {
            self.layers.count(error.code(), arrival);
            error.respond(&arrival.id)
        });
        answer.headers_mut().insert(request_id::HEADER, arrival.id.header());
        if let Some(route) = route {
            answer.extensions_mut().insert(route);
        }
        answer
    }
}

/// Extensions with the path of a route, for the log.
fn with_route(route: MatchedPath) -> Extensions {
    let mut extensions = Extensions::new();
    extensions.insert(route);
    extensions
}

/// Whether a handler has made the body of a refusal itself: JSON or a page. Those of axum are plain text.
fn is_ours(content_type: &HeaderValue) -> bool {
    let of = content_type.as_bytes();
    of.starts_with(b"application/json") || of.starts_with(b"text/html")
}

/// The methods that axum names in `Allow`.
fn detail(headers: &HeaderMap) -> Detail {
    let methods = headers.get(ALLOW).and_then(|methods| methods.to_str().ok());
    let methods = methods.and_then(|methods| HeaderValue::from_str(&methods.replace(',', ", ")).ok());
    methods.map_or(Detail::None, Detail::Methods)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use axum::{Json, routing::post};
    use serde_json::{Value, json};

    use super::*;
    use crate::api::http::request_id::RequestIds;

    /// Routes as further admin routes are: they read a body, fail, panic, or take too long.
    fn site() -> Site {
        let routes = Router::new()
            .route("/echo", post(async |Json(body): Json<Value>| Json(body)))
            .route("/refused", get(async || Error::from(INTERNAL)))
            .route("/failed", get(async || Error::from(crate::admin::Error::UnknownRun("1".into()))))
            .route("/panic", get(async || -> String { panic!("a secret") }))
            .route("/slow", get(std::future::pending::<()>));
        admin_site(routes)
    }

    async fn ask(method: &str, target: &str, body: impl Into<RequestBody>) -> (u16, String) {
        let request = Request::builder().method(method).uri(target).header(CONTENT_TYPE, "application/json");
        let (id, peer) = (RequestIds::new().id_of(&HeaderMap::new()), [127, 0, 0, 1].into());
        let arrival = Arrival { id, at: Instant::now(), peer };
        let answer = site().answer(request.body(body.into()).unwrap(), &arrival).await;
        assert_eq!(answer.headers()[request_id::HEADER], arrival.id.header());
        let status = answer.status().as_u16();
        let body = answer.into_body().into_bytes();
        let json: Value = serde_json::from_slice(&body).unwrap();
        match &json["error"]["code"] {
            Value::String(code) => {
                assert_eq!(json["error"]["request_id"], arrival.id.as_str());
                (status, code.clone())
            }
            _ => (status, json.to_string()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn admin_routes_take_bodies_and_every_refusal_is_json() {
        let echo = json!({ "a": 1 }).to_string();
        assert_eq!(ask("POST", "/echo", echo.clone()).await, (200, echo));
        let large = format!("\"{}\"", "x".repeat(ADMIN_BODY_BYTES_MAX));
        for (method, target, body, status, code) in [
            ("POST", "/echo", "{".to_owned(), 400, "invalid_input"),
            ("POST", "/echo", large, 413, "body_too_large"),
            ("GET", "/echo", String::new(), 405, "method_not_allowed"),
            ("GET", "/nowhere", String::new(), 404, "route_not_found"),
            ("GET", "/refused", String::new(), 500, "internal"),
            ("GET", "/failed", String::new(), 404, "unknown_run"),
            ("GET", "/panic", String::new(), 500, "internal"),
            ("GET", "/slow", String::new(), 408, "request_timeout"),
        ] {
            assert_eq!(ask(method, target, body).await, (status, code.to_owned()), "{method} {target}");
        }
    }
}
