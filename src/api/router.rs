//! Every path of both listeners.
//!
//! A record is answered by a plain call before the router is asked: the router's captures, boxes
//! and clones cost as much as the look-up itself. All other paths go through axum.

use std::{panic::AssertUnwindSafe, sync::Arc};

use axum::{
    Router,
    routing::{MethodRouter, get},
};
use futures::FutureExt;
use http_body_util::BodyExt;
use hyper::{
    Request, Response,
    body::{Body as _, Bytes, Incoming},
};
use tower::Service;

use super::{
    codes::Code,
    error::Error,
    layers::{Arrival, Inbound, Layers},
    openapi,
    ops::{self, AdminState},
    read::{self, Asked, ReadState},
    reply::{Answering, Body},
    request_id,
    unread::Unread,
};

/// Answers the requests of one listener. A clone per connection.
pub trait Answer: Clone + Send + Sync + Unpin + 'static {
    /// Answers a request.
    fn answer(&self, request: Request<Incoming>) -> Answering;
    /// Refuses what never became a request.
    fn refusal(&self, code: Code) -> Response<Bytes>;
}

/// What is behind the layers of a listener.
#[derive(Clone)]
struct Site<F> {
    layers: Arc<Layers>,
    inner: F,
}

impl<F> Answer for Site<F>
where
    F: Fn(&Arc<Layers>, Inbound) -> Answering + Clone + Send + Sync + Unpin + 'static,
{
    fn answer(&self, request: Request<Incoming>) -> Answering {
        self.layers.around(request, |inbound| (self.inner)(&self.layers, inbound))
    }

    fn refusal(&self, code: Code) -> Response<Bytes> {
        self.layers.refusal(code)
    }
}

/// The public listener: records, health and the description of both.
pub fn public(state: ReadState) -> impl Answer {
    let layers = Arc::new(Layers::new(Some(state.others().clone())));
    let routes = [
        (ops::LIVEZ, get(ops::livez)),
        (ops::READYZ, get(ops::readyz)),
        (openapi::PATH, get(openapi::answer)),
    ];
    let router = routed(routes)
        .fallback(ops::no_route)
        .method_not_allowed_fallback(ops::no_method)
        .with_state(state.clone());
    let inner = move |layers: &Arc<Layers>, inbound: Inbound| match Asked::of(&inbound.request) {
        Some(asked) if asked.is_by_post() => {
            let Inbound { request, arrival } = inbound;
            Answering::Routed(Box::pin(read::answer_post(state.clone(), request, arrival)))
        }
        Some(asked) if inbound.request.body().is_end_stream() => {
            Answering::ready(read::answer(&state, asked, &inbound.arrival))
        }
        Some(_) => {
            let Inbound { request, arrival } = inbound;
            Answering::Routed(Box::pin(read::answer_despite_body(state.clone(), request, arrival)))
        }
        None => route(&router, layers, inbound),
    };
    Site { layers, inner }
}

/// The admin listener: metrics and status.
pub fn admin(state: AdminState) -> impl Answer {
    let routes = [(ops::METRICS, get(ops::metrics)), (ops::STATUS, get(ops::show_status))];
    let router = routed(routes)
        .fallback(ops::no_admin_route)
        .method_not_allowed_fallback(ops::no_method)
        .with_state(state);
    let inner = move |layers: &Arc<Layers>, inbound: Inbound| route(&router, layers, inbound);
    Site { layers: Arc::new(Layers::new(None)), inner }
}

/// A router of these paths; a slash at the end changes nothing.
fn routed<S, const N: usize>(routes: [(&str, MethodRouter<S>); N]) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    routes.into_iter().fold(Router::new(), |router, (path, methods)| {
        router.route(path, methods.clone()).route(&format!("{path}/"), methods)
    })
}

/// Lets the router answer; a panic there ends one request only. No route takes a body.
fn route(router: &Router, layers: &Arc<Layers>, inbound: Inbound) -> Answering {
    let (router, layers) = (router.clone(), Arc::clone(layers));
    let Inbound { request, arrival } = inbound;
    let (mut head, body) = request.into_parts();
    let unread = Unread::new(&head, body);
    head.extensions.insert(arrival.id.clone());
    let request = Request::from_parts(head, axum::body::Body::empty());
    Answering::Routed(Box::pin(async move {
        let answer = routed_answer(router, request, &layers, &arrival).await;
        unread.before(answer).await
    }))
}

async fn routed_answer(
    mut router: Router,
    request: Request<axum::body::Body>,
    layers: &Layers,
    arrival: &Arrival,
) -> Response<Body> {
    let outcome = AssertUnwindSafe(async {
        let Ok(answer) = router.call(request).await;
        let (head, body) = answer.into_parts();
        // Every route answers with bytes at hand.
        body.collect().await.map(|body| Response::from_parts(head, Body::from(body.to_bytes())))
    });
    let Ok(Ok(mut answer)) = outcome.catch_unwind().await else {
        layers.count(Code::Internal, arrival);
        return Error::from(Code::Internal).respond(&arrival.id);
    };
    if let Some(&code) = answer.extensions().get::<Code>() {
        layers.count(code, arrival);
    }
    answer.headers_mut().insert(request_id::HEADER, arrival.id.header());
    answer
}
