//! A record by one value of one index: `GET` with the value in the path, `POST` with it in the body.

use std::panic::AssertUnwindSafe;

use hyper::{HeaderMap, Method, Request, Response, body::Incoming, header::HeaderValue};

use super::{
    Code, RawPath, ReadState,
    answer::{Origin, RecordAnswer, hit, miss},
    authorised::Authorised,
    body,
    codes::Answered,
    cors,
    freshness::{Freshness, OnStale},
    path::RecordPath,
    project::project,
};
use crate::{
    api::http::{
        answer::Body,
        error::{Detail, Error},
        layers::Arrival,
        unread::Unread,
    },
    auth::CollectionGrant,
    cache::{Collection, Lookup, Slot},
    domain::manifest::Manifest,
    segment,
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
struct Admitted<'a> {
    caller: Authorised,
    path: RecordPath<'a>,
    freshness: Freshness,
    /// The caller is over its rate limit, and gets a miss.
    is_throttled: bool,
    /// `If-None-Match` may turn the answer into a 304: only for `GET` and `HEAD` (RFC 9110, section 13.1.2).
    is_conditional: bool,
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
        Ok(admitted) => look_up(state, &admitted, &admitted.path.value, request.headers),
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
    let read = body::collect(&mut unread.body, state.inner().limits.body_timeout).await;
    // A body that says its size is too large is not read, so that the client was not told to send it.
    unread.is_held_back &= matches!(read, Err(Code::BodyTooLarge));
    let body = match read {
        Ok(body) => body,
        Err(code) => return RecordAnswer::refused(code),
    };
    unread.reserve().await;
    catch_panic(|| match body::value(headers, &body) {
        Ok(value) => look_up(state, admitted, &value, headers),
        Err(code) => RecordAnswer::refused(code),
    })
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
    let path = path.decode()?;
    let freshness = Freshness::of(query)?;
    caller.open(&path.collection, &path.index)?;
    if is_throttled {
        inner.metrics.throttled_request_answered_as_miss();
    }
    Ok(Admitted { caller, path, freshness, is_throttled, is_conditional: *method != Method::POST })
}

fn look_up(state: &ReadState, admitted: &Admitted<'_>, value: &str, headers: &HeaderMap) -> RecordAnswer {
    match state.inner().cache.collection(&admitted.path.collection) {
        Slot::Unknown => RecordAnswer::refused(admitted.caller.no_such_collection()),
        Slot::Loading => RecordAnswer::refused(Code::CollectionLoading),
        Slot::OtherRegion(regions) => {
            RecordAnswer::refused(Error::new(Code::CollectionInOtherRegion, Detail::Regions(regions)))
        }
        Slot::Loaded(collection) => look_up_in(&collection, state, admitted, value, headers),
    }
}

fn look_up_in(
    collection: &Collection,
    state: &ReadState,
    admitted: &Admitted<'_>,
    value: &str,
    headers: &HeaderMap,
) -> RecordAnswer {
    // Read before the record: the record may be of a later version than the reported one, never of an older.
    let served = collection.state();
    let inner = state.inner();
    let Admitted { caller, path, freshness, is_throttled, is_conditional } = admitted;
    let grant = caller.rights();
    let is_stale = freshness.is_stale(served.data_as_of, || inner.clock.now());
    let compress_min_bytes = inner.limits.compress_min_bytes;
    let on_miss = &served.manifest.serving.on_miss;
    let missed = |code| miss(code, value, on_miss, grant.fields(), compress_min_bytes, headers);
    // Filled only by a hit, at the record's exact length; the same bytes go to the socket.
    let mut body = Vec::new();
    let is_open = opens_record(grant, &served.manifest, value);
    let is_looked_up = is_open && !is_throttled;
    let lookup = if is_looked_up { collection.lookup(&path.index, value, &mut body) } else { Lookup::Miss };
    let content = match lookup {
        _ if !is_open => Err(Code::Forbidden.into()),
        Lookup::UnknownIndex => Err(Code::IndexNotFound.into()),
        Lookup::Unreadable(error) => {
            let collection = served.manifest.collection.as_str();
            tracing::error!(collection, %error, "a stored record cannot be read");
            Err(Code::Internal.into())
        }
        Lookup::Hit { .. } | Lookup::Miss if is_stale && freshness.on_stale == OnStale::Miss => {
            missed(Code::DataStale)
        }
        Lookup::Hit { fingerprint } => {
            let (body, fingerprint) = granted(body, fingerprint, grant, &served.manifest);
            Ok(hit(body, fingerprint, compress_min_bytes, headers, *is_conditional))
        }
        Lookup::Miss => missed(Code::RecordNotFound),
    };
    let view = inner.views.of(&served, &inner.metrics);
    // An index's own counters have only the outcomes of an index; others are counted with those of no collection.
    let index = view.position(&path.index);
    let is_other = matches!(&content, Err(error) if matches!(error.code(), Code::Internal | Code::Forbidden));
    let origin = (!is_other).then_some(Origin { view, index, is_stale });
    RecordAnswer { content, origin }
}

/// The part of a record that the caller may read, and what its entity tag is made of.
fn granted(
    body: Vec<u8>,
    fingerprint: u128,
    grant: &CollectionGrant,
    manifest: &Manifest,
) -> (Vec<u8>, u128) {
    let Some(fields) = grant.fields() else { return (body, fingerprint) };
    let part = project(&body, fields);
    let tag = segment::content_tag(manifest.fingerprint_seed, &part);
    (part, tag)
}

/// Whether a caller that is bound to one record may look up `value`: both values are the same to the index.
fn opens_record(grant: &CollectionGrant, manifest: &Manifest, value: &str) -> bool {
    let Some((index, own)) = grant.record() else { return true };
    let definition = manifest.indexes.iter().find(|definition| definition.name == *index);
    // Without the index, there is nothing to find.
    definition.is_none_or(|definition| {
        definition.requested(own).is_some_and(|own| definition.requested(value).as_ref() == Some(&own))
    })
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
