//! The answer to a request for a record, and its response.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY},
};
use tokio::sync::Semaphore;

use super::{
    answer_body::Body,
    codes::{Answered, Code},
    coding::Coding,
    conditional::EntityTag,
    project::project,
    version_view::{self, VersionView},
};
use crate::{
    api::http::{answer, error::Error, layers::Arrival},
    domain::{fields::FieldSelection, manifest::OnMiss},
};

/// The answer to a request for a record.
pub(super) struct RecordAnswer {
    pub(super) content: Result<Content, Error<Code>>,
    /// The version that answered; `None` if no collection was found.
    pub(super) origin: Option<Origin>,
}

/// A version of a collection, and the position of the requested index if there is one.
pub(super) struct Origin {
    pub(super) view: Arc<VersionView>,
    pub(super) index: Option<usize>,
    /// The data is older than the caller accepts.
    pub(super) is_stale: bool,
    /// The time of the oldest data in the answer, if it is not the version's.
    pub(super) as_of: Option<DateTime<Utc>>,
}

/// The content of an answer that is no refusal.
pub(super) enum Content {
    Record {
        body: Body,
        tag: EntityTag,
    },
    NotModified {
        tag: EntityTag,
        coding: Option<Coding>,
    },
    OnMiss {
        body: Body,
    },
    /// An object with many records.
    Records {
        body: Body,
    },
}

/// The coding of a body of `bytes`; `None` if it is too small to be compressed.
fn coding_of(bytes: usize, bytes_min: usize, headers: &HeaderMap) -> Option<Coding> {
    (bytes >= bytes_min).then(|| Coding::negotiate(headers))
}

/// The record, or for a conditional request that the caller has it already.
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
    Content::Record { body: Body::now(body, coding), tag }
}

/// An answer with many records.
pub(super) fn records(body: Vec<u8>, compress_min_bytes: usize, headers: &HeaderMap) -> Content {
    let coding = coding_of(body.len(), compress_min_bytes, headers);
    Content::Records { body: Body::later(body, coding) }
}

/// The content of a miss as the collection's `on_miss` says, with the `fields` that the caller may read; `code` is its
/// reason. A blank value comes from
/// a template that was left blank: it is always refused.
pub(super) fn miss(
    code: Code,
    is_blank: bool,
    on_miss: &OnMiss,
    fields: Option<&FieldSelection>,
    compress_min_bytes: usize,
    headers: &HeaderMap,
) -> Result<Content, Error<Code>> {
    if is_blank {
        return Err(Code::RecordNotFound.into());
    }
    let body = match on_miss {
        OnMiss::Empty => b"{}".to_vec(),
        OnMiss::Record(record) => match fields {
            None => record.as_bytes().to_vec(),
            Some(fields) => project(record.as_bytes(), fields),
        },
        OnMiss::NotFound => return Err(code.into()),
    };
    let coding = coding_of(body.len(), compress_min_bytes, headers);
    Ok(Content::OnMiss { body: Body::now(body, coding) })
}

impl RecordAnswer {
    /// The answer of a collection. An index's own counters have only the outcomes of an index: other refusals are
    /// counted with those of no collection.
    pub(super) fn of_collection(
        content: Result<Content, Error<Code>>,
        origin: impl FnOnce() -> Origin,
    ) -> Self {
        let is_of_index = match &content {
            Ok(_) => true,
            Err(error) => {
                matches!(error.code(), Code::RecordNotFound | Code::DataStale | Code::IndexNotFound)
            }
        };
        Self { content, origin: is_of_index.then(origin) }
    }

    /// Refused before a collection was found.
    pub(super) fn refused(error: impl Into<Error<Code>>) -> Self {
        Self { content: Err(error.into()), origin: None }
    }

    /// Compresses the body of many records, if it is large. As many at once as `threads` has permits.
    pub(super) async fn compressed(mut self, threads: &Semaphore) -> Self {
        if let Ok(Content::Records { body }) = self.content {
            self.content = Ok(Content::Records { body: body.compressed(threads).await });
        }
        self
    }

    pub(super) fn outcome(&self) -> Answered {
        match &self.content {
            Ok(Content::Record { .. } | Content::Records { .. }) => Answered::Hit,
            Ok(Content::NotModified { .. }) => Answered::NotModified,
            Ok(Content::OnMiss { .. }) => Answered::OnMiss,
            Err(error) => Answered::Refused(error.code()),
        }
    }

    pub(super) fn respond(self, arrival: &Arrival) -> Response<answer::Body> {
        let content = match (self.content, &self.origin) {
            (Ok(content), Some(origin)) => Ok((content, origin)),
            (Err(error), _) => Err(error),
            // Only a collection answers with content.
            (Ok(_), None) => Err(Code::Internal.into()),
        };
        let (content, origin) = match content {
            Ok(found) => found,
            Err(error) => {
                let mut response = error.respond(&arrival.id);
                if let (Code::RecordNotFound | Code::DataStale, Some(origin)) = (error.code(), &self.origin) {
                    origin.view.add_data_headers(origin.is_stale, response.headers_mut());
                    version_view::replace_as_of(origin.as_of, response.headers_mut());
                }
                return response;
            }
        };
        let (body, tag, coding, status) = match content {
            Content::Record { body, tag } => (body.bytes, Some(tag), body.coding, StatusCode::OK),
            Content::NotModified { tag, coding } => {
                (Bytes::new(), Some(tag), coding, StatusCode::NOT_MODIFIED)
            }
            Content::OnMiss { body } | Content::Records { body } => {
                (body.bytes, None, body.coding, StatusCode::OK)
            }
        };
        let mut response = Response::new(answer::Body::from(body));
        *response.status_mut() = status;
        let tag = tag.map(|tag| tag.header(coding.unwrap_or(Coding::Identity)));
        let mut headers = origin.view.headers(tag, &arrival.id, origin.is_stale);
        version_view::replace_as_of(origin.as_of, &mut headers);
        if status == StatusCode::NOT_MODIFIED {
            headers.remove(CONTENT_TYPE);
        }
        if let Some(coding) = coding {
            headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
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
    fn on_miss_does_not_apply_to_an_empty_value() {
        let miss = |value: &str, on_miss: &OnMiss| {
            miss(Code::RecordNotFound, value.is_empty(), on_miss, None, 16_000, &HeaderMap::new()).is_ok()
        };
        for on_miss in [OnMiss::NotFound, OnMiss::Empty, OnMiss::Record("{}".to_owned())] {
            assert!(!miss("", &on_miss));
        }
        assert!(!miss("7", &OnMiss::NotFound));
        assert!(miss("7", &OnMiss::Empty));
    }
}
