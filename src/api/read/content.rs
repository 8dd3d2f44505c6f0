//! What a request for a record gets, and how it looks as an answer.

use std::sync::Arc;

use bytes::Bytes;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY},
};

use super::{coding::Coding, conditional::EntityTag, shown::Shown};
use crate::{
    api::{
        codes::{Answered, Code},
        error::Error,
        layers::Arrival,
        reply,
    },
    domain::manifest::OnMiss,
};

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

/// The record, or that the caller has it when the request is a conditional one.
pub(super) fn hit(
    body: Vec<u8>,
    fingerprint: u128,
    compress_min_bytes: usize,
    headers: &HeaderMap,
    is_conditional: bool,
) -> Content {
    let tag = EntityTag::of(fingerprint);
    let coding = coding_of(body.len(), compress_min_bytes, headers);
    if is_conditional && tag.is_known_by(headers) {
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
    if value.trim().is_empty() {
        return Err(Code::RecordNotFound.into());
    }
    let body = match on_miss {
        OnMiss::Empty => b"{}",
        OnMiss::Record(record) => record.as_bytes(),
        OnMiss::NotFound => return Err(code.into()),
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

    pub(super) fn respond(self, arrival: &Arrival) -> Response<reply::Body> {
        let content = match (self.answer, &self.place) {
            (Ok(content), Some(place)) => Ok((content, place)),
            (Err(error), _) => Err(error),
            // Only a collection answers with content.
            (Ok(_), None) => Err(Code::Internal.into()),
        };
        let (content, place) = match content {
            Ok(found) => found,
            Err(error) => {
                let mut response = error.respond(&arrival.id);
                if let (Code::RecordNotFound | Code::DataStale, Some(place)) = (error.code(), &self.place) {
                    place.shown.add_data_headers(place.is_stale, response.headers_mut());
                }
                return response;
            }
        };
        let (body, tag, coding, status) = match content {
            Content::Record { body, tag } => (body.bytes, Some(tag), body.coding, StatusCode::OK),
            Content::NotModified { tag, coding } => {
                (Bytes::new(), Some(tag), coding, StatusCode::NOT_MODIFIED)
            }
            Content::OnMiss { body } => (body.bytes, None, body.coding, StatusCode::OK),
        };
        let mut response = Response::new(reply::Body::from(body));
        *response.status_mut() = status;
        let tag = tag.map(|tag| tag.header(coding.unwrap_or(Coding::Identity)));
        let mut headers = place.shown.headers(tag, &arrival.id, place.is_stale);
        if status == StatusCode::NOT_MODIFIED {
            headers.remove(CONTENT_TYPE);
        }
        if let Some(coding) = coding {
            headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
            if let (Some(coding), StatusCode::OK) = (coding.header(), status) {
                headers.insert(CONTENT_ENCODING, coding);
            }
        }
        *response.headers_mut() = headers;
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
