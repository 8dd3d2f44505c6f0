//! What a request for a record gets, and how it looks as an answer.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderValue, VARY},
};

use super::{coding::Coding, conditional::EntityTag, shown::Shown};
use crate::{
    api::{
        codes::{Answered, Code},
        error::{Error, JSON},
        layers::Arrival,
        reply::Whole,
        request_id,
    },
    domain::manifest::OnMiss,
};

/// Headers of a hit, with those that the server adds: room made once.
const HEADERS: usize = 8;

/// A request for a record, judged.
pub(super) struct Judged {
    pub(super) answer: Result<Content, Error>,
    /// What answered, once the collection was found.
    pub(super) place: Option<Place>,
}

/// A version of a collection, and the position of the index asked for when there is one.
pub(super) struct Place {
    pub(super) shown: Arc<Shown>,
    pub(super) index: Option<usize>,
    /// The data is older than the caller accepts.
    pub(super) is_stale: bool,
}

/// What a request gets.
pub(super) enum Content {
    Record { body: Body, tag: EntityTag },
    NotModified { tag: EntityTag, coding: Option<Coding> },
    OnMiss { body: Body },
}

/// A body, and its coding when it is large enough for the caller's wishes to count.
pub(super) struct Body {
    bytes: Bytes,
    coding: Option<Coding>,
}

impl Body {
    /// `plain` in the coding that the caller likes best.
    fn new(plain: Vec<u8>, coding: Option<Coding>) -> Self {
        let coded = coding.filter(|coding| *coding != Coding::Identity).map(|coding| coding.encode(&plain));
        match coded {
            Some(Ok(coded)) => Self { bytes: coded.into(), coding },
            // The body as it is is an answer too.
            Some(Err(_)) => Self { bytes: plain.into(), coding: Some(Coding::Identity) },
            None => Self { bytes: plain.into(), coding },
        }
    }
}

/// The coding of a body of `bytes`; `None` when it is too small for one.
fn coding_of(bytes: usize, bytes_min: usize, headers: &HeaderMap) -> Option<Coding> {
    (bytes >= bytes_min).then(|| Coding::chosen_by(headers))
}

/// The record, or that the caller has it.
pub(super) fn hit(
    body: Vec<u8>,
    fingerprint: u128,
    compress_min_bytes: usize,
    headers: &HeaderMap,
) -> Content {
    let tag = EntityTag::of(fingerprint);
    let coding = coding_of(body.len(), compress_min_bytes, headers);
    if tag.is_known_by(headers) {
        return Content::NotModified { tag, coding };
    }
    Content::Record { body: Body::new(body, coding), tag }
}

/// What the collection says of a miss; `code` is its reason. An empty value is a template that was
/// left blank: always a plain miss.
pub(super) fn miss(
    code: Code,
    value: &str,
    on_miss: &OnMiss,
    compress_min_bytes: usize,
    headers: &HeaderMap,
) -> Result<Content, Error> {
    let body = match on_miss {
        OnMiss::Empty if !value.is_empty() => b"{}",
        OnMiss::Record(record) if !value.is_empty() => record.as_bytes(),
        _ => return Err(code.into()),
    };
    let coding = coding_of(body.len(), compress_min_bytes, headers);
    Ok(Content::OnMiss { body: Body::new(body.to_vec(), coding) })
}

impl Judged {
    /// Refused before a collection was found.
    pub(super) fn refused(error: impl Into<Error>) -> Self {
        Self { answer: Err(error.into()), place: None }
    }

    pub(super) fn outcome(&self) -> Answered {
        match &self.answer {
            Ok(Content::Record { .. }) => Answered::Hit,
            Ok(Content::NotModified { .. }) => Answered::NotModified,
            Ok(Content::OnMiss { .. }) => Answered::MissAnswered,
            Err(error) => Answered::Refused(error.code()),
        }
    }

    pub(super) fn respond(self, arrival: &Arrival) -> Whole {
        let (body, tag, coding, status) = match self.answer {
            Ok(Content::Record { body, tag }) => (body.bytes, Some(tag), body.coding, StatusCode::OK),
            Ok(Content::NotModified { tag, coding }) => {
                (Bytes::new(), Some(tag), coding, StatusCode::NOT_MODIFIED)
            }
            Ok(Content::OnMiss { body }) => (body.bytes, None, body.coding, StatusCode::OK),
            Err(error) => {
                let mut response = error.respond(&arrival.id);
                if let (Code::RecordNotFound | Code::DataStale, Some(place)) = (error.code(), &self.place) {
                    place.shown.add_data_headers(place.is_stale, response.headers_mut());
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
            headers.insert(ETAG, tag.header(coding.unwrap_or(Coding::Identity)));
        }
        if let Some(coding) = coding {
            headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
            if let (Some(coding), StatusCode::OK) = (coding.header(), status) {
                headers.insert(CONTENT_ENCODING, coding);
            }
        }
        if let Some(place) = &self.place {
            place.shown.add_cache_control(headers);
            place.shown.add_data_headers(place.is_stale, headers);
        }
        headers.insert(request_id::HEADER, arrival.id.header());
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_never_obeys_on_miss() {
        let miss = |value: &str, on_miss: &OnMiss| {
            miss(Code::RecordNotFound, value, on_miss, 16_000, &HeaderMap::new()).is_ok()
        };
        for on_miss in [OnMiss::NotFound, OnMiss::Empty, OnMiss::Record("{}".to_owned())] {
            assert!(!miss("", &on_miss));
        }
        assert!(!miss("7", &OnMiss::NotFound));
        assert!(miss("7", &OnMiss::Empty));
    }
}
