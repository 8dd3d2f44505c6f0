//! A record by one value of one index: `GET` with the value in the path, `POST` with it in the body.

use std::panic::AssertUnwindSafe;

use hyper::{HeaderMap, Method, Request, Response, body::Incoming};

use super::{
    RawPath, ReadState,
    authorised::Authorised,
    body,
    content::{Judged, Place, hit, miss},
    freshness::{Freshness, OnStale},
    path::RecordPath,
};
use crate::{
    api::{
        codes::{Answered, Code},
        error::Error,
        layers::Arrival,
        reply::Body,
        unread::Unread,
    },
    cache::{Collection, Lookup, Slot},
};

/// A request whose path is a record's.
#[derive(Clone, Copy)]
pub(in crate::api) struct Asked<'a> {
    path: RawPath<'a>,
    query: Option<&'a str>,
    method: &'a Method,
    headers: &'a HeaderMap,
}

impl<'a> Asked<'a> {
    /// What `request` asks for; `None` when its path is no record's.
    pub(in crate::api) fn of<B>(request: &'a Request<B>) -> Option<Self> {
        let (path, query) = (RawPath::of(request.uri().path())?, request.uri().query());
        Some(Self { path, query, method: request.method(), headers: request.headers() })
    }

    /// Whether the value is in the body.
    pub(in crate::api) fn is_by_post(&self) -> bool {
        *self.method == Method::POST && self.path.allows(self.method)
    }
}

/// A request that may look.
struct Admitted<'a> {
    caller: Authorised,
    path: RecordPath<'a>,
    freshness: Freshness,
    /// `If-None-Match` may turn the answer into a 304: of `GET` and `HEAD` alone (RFC 9110, section 13.1.2).
    is_conditional: bool,
}

/// Answers a request with its value in the path, and counts it.
pub(in crate::api) fn answer(state: &ReadState, asked: Asked<'_>, arrival: &Arrival) -> Response<Body> {
    let judged = guarded(|| match admit(state, asked) {
        Ok(admitted) => look_up(state, &admitted, &admitted.path.value, asked.headers),
        Err(error) => Judged::refused(error),
    });
    conclude(state, judged, arrival)
}

/// Answers a request with its value in the path and with a body, which says nothing. It is taken off the
/// connection first: an answer in memory would wait for it.
pub(in crate::api) async fn answer_despite_body(
    state: ReadState,
    request: Request<Incoming>,
    arrival: Arrival,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let taken_off = Unread::new(&head, body).taken_off().await;
    let head = Request::from_parts(head, ());
    let judged = Asked::of(&head).map(|asked| answer(&state, asked, &arrival));
    let refused = || conclude(&state, Judged::refused(Code::RouteNotFound), &arrival);
    taken_off.mark(judged.unwrap_or_else(refused))
}

/// Answers a request with its value in the body, and counts it. The body is read when the request
/// is admitted, not before.
pub(in crate::api) async fn answer_post(
    state: ReadState,
    request: Request<Incoming>,
    arrival: Arrival,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let mut unread = Unread::new(&head, body);
    let judged = judge_post(&state, &Request::from_parts(head, ()), &mut unread).await;
    unread.before(conclude(&state, judged, &arrival)).await
}

async fn judge_post(state: &ReadState, head: &Request<()>, unread: &mut Unread) -> Judged {
    let admitted = match Asked::of(head) {
        Some(asked) => admit(state, asked),
        None => Err(Code::RouteNotFound.into()),
    };
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(error) => return Judged::refused(error),
    };
    let collected = body::collect(unread.body(), state.inner().limits.body_timeout).await;
    if !matches!(collected, Err(Code::BodyTooLarge)) {
        unread.let_in();
    }
    let body = match collected {
        Ok(body) => body,
        Err(code) => return Judged::refused(code),
    };
    unread.turn().await;
    guarded(|| match body::value(head.headers(), &body) {
        Ok(value) => look_up(state, &admitted, &value, head.headers()),
        Err(code) => Judged::refused(code),
    })
}

/// Counts an answer and gives it its form.
fn conclude(state: &ReadState, judged: Judged, arrival: &Arrival) -> Response<Body> {
    let outcome = judged.outcome();
    let took = arrival.at.elapsed();
    match (&judged.place, outcome) {
        (Some(place), _) => place.shown.record(place.index, outcome, took),
        (None, Answered::Refused(code)) => state.others().record(code as usize, took),
        (None, _) => debug_assert!(false, "only a collection answers with content"),
    }
    judged.respond(arrival)
}

/// A bug in a look-up ends one request, not the connection and its others.
fn guarded(judge: impl FnOnce() -> Judged) -> Judged {
    std::panic::catch_unwind(AssertUnwindSafe(judge)).unwrap_or_else(|_| Judged::refused(Code::Internal))
}

/// The refusals that come before any look-up, in their order: method, credential, path and
/// parameters, grant.
fn admit<'a>(state: &ReadState, asked: Asked<'a>) -> Result<Admitted<'a>, Error> {
    let Asked { path, query, method, headers } = asked;
    if !path.allows(method) {
        return Err(Error::method_not_allowed(path.methods()));
    }
    let inner = state.inner();
    let caller = Authorised::check(headers, &inner.keys, &inner.clock).map_err(|refused| {
        let is_early = refused.code() == Code::KeyUnknown && state.lacks_keys();
        if is_early { Code::NodeStarting.into() } else { refused }
    })?;
    caller.count()?;
    let path = path.decode()?;
    let freshness = Freshness::of(query)?;
    caller.open(&path.collection)?;
    Ok(Admitted { caller, path, freshness, is_conditional: *method != Method::POST })
}

fn look_up(state: &ReadState, admitted: &Admitted<'_>, value: &str, headers: &HeaderMap) -> Judged {
    match state.inner().cache.collection(&admitted.path.collection) {
        Slot::Unknown => Judged::refused(admitted.caller.no_such_collection()),
        Slot::Loading => Judged::refused(Code::CollectionLoading),
        Slot::OtherRegion(regions) => Judged::refused(Error::in_other_region(regions)),
        Slot::Loaded(collection) => look_up_in(&collection, state, admitted, value, headers),
    }
}

fn look_up_in(
    collection: &Collection,
    state: &ReadState,
    admitted: &Admitted<'_>,
    value: &str,
    headers: &HeaderMap,
) -> Judged {
    // Before the record: it may be of a later version than the one told, never of an older one.
    let served = collection.state();
    let inner = state.inner();
    let Admitted { path, freshness, is_conditional, .. } = admitted;
    let is_stale = freshness.is_stale(served.data_as_of, || inner.clock.now());
    let compress_min_bytes = inner.limits.compress_min_bytes;
    let on_miss = &served.manifest.serving.on_miss;
    let missed = |code| miss(code, value, on_miss, compress_min_bytes, headers);
    // Filled by a hit alone, at the record's exact length; from here it goes to the socket.
    let mut body = Vec::new();
    let answer = match collection.lookup(&path.index, value, &mut body) {
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
            Ok(hit(body, fingerprint, compress_min_bytes, headers, *is_conditional))
        }
        Lookup::Miss => missed(Code::RecordNotFound),
    };
    let shown = inner.shown.of(&served, &inner.metrics);
    // An index's own counters hold what an index answers; a bug is counted with the others.
    let index = shown.position(&path.index);
    let is_bug = matches!(&answer, Err(error) if error.code() == Code::Internal);
    let place = (!is_bug).then_some(Place { shown, index, is_stale });
    Judged { answer, place }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_refusal() {
        let judged = guarded(|| panic!("a bug"));
        assert_eq!(judged.outcome(), Answered::Refused(Code::Internal));
    }
}
