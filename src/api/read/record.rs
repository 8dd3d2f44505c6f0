//! `GET /v1/collections/{collection}/records/{index}/{value}`.

use std::{cell::RefCell, panic::AssertUnwindSafe, sync::Arc};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    header::{CONTENT_TYPE, ETAG},
};

use super::{
    RawPath, ReadState, authorised::Authorised, conditional::EntityTag, path::RecordPath, shown::Shown,
};
use crate::{
    api::{
        codes::{Answered, Code},
        error::{Error, JSON},
        layers::Arrival,
        reply::Whole,
        request_id,
    },
    cache::{Collection, Lookup, Slot},
    domain::manifest::OnMiss,
};

/// Headers of a hit, with those that the server adds: room made once.
const HEADERS: usize = 8;

thread_local! {
    /// Where a record is unpacked before it is copied, at its exact length, into the answer. Holds
    /// at most one record (`RECORD_BYTES_MAX`) per thread.
    static UNPACKED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A request for a record, judged.
struct Judged {
    answer: Result<Content, Error>,
    /// What answered, once the collection was found.
    place: Option<Place>,
}

/// A version of a collection, and the position of the index asked for when there is one.
struct Place {
    shown: Arc<Shown>,
    index: Option<usize>,
}

/// What a request gets.
enum Content {
    Record { body: Bytes, tag: EntityTag },
    NotModified { tag: EntityTag },
    OnMiss { body: Bytes },
}

/// Answers a request for a record, and counts it.
pub(in crate::api) fn answer(
    state: &ReadState,
    path: RawPath<'_>,
    method: &Method,
    headers: &HeaderMap,
    arrival: &Arrival,
) -> Whole {
    let judged = guarded(|| match admit(state, path, method, headers) {
        Ok((caller, path)) => look_up(state, &caller, &path, headers),
        Err(error) => Judged { answer: Err(error), place: None },
    });
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
    std::panic::catch_unwind(AssertUnwindSafe(judge))
        .unwrap_or_else(|_| Judged { answer: Err(Code::Internal.into()), place: None })
}

/// The refusals that come before any look-up, in their order: method, credential, path, grant.
fn admit<'a>(
    state: &ReadState,
    path: RawPath<'a>,
    method: &Method,
    headers: &HeaderMap,
) -> Result<(Authorised, RecordPath<'a>), Error> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(Code::MethodNotAllowed.into());
    }
    let inner = state.inner();
    let caller = Authorised::check(headers, &inner.keys, &inner.clock)?;
    let path = path.decode()?;
    caller.open(&path.collection)?;
    Ok((caller, path))
}

fn look_up(state: &ReadState, caller: &Authorised, path: &RecordPath<'_>, headers: &HeaderMap) -> Judged {
    let refused = |error| Judged { answer: Err(error), place: None };
    match state.inner().cache.collection(&path.collection) {
        Slot::Unknown => refused(caller.no_such_collection()),
        Slot::Loading => refused(Code::CollectionLoading.into()),
        Slot::OtherRegion(regions) => refused(Error::in_other_region(regions)),
        Slot::Loaded(collection) => look_up_in(&collection, state, path, headers),
    }
}

fn look_up_in(
    collection: &Collection,
    state: &ReadState,
    path: &RecordPath<'_>,
    headers: &HeaderMap,
) -> Judged {
    // Before the record: it may be of a later version than the one told, never of an older one.
    let served = collection.state();
    let answer =
        UNPACKED.with_borrow_mut(|unpacked| match collection.lookup(&path.index, &path.value, unpacked) {
            Lookup::Hit { fingerprint } => Ok(hit(unpacked, fingerprint, headers)),
            Lookup::Miss => miss(&path.value, &served.manifest.serving.on_miss),
            Lookup::UnknownIndex => Err(Code::IndexNotFound.into()),
            Lookup::Unreadable(error) => {
                let collection = served.manifest.collection.as_str();
                tracing::error!(collection, %error, "a stored record cannot be read");
                Err(Code::Internal.into())
            }
        });
    let shown = state.inner().shown.of(&served, &state.inner().metrics);
    // An index's own counters hold what an index answers; a bug is counted with the others.
    let index = shown.position(&path.index);
    let place =
        (!matches!(&answer, Err(error) if error.code() == Code::Internal)).then_some(Place { shown, index });
    Judged { answer, place }
}

fn hit(unpacked: &[u8], fingerprint: u128, headers: &HeaderMap) -> Content {
    let tag = EntityTag::of(fingerprint);
    if tag.is_known_by(headers) {
        return Content::NotModified { tag };
    }
    Content::Record { body: Bytes::copy_from_slice(unpacked), tag }
}

/// An empty value is a template that was left blank: always a plain miss.
fn miss(value: &str, on_miss: &OnMiss) -> Result<Content, Error> {
    match on_miss {
        OnMiss::Empty if !value.is_empty() => Ok(Content::OnMiss { body: Bytes::from_static(b"{}") }),
        OnMiss::Record(record) if !value.is_empty() => {
            Ok(Content::OnMiss { body: Bytes::copy_from_slice(record.as_bytes()) })
        }
        _ => Err(Code::RecordNotFound.into()),
    }
}

impl Judged {
    fn outcome(&self) -> Answered {
        match &self.answer {
            Ok(Content::Record { .. }) => Answered::Hit,
            Ok(Content::NotModified { .. }) => Answered::NotModified,
            Ok(Content::OnMiss { .. }) => Answered::MissAnswered,
            Err(error) => Answered::Refused(error.code()),
        }
    }

    fn respond(self, arrival: &Arrival) -> Whole {
        let (body, tag, status) = match self.answer {
            Ok(Content::Record { body, tag }) => (body, Some(tag), StatusCode::OK),
            Ok(Content::NotModified { tag }) => (Bytes::new(), Some(tag), StatusCode::NOT_MODIFIED),
            Ok(Content::OnMiss { body }) => (body, None, StatusCode::OK),
            Err(error) => {
                let mut response = error.respond(&arrival.id);
                if let (Code::RecordNotFound, Some(place)) = (error.code(), &self.place) {
                    place.shown.add_data_headers(response.headers_mut());
                }
                return response;
            }
        };
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.reserve(HEADERS);
        if status == StatusCode::OK {
            headers.insert(CONTENT_TYPE, JSON);
        }
        if let Some(tag) = tag {
            headers.insert(ETAG, tag.header());
        }
        if let Some(place) = &self.place {
            place.shown.add_cache_control(headers);
            place.shown.add_data_headers(headers);
        }
        headers.insert(request_id::HEADER, arrival.id.header());
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_refusal() {
        let judged = guarded(|| panic!("a bug"));
        assert_eq!(judged.outcome(), Answered::Refused(Code::Internal));
    }

    #[test]
    fn an_empty_value_never_obeys_on_miss() {
        for on_miss in [OnMiss::NotFound, OnMiss::Empty, OnMiss::Record("{}".to_owned())] {
            assert!(miss("", &on_miss).is_err());
        }
        assert!(miss("7", &OnMiss::NotFound).is_err());
        assert!(miss("7", &OnMiss::Empty).is_ok());
    }
}
