//! The forms of a look-up: `GET` with the value in the path, `POST` with one or many in the body.

use std::{panic::AssertUnwindSafe, time::Instant};

use bytes::Bytes;
use hyper::{HeaderMap, Method, Request, Response, body::Incoming, header::HeaderValue};

use super::{
    Code, RawPath, ReadState, answer::RecordAnswer, authorised::Authorised, batch, body, codes::Answered,
    cors, parameters::Parameters, path::RecordPath, record,
};
use crate::{
    api::http::{
        answer::Body,
        error::{Detail, Error},
        layers::Arrival,
        unread::Unread,
    },
    cache::{Collection, Slot},
};

/// A request whose path is a record's.
#[derive(Clone, Copy)]
pub(in crate::api) struct RecordRequest<'a> {
    pub(super) path: RawPath<'a>,
    query: Option<&'a str>,
    pub(super) method: &'a Method,
    pub(super) headers: &'a HeaderMap,
}

impl<'a> RecordRequest<'a> {
    /// The parts of `request` that say which record is wanted; `None` if its path is no record's.
    pub(in crate::api) fn of<B>(request: &'a Request<B>) -> Option<Self> {
        let (path, query) = (RawPath::of(request.uri().path())?, request.uri().query());
        Some(Self { path, query, method: request.method(), headers: request.headers() })
    }

    pub(in crate::api) fn has_value_in_body(&self) -> bool {
        *self.method == Method::POST && self.path.allows(self.method)
    }
}

/// A request that may look a record up.
pub(super) struct Admitted<'a> {
    pub(super) caller: Authorised,
    pub(super) path: RecordPath<'a>,
    pub(super) parameters: Parameters,
    /// The caller is over its rate limit, and gets a miss.
    pub(super) is_throttled: bool,
    /// The body has many values.
    is_batch: bool,
    /// `If-None-Match` may turn the answer into a 304: only for `GET` and `HEAD` (RFC 9110, section 13.1.2).
    pub(super) is_conditional: bool,
}

/// Answers a request with its value in the path, and counts it.
pub(in crate::api) fn answer(
    state: &ReadState,
    request: RecordRequest<'_>,
    arrival: &Arrival,
) -> Response<Body> {
    if let Some(preflight) = cors::preflight(state, &request, arrival) {
        return preflight;
    }
    let answer = catch_panic(|| match admit(state, request, arrival) {
        Ok(admitted) => in_collection(state, &admitted, |collection| {
            record::look_up(collection, state, &admitted, Ok(&admitted.path.value), request.headers)
        }),
        Err(error) => RecordAnswer::refused(error),
    });
    complete(state, Some(&request), answer, arrival)
}

/// Answers a request with its value in the path and with a body, which is ignored. The body is discarded
/// first, so that no record waits for it in memory.
pub(in crate::api) async fn answer_despite_body(
    state: ReadState,
    request: Request<Incoming>,
    arrival: Arrival,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let mut unread = Unread::new(&head, body);
    let must_close = unread.discard().await;
    unread.reserve().await;
    let head = Request::from_parts(head, ());
    let mut response = match RecordRequest::of(&head) {
        Some(request) => answer(&state, request, &arrival),
        None => complete(&state, None, RecordAnswer::refused(Code::RouteNotFound), &arrival),
    };
    unread.complete(must_close, &mut response);
    response
}

/// Answers a request with its value in the body, and counts it. The body is read after the request is
/// admitted.
pub(in crate::api) async fn answer_post(
    state: ReadState,
    request: Request<Incoming>,
    arrival: Arrival,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let mut unread = Unread::new(&head, body);
    let head = Request::from_parts(head, ());
    let request = RecordRequest::of(&head);
    let answer = match request.map(|request| admit(&state, request, &arrival)) {
        Some(Ok(admitted)) => look_up_body(&state, &admitted, head.headers(), &mut unread).await,
        Some(Err(error)) => RecordAnswer::refused(error),
        None => RecordAnswer::refused(Code::RouteNotFound),
    };
    unread.before(complete(&state, request.as_ref(), answer, &arrival)).await
}

async fn look_up_body(
    state: &ReadState,
    admitted: &Admitted<'_>,
    headers: &HeaderMap,
    unread: &mut Unread,
) -> RecordAnswer {
    let bytes_max = if admitted.is_batch { batch::BODY_BYTES_MAX } else { body::BODY_BYTES_MAX };
    let read = body::collect(&mut unread.body, bytes_max, state.inner().limits.body_timeout).await;
    // A body that says its size is too large is not read, so that no client is asked to send it.
    unread.is_held_back &= matches!(&read, Err(error) if error.code() == Code::BodyTooLarge);
    let body = match read {
        Ok(body) => body,
        Err(error) => return RecordAnswer::refused(error),
    };
    unread.reserve().await;
    look_up_values(state, admitted, headers, &body).compressed(&state.inner().compressing).await
}

/// Looks up the value or the values of a body.
fn look_up_values(
    state: &ReadState,
    admitted: &Admitted<'_>,
    headers: &HeaderMap,
    body: &[u8],
) -> RecordAnswer {
    catch_panic(|| {
        if admitted.is_batch {
            return match batch::values(body) {
                Ok(values) => in_collection(state, admitted, |collection| {
                    batch::look_up(collection, state, admitted, &values, headers)
                }),
                Err(error) => RecordAnswer::refused(error),
            };
        }
        match body::value(headers, body) {
            Ok(value) => in_collection(state, admitted, |collection| {
                record::look_up(collection, state, admitted, Err(&value), headers)
            }),
            Err(code) => RecordAnswer::refused(code),
        }
    })
}

/// Answers a request that was made on this node, and counts it as one of a client: its status and its body. Every path but
/// those of records is refused.
pub(in crate::api) fn answer_here(
    state: &ReadState,
    request: &Request<Bytes>,
    arrival: &Arrival,
) -> (u16, Bytes) {
    let arrival = &Arrival { at: Instant::now(), ..arrival.clone() };
    let response = match RecordRequest::of(request) {
        None => complete(state, None, RecordAnswer::refused(Code::RouteNotFound), arrival),
        Some(record) if record.has_value_in_body() => {
            let answer = match admit(state, record, arrival) {
                Ok(admitted) if request.body().len() <= body::BODY_BYTES_MAX || admitted.is_batch => {
                    look_up_values(state, &admitted, request.headers(), request.body())
                }
                Ok(_) => RecordAnswer::refused(Code::BodyTooLarge),
                Err(error) => RecordAnswer::refused(error),
            };
            complete(state, Some(&record), answer, arrival)
        }
        Some(record) => answer(state, record, arrival),
    };
    (response.status().as_u16(), response.into_body().into_bytes())
}

/// Counts an answer and makes its response.
fn complete(
    state: &ReadState,
    request: Option<&RecordRequest<'_>>,
    answer: RecordAnswer,
    arrival: &Arrival,
) -> Response<Body> {
    let outcome = answer.outcome();
    let took = arrival.at.elapsed();
    match (&answer.origin, outcome) {
        (Some(origin), _) => origin.view.record(origin.index, outcome, took),
        (None, Answered::Refused(code)) => state.count_other(code, took),
        (None, _) => debug_assert!(false, "only a collection answers with content"),
    }
    cors::complete(state, request, answer.respond(arrival))
}

/// A bug in a look-up ends one request, not the connection and its others.
fn catch_panic(answer: impl FnOnce() -> RecordAnswer) -> RecordAnswer {
    std::panic::catch_unwind(AssertUnwindSafe(answer))
        .unwrap_or_else(|_| RecordAnswer::refused(Code::Internal))
}

/// The checks before any look-up, in this order: method, credential, network, rate, path, parameters, grant.
fn admit<'a>(
    state: &ReadState,
    request: RecordRequest<'a>,
    arrival: &Arrival,
) -> Result<Admitted<'a>, Error<Code>> {
    let RecordRequest { path, query, method, headers } = request;
    if !path.allows(method) {
        let methods = HeaderValue::from_static(path.methods());
        return Err(Error::new(Code::MethodNotAllowed, Detail::Methods(methods)));
    }
    let inner = state.inner();
    let caller =
        Authorised::check(headers, arrival, &inner.callers, &inner.clock).map_err(|code| match code {
            Code::KeyUnknown if state.lacks_keys() => Code::NodeStarting,
            code => code,
        })?;
    let is_throttled = caller.count()?;
    let is_post = *method == Method::POST;
    let is_batch = is_post && path.may_be_batch();
    let path = path.decode()?;
    let parameters = Parameters::of(query)?;
    caller.open(&path.collection, &path.index)?;
    if is_throttled {
        inner.metrics.throttled_request_answered_as_miss();
    }
    Ok(Admitted { caller, path, parameters, is_throttled, is_batch, is_conditional: !is_post })
}

/// The `answer` of the collection that is requested.
fn in_collection(
    state: &ReadState,
    admitted: &Admitted<'_>,
    answer: impl FnOnce(&Collection) -> RecordAnswer,
) -> RecordAnswer {
    match state.inner().cache.collection(&admitted.path.collection) {
        Slot::Unknown => RecordAnswer::refused(admitted.caller.no_such_collection()),
        Slot::Loading => RecordAnswer::refused(Code::CollectionLoading),
        Slot::OtherRegion(regions) => {
            RecordAnswer::refused(Error::new(Code::CollectionInOtherRegion, Detail::Regions(regions)))
        }
        Slot::Loaded(collection) => answer(&collection),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_refusal() {
        let answer = catch_panic(|| panic!("a bug"));
        assert_eq!(answer.outcome(), Answered::Refused(Code::Internal));
    }
}
