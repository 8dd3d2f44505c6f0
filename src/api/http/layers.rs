//! The layers around every request of a listener: request id, limits of the head, `HEAD`, the log
//! line. They are plain calls without boxes, because the record route pays for each of them.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use axum::extract::MatchedPath;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    body::{Body as _, Incoming},
    header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING},
};

use super::{
    answer::{Body, ResponseFuture},
    error::{Error, HEADERS_TOO_LARGE, HOST_INVALID, INVALID_REQUEST, PATH_TOO_LONG, Refusal},
    host,
    request_id::{RequestId, RequestIds},
    unread,
};

/// Longest path and query, in bytes: an index value of 1 KiB, percent-encoded, twice over.
pub(in crate::api) const TARGET_BYTES_MAX: usize = 8 * 1024;
/// Largest sum of header names and values, in bytes: Braze sends less than 1 KiB, a browser behind
/// proxies less than 16.
pub(in crate::api) const HEADER_BYTES_MAX: usize = 32 * 1024;

/// A request's id, the moment at which its head was read, and where it comes from.
#[derive(Debug, Clone)]
pub(in crate::api) struct Arrival {
    pub(in crate::api) id: RequestId,
    /// When its head was read.
    pub(in crate::api) at: Instant,
    /// Where its connection comes from: the client, or the proxy nearest to us.
    pub(in crate::api) peer: IpAddr,
}

/// The layers of one listener.
pub(in crate::api) struct Layers {
    ids: RequestIds,
    /// Whether a path is that of a record, for the log.
    is_record: fn(&str) -> bool,
    count: Box<dyn Fn(Refusal, Duration) + Send + Sync>,
}

impl Layers {
    /// Layers that `count` the refusals that belong to no collection.
    pub(in crate::api) fn new(
        is_record: fn(&str) -> bool,
        count: impl Fn(Refusal, Duration) + Send + Sync + 'static,
    ) -> Self {
        Self { ids: RequestIds::new(), is_record, count: Box::new(count) }
    }

    /// Passes `request` to `inner` unless its head is too large or the end of its body uncertain, and
    /// completes the answer.
    pub(in crate::api) fn around(
        &self,
        request: Request<Incoming>,
        peer: IpAddr,
        inner: impl FnOnce(Request<Incoming>, Arrival) -> ResponseFuture,
    ) -> ResponseFuture {
        let arrival = Arrival { id: self.ids.id_of(request.headers()), at: Instant::now(), peer };
        let is_head = *request.method() == Method::HEAD;
        let log = tracing::enabled!(tracing::Level::DEBUG)
            .then(|| LogLine::new(request.method(), (self.is_record)(request.uri().path()), &arrival));
        let refused = unknown_transfer_coding(&request)
            .or_else(|| too_large(request.uri(), request.headers()))
            .or_else(|| (!host::is_valid(&request)).then_some(HOST_INVALID));
        let answer = match refused {
            Some(refusal) => {
                self.count(refusal, &arrival);
                unread::refuse(request, Error::from(refusal).respond(&arrival.id))
            }
            None => inner(request, arrival),
        };
        if !is_head && log.is_none() {
            return answer;
        }
        let complete = move |answer: Response<Body>| {
            if let Some(log) = log {
                log.write(&answer);
            }
            if is_head { without_body(answer) } else { answer }
        };
        match answer {
            ResponseFuture::Ready(answer) => ResponseFuture::Ready(answer.map(complete)),
            ResponseFuture::Routed(answer) => ResponseFuture::routed(async move { complete(answer.await) }),
        }
    }

    /// Counts a refusal that belongs to no collection.
    pub(in crate::api) fn count(&self, refusal: Refusal, arrival: &Arrival) {
        (self.count)(refusal, arrival.at.elapsed());
    }
}

fn too_large(target: &Uri, headers: &HeaderMap) -> Option<Refusal> {
    if target.path_and_query().is_some_and(|target| target.as_str().len() > TARGET_BYTES_MAX) {
        return Some(PATH_TOO_LONG);
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    (bytes > HEADER_BYTES_MAX).then_some(HEADERS_TOO_LARGE)
}

/// Refuses every transfer coding but one `chunked`. hyper reads a list that ends with `chunked` as that
/// alone; a proxy before us may see another end of the body, and another request behind it (RFC 9112,
/// section 6.1). Only requests with a body are checked.
fn unknown_transfer_coding(request: &Request<Incoming>) -> Option<Refusal> {
    if request.body().is_end_stream() {
        return None;
    }
    let mut codings = request.headers().get_all(TRANSFER_ENCODING).iter();
    let is_known = codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    (!is_known || codings.next().is_some()).then_some(INVALID_REQUEST)
}

/// The same headers, including the length, and no body (RFC 9110, section 9.3.2).
fn without_body(answer: Response<Body>) -> Response<Body> {
    let (mut head, body) = answer.into_parts();
    if let (Some(length), true) = (body.size_hint().exact(), head.status != StatusCode::NOT_MODIFIED) {
        head.headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
    }
    Response::from_parts(head, Body::default())
}

/// The debug line of a request: its route, never its target, never a header but the validated request id.
struct LogLine {
    method: &'static str,
    is_record: bool,
    arrival: Arrival,
}

impl LogLine {
    fn new(method: &Method, is_record: bool, arrival: &Arrival) -> Self {
        const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"];
        let method = METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or("other");
        Self { method, is_record, arrival: arrival.clone() }
    }

    fn write(&self, answer: &Response<Body>) {
        let route = answer.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        tracing::debug!(
            method = self.method,
            route = route.unwrap_or(if self.is_record { "record" } else { "other" }),
            status = answer.status().as_u16(),
            micros = self.arrival.at.elapsed().as_micros() as u64,
            request_id = self.arrival.id.as_str(),
            "answered"
        );
    }
}
