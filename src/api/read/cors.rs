//! Cross-origin requests of browsers (Fetch Standard, "CORS protocol"), for collections that name origins.

use std::{convert::Infallible, future::ready, time::Duration};

use futures::FutureExt;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{
        AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH, ORIGIN, RETRY_AFTER,
    },
};
use tower::{Layer, ServiceExt, service_fn};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{
    ReadState,
    authorised::API_KEY,
    handler::RecordRequest,
    version_view::{DATA_AS_OF, DATA_STALE, DATA_VERSION},
};
use crate::{
    api::http::{answer::Body, layers::Arrival, request_id},
    cache::Slot,
    domain::manifest::CorsSettings,
};

/// The header with which a browser asks whether it may send a request.
const REQUEST_METHOD: HeaderName = HeaderName::from_static("access-control-request-method");
/// Headers of answers that a page may read.
const EXPOSED: [HeaderName; 6] =
    [ETAG, RETRY_AFTER, DATA_VERSION, DATA_AS_OF, DATA_STALE, request_id::HEADER];
/// Headers of requests that a page may set.
const ALLOWED: [HeaderName; 4] = [AUTHORIZATION, CONTENT_TYPE, IF_NONE_MATCH, API_KEY];

/// The layer that adds a collection's headers. Credentials mode is off: a page sends a token, never a cookie.
pub(super) fn layer(settings: &CorsSettings) -> CorsLayer {
    let origins = settings.origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::HEAD, Method::POST])
        .allow_headers(ALLOWED)
        .expose_headers(EXPOSED)
        .max_age(Duration::from_secs(settings.max_age_seconds))
        // The answers of such a collection have it already.
        .vary([])
}

/// The answer to a browser that asks whether it may send a request; `None` for any other request, and for a collection
/// that names no origins.
pub(super) fn preflight(
    state: &ReadState,
    request: &RecordRequest<'_>,
    arrival: &Arrival,
) -> Option<Response<Body>> {
    if *request.method != Method::OPTIONS || !request.headers.contains_key(REQUEST_METHOD) {
        return None;
    }
    let mut answer = apply(&layer_of(state, request)?, request.method, request.headers, Response::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer.headers_mut().insert(request_id::HEADER, arrival.id.header());
    Some(answer)
}

/// Adds the headers with which a browser gives the answer to the page that asked, if its origin is allowed.
pub(super) fn complete(
    state: &ReadState,
    request: Option<&RecordRequest<'_>>,
    answer: Response<Body>,
) -> Response<Body> {
    let Some(request) = request.filter(|request| request.headers.contains_key(ORIGIN)) else { return answer };
    match layer_of(state, request) {
        // As for GET: the layer would take the place of an answer to OPTIONS.
        Some(layer) => apply(&layer, &Method::GET, request.headers, answer),
        None => answer,
    }
}

/// The layer of the collection that the request names, if that is loaded and names origins.
fn layer_of(state: &ReadState, request: &RecordRequest<'_>) -> Option<CorsLayer> {
    request.headers.get(ORIGIN)?;
    let path = request.path.decode().ok()?;
    let Slot::Loaded(collection) = state.inner().cache.collection(&path.collection) else { return None };
    let served = collection.state();
    served.manifest.serving.cors.as_ref()?;
    state.inner().views.of(&served, &state.inner().metrics).cors().cloned()
}

/// The answer as the layer completes it. Nothing in it waits.
fn apply(layer: &CorsLayer, method: &Method, headers: &HeaderMap, answer: Response<Body>) -> Response<Body> {
    let mut request = Request::new(());
    *request.method_mut() = method.clone();
    let origin = headers.get(ORIGIN).map(|origin| (ORIGIN, origin.clone()));
    request.headers_mut().extend(origin);
    let mut answer = Some(answer);
    let inner =
        service_fn(move |_: Request<()>| ready(Ok::<_, Infallible>(answer.take().unwrap_or_default())));
    match layer.layer(inner).oneshot(request).now_or_never() {
        Some(Ok(answer)) => answer,
        None => Response::default(),
    }
}
