//! What surrounds every request of a listener: its id, the limits of its head, `HEAD`, the log
//! line. Plain calls, no boxes: the record route pays for what it uses.

use std::{sync::Arc, time::Instant};

use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    body::{Body as _, Bytes, Incoming},
    header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING},
};

use super::{
    codes::Code,
    error::Error,
    openapi, ops,
    reply::{Answering, Body},
    request_id::{RequestId, RequestIds},
    unread,
};
use crate::telemetry::metrics::RequestMetrics;

/// Longest path and query, in bytes: an index value of 1 KiB, percent-encoded, twice over.
pub(super) const TARGET_BYTES_MAX: usize = 8 * 1024;
/// Largest sum of header names and values, in bytes: Braze sends less than 1 KiB, a browser behind
/// proxies less than 16.
pub(super) const HEADER_BYTES_MAX: usize = 32 * 1024;

/// A request's id and the moment at which its head was read.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    /// The id.
    pub(super) id: RequestId,
    /// When its head was read.
    pub(super) at: Instant,
}

/// A request on its way in, after the layers.
pub(super) struct Inbound {
    /// The request.
    pub(super) request: Request<Incoming>,
    /// Its id and moment.
    pub(super) arrival: Arrival,
}

/// The layers of one listener.
pub(super) struct Layers {
    ids: RequestIds,
    /// Where refusals are counted; the admin listener counts none.
    others: Option<Arc<RequestMetrics>>,
}

impl Layers {
    /// Layers that count what they refuse in `others`.
    pub(super) fn new(others: Option<Arc<RequestMetrics>>) -> Self {
        Self { ids: RequestIds::new(), others }
    }

    /// Hands `request` to `inner` unless its head is too large or the end of its body uncertain, and
    /// finishes the answer.
    pub(super) fn around(
        &self,
        request: Request<Incoming>,
        inner: impl FnOnce(Inbound) -> Answering,
    ) -> Answering {
        let arrival = Arrival { id: self.ids.id_of(request.headers()), at: Instant::now() };
        let finish = Finish::new(request.method(), request.uri(), &arrival);
        let refused = unknown_coding(&request).or_else(|| too_large(request.uri(), request.headers()));
        let answering = match refused {
            Some(code) => {
                self.count(code, &arrival);
                unread::answering(request, Error::from(code).respond(&arrival.id))
            }
            None => inner(Inbound { request, arrival }),
        };
        finish.after(answering)
    }

    /// Refuses, and counts, what never became a request.
    pub(super) fn refusal(&self, code: Code) -> Response<Bytes> {
        let arrival = Arrival { id: self.ids.make(), at: Instant::now() };
        self.count(code, &arrival);
        Error::from(code).answer(&arrival.id)
    }

    /// Counts a refusal that belongs to no collection.
    pub(super) fn count(&self, code: Code, arrival: &Arrival) {
        if let Some(others) = &self.others {
            others.record(code as usize, arrival.at.elapsed());
        }
    }
}

fn too_large(target: &Uri, headers: &HeaderMap) -> Option<Code> {
    if target.path_and_query().is_some_and(|target| target.as_str().len() > TARGET_BYTES_MAX) {
        return Some(Code::PathTooLong);
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    (bytes > HEADER_BYTES_MAX).then_some(Code::HeadersTooLarge)
}

/// A transfer coding other than `chunked`, once. hyper reads what ends with `chunked` as that alone; a
/// proxy before us may see another end of the body, and with it another request behind it (RFC 9112,
/// section 6.1). Only a request with a body is looked at.
fn unknown_coding(request: &Request<Incoming>) -> Option<Code> {
    if request.body().is_end_stream() {
        return None;
    }
    let mut codings = request.headers().get_all(TRANSFER_ENCODING).iter();
    let is_known = codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    (!is_known || codings.next().is_some()).then_some(Code::InvalidRequest)
}

/// What is done with an answer when it is there.
struct Finish {
    is_head: bool,
    log: Option<Logged>,
}

impl Finish {
    fn new(method: &Method, target: &Uri, arrival: &Arrival) -> Self {
        let log = tracing::enabled!(tracing::Level::DEBUG).then(|| Logged::new(method, target, arrival));
        Self { is_head: *method == Method::HEAD, log }
    }

    fn after(self, answering: Answering) -> Answering {
        if !self.is_head && self.log.is_none() {
            return answering;
        }
        match answering {
            Answering::Ready(answer) => Answering::Ready(answer.map(|answer| self.finish(answer))),
            Answering::Routed(answering) => {
                Answering::Routed(Box::pin(async move { self.finish(answering.await) }))
            }
        }
    }

    fn finish(self, answer: Response<Body>) -> Response<Body> {
        if let Some(log) = &self.log {
            log.write(answer.status());
        }
        if self.is_head { without_body(answer) } else { answer }
    }
}

/// The same headers, the length among them, and no body (RFC 9110, section 9.3.2).
fn without_body(answer: Response<Body>) -> Response<Body> {
    let (mut head, body) = answer.into_parts();
    if let (Some(length), true) = (body.size_hint().exact(), head.status != StatusCode::NOT_MODIFIED) {
        head.headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
    }
    Response::from_parts(head, Body::default())
}

/// The debug line of a request: never its target, never a header but the checked request id.
struct Logged {
    method: &'static str,
    route: &'static str,
    arrival: Arrival,
}

impl Logged {
    fn new(method: &Method, target: &Uri, arrival: &Arrival) -> Self {
        let method = match *method {
            Method::GET => "GET",
            Method::HEAD => "HEAD",
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::DELETE => "DELETE",
            Method::OPTIONS => "OPTIONS",
            _ => "other",
        };
        let path = target.path();
        let route = match path.strip_suffix('/').unwrap_or(path) {
            _ if super::read::RawPath::of(path).is_some() => "record",
            ops::LIVEZ => "livez",
            ops::READYZ => "readyz",
            ops::METRICS => "metrics",
            ops::STATUS => "status",
            openapi::PATH => "openapi",
            _ => "other",
        };
        Self { method, route, arrival: arrival.clone() }
    }

    fn write(&self, status: StatusCode) {
        tracing::debug!(
            method = self.method,
            route = self.route,
            status = status.as_u16(),
            micros = self.arrival.at.elapsed().as_micros() as u64,
            request_id = self.arrival.id.as_str(),
            "answered"
        );
    }
}
