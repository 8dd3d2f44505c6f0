//! Every path of both listeners.
//!
//! A record is answered by a plain call before the router is asked: the router's captures, boxes
//! and clones cost as much as the look-up itself. All other paths go through axum.

use std::panic::AssertUnwindSafe;

use axum::{Router, routing::get};
use futures::FutureExt;
use http_body_util::Either;
use hyper::{Request, body::Incoming};
use tower::Service;

use super::{
    codes::Code,
    error::Error,
    layers::{Inbound, Layers},
    ops::{self, AdminState},
    read::{self, RawPath, ReadState},
    reply::Answering,
    request_id,
};

/// Answers the requests of one listener. A clone per connection.
pub trait Answer: Fn(Request<Incoming>) -> Answering + Clone + Send + Sync + 'static {}

impl<F: Fn(Request<Incoming>) -> Answering + Clone + Send + Sync + 'static> Answer for F {}

/// The public listener: records and health.
pub fn public(state: ReadState) -> impl Answer {
    let layers = Layers::new(Some(state.others().clone()));
    let router = Router::new()
        .route("/livez", get(ops::livez))
        .route("/livez/", get(ops::livez))
        .route("/readyz", get(ops::readyz))
        .route("/readyz/", get(ops::readyz))
        .fallback(ops::no_route)
        .method_not_allowed_fallback(ops::no_method)
        .with_state(state.clone());
    move |request| {
        layers.around(request, |inbound| match RawPath::of(inbound.request.uri().path()) {
            Some(path) => {
                let Inbound { request, arrival } = &inbound;
                let answer = read::answer(&state, path, request.method(), request.headers(), arrival);
                Answering::ready(answer.map(Either::Left))
            }
            None => route(&router, &layers, inbound),
        })
    }
}

/// The admin listener: metrics and status.
pub fn admin(state: AdminState) -> impl Answer {
    let layers = Layers::new(None);
    let router = Router::new()
        .route("/metrics", get(ops::metrics))
        .route("/metrics/", get(ops::metrics))
        .route("/status", get(ops::show_status))
        .route("/status/", get(ops::show_status))
        .fallback(ops::no_route)
        .method_not_allowed_fallback(ops::no_method)
        .with_state(state);
    move |request| layers.around(request, |inbound| route(&router, &layers, inbound))
}

/// Lets the router answer; a panic there ends one request only.
fn route(router: &Router, layers: &Layers, inbound: Inbound) -> Answering {
    let (mut router, layers) = (router.clone(), layers.clone());
    let Inbound { mut request, arrival } = inbound;
    request.extensions_mut().insert(arrival.id.clone());
    Answering::Routed(Box::pin(async move {
        let outcome = AssertUnwindSafe(router.call(request)).catch_unwind().await;
        let Ok(Ok(mut answer)) = outcome else {
            layers.count(Code::Internal, &arrival);
            return Error::from(Code::Internal).respond(&arrival.id).map(Either::Left);
        };
        if let Some(&code) = answer.extensions().get::<Code>() {
            layers.count(code, &arrival);
        }
        answer.headers_mut().insert(request_id::HEADER, arrival.id.header());
        answer.map(Either::Right)
    }))
}
