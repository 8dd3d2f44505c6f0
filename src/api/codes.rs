//! Every code that an HTTP answer can carry, with its status and its message; and how the answers
//! are counted. Each refusal has a section in `docs/errors.md`.

use hyper::StatusCode;

use crate::{auth, telemetry::metrics::Outcome};

/// Why a request was refused: from the record outwards, which is the reverse of the order in which
/// a request is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// No record has this value.
    RecordNotFound,
    /// The data is older than the caller accepts.
    DataStale,
    /// The collection has no such index.
    IndexNotFound,
    /// Served in other regions only.
    CollectionInOtherRegion,
    /// Named by the catalog, not yet loaded here.
    CollectionLoading,
    /// No such collection; said only to a key that opens all.
    CollectionNotFound,
    /// The key does not open the collection, or there is none of that name.
    Forbidden,
    /// The body of a look-up by POST names no value.
    InvalidBody,
    /// The body of a look-up by POST is too large.
    BodyTooLarge,
    /// The body of a look-up by POST did not arrive in time, or not whole.
    BodyIncomplete,
    /// A query parameter that is known has a value that is not.
    InvalidParameter,
    /// A segment of the path cannot be decoded.
    InvalidPath,
    /// The key has asked more often than it may.
    TooManyRequests,
    /// A key whose time is over.
    KeyExpired,
    /// Keys are not loaded yet, so that nobody can be let in or refused.
    NodeStarting,
    /// A key that is not known, or revoked.
    KeyUnknown,
    /// A credential that is no key.
    KeyMalformed,
    /// No credential.
    KeyMissing,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// No such path.
    RouteNotFound,
    /// The headers together are too large.
    HeadersTooLarge,
    /// The request target is too long.
    PathTooLong,
    /// Bytes that are no HTTP request.
    InvalidRequest,
    /// A bug.
    Internal,
}

impl Code {
    /// Every code, at the position that its discriminant says.
    pub const ALL: [Self; 24] = [
        Self::RecordNotFound,
        Self::DataStale,
        Self::IndexNotFound,
        Self::CollectionInOtherRegion,
        Self::CollectionLoading,
        Self::CollectionNotFound,
        Self::Forbidden,
        Self::InvalidBody,
        Self::BodyTooLarge,
        Self::BodyIncomplete,
        Self::InvalidParameter,
        Self::InvalidPath,
        Self::TooManyRequests,
        Self::KeyExpired,
        Self::NodeStarting,
        Self::KeyUnknown,
        Self::KeyMalformed,
        Self::KeyMissing,
        Self::MethodNotAllowed,
        Self::RouteNotFound,
        Self::HeadersTooLarge,
        Self::PathTooLong,
        Self::InvalidRequest,
        Self::Internal,
    ];

    /// The stable word in the body, in metrics and in the documentation.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The status of the answer.
    pub const fn status(self) -> StatusCode {
        self.row().1
    }

    /// What happened and what to do, for the caller.
    pub const fn message(self) -> &'static str {
        self.row().2
    }

    /// The table.
    #[expect(clippy::too_many_lines, reason = "a table, one row a code")]
    const fn row(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::RecordNotFound => {
                ("record_not_found", StatusCode::NOT_FOUND, "the collection has no record with this value")
            }
            Self::DataStale => (
                "data_stale",
                StatusCode::NOT_FOUND,
                "the collection's data is older than the request's max_age; X-Data-As-Of says from when it is",
            ),
            Self::IndexNotFound => {
                ("index_not_found", StatusCode::NOT_FOUND, "the collection has no index of this name")
            }
            Self::CollectionInOtherRegion => (
                "collection_in_other_region",
                StatusCode::NOT_FOUND,
                "this region does not serve the collection",
            ),
            Self::CollectionLoading => (
                "collection_loading",
                StatusCode::NOT_FOUND,
                "this node has not loaded the collection yet; ask again later",
            ),
            Self::CollectionNotFound => {
                ("collection_not_found", StatusCode::NOT_FOUND, "there is no collection of this name")
            }
            Self::Forbidden => (
                "forbidden",
                StatusCode::FORBIDDEN,
                "the API key does not open this collection, or there is no such collection",
            ),
            Self::InvalidBody => (
                "invalid_body",
                StatusCode::BAD_REQUEST,
                "the body has no value to look up; send {\"value\":\"...\"} as JSON or value=... as a form",
            ),
            Self::BodyTooLarge => {
                ("body_too_large", StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 16384 bytes")
            }
            Self::BodyIncomplete => (
                "body_incomplete",
                StatusCode::BAD_REQUEST,
                "the body did not arrive whole in the time that it has",
            ),
            Self::InvalidParameter => (
                "invalid_parameter",
                StatusCode::BAD_REQUEST,
                "a query parameter has a value that it cannot have: max_age is a duration such as 90s, 15m \
                 or 24h, on_stale is serve or miss, each at most once",
            ),
            Self::InvalidPath => (
                "invalid_path",
                StatusCode::BAD_REQUEST,
                "a segment of the path cannot be decoded: a % must be followed by two hexadecimal \
                 digits, and the decoded bytes must be UTF-8",
            ),
            Self::TooManyRequests => (
                "too_many_requests",
                StatusCode::TOO_MANY_REQUESTS,
                "this API key has asked this node more often than it is configured to allow; Retry-After says \
                 when it may again",
            ),
            Self::KeyExpired => {
                ("key_expired", StatusCode::UNAUTHORIZED, "the API key has expired; ask for a new one")
            }
            Self::NodeStarting => (
                "node_starting",
                StatusCode::SERVICE_UNAVAILABLE,
                "this node has just started and has not loaded the API keys; ask again, or ask another node",
            ),
            Self::KeyUnknown => {
                ("key_unknown", StatusCode::UNAUTHORIZED, "the API key is unknown or revoked")
            }
            Self::KeyMalformed => (
                "key_malformed",
                StatusCode::UNAUTHORIZED,
                "the credential is not an API key: its form or its checksum is wrong; \
                 look for a cut-off or mistyped key",
            ),
            Self::KeyMissing => (
                "key_missing",
                StatusCode::UNAUTHORIZED,
                "the request carries no API key; send it as `Authorization: Bearer <key>`",
            ),
            Self::MethodNotAllowed => (
                "method_not_allowed",
                StatusCode::METHOD_NOT_ALLOWED,
                "this path does not answer this method; the Allow header names those that it does",
            ),
            Self::RouteNotFound => (
                "route_not_found",
                StatusCode::NOT_FOUND,
                "there is nothing at this path; a record is at \
                 /v1/collections/{collection}/records/{index}/{value}",
            ),
            Self::HeadersTooLarge => (
                "headers_too_large",
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "the request headers together are larger than 32768 bytes",
            ),
            Self::PathTooLong => {
                ("path_too_long", StatusCode::URI_TOO_LONG, "the request target is longer than 8192 bytes")
            }
            Self::InvalidRequest => (
                "invalid_request",
                StatusCode::BAD_REQUEST,
                "the bytes received are not an HTTP request; the connection ends",
            ),
            Self::Internal => {
                ("internal", StatusCode::INTERNAL_SERVER_ERROR, "the server met a bug; its log has the place")
            }
        }
    }
}

impl From<auth::Refusal> for Code {
    fn from(refusal: auth::Refusal) -> Self {
        match refusal {
            auth::Refusal::Missing => Self::KeyMissing,
            auth::Refusal::Malformed => Self::KeyMalformed,
            auth::Refusal::Unknown => Self::KeyUnknown,
            auth::Refusal::Expired => Self::KeyExpired,
        }
    }
}

/// What became of a request, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// 200 and the record.
    Hit,
    /// 304.
    NotModified,
    /// A miss, answered 200 as the collection's `on_miss` says.
    MissAnswered,
    /// Refused.
    Refused(Code),
}

impl Answered {
    /// Every outcome, at the position that [`Answered::place`] says.
    pub const OUTCOMES: [Outcome; 3 + Code::ALL.len()] = {
        let mut all = [Outcome { status: 200, code: "hit" }; 3 + Code::ALL.len()];
        all[1] = Outcome { status: 304, code: "not_modified" };
        all[2] = Outcome { status: 200, code: "miss_answered" };
        let mut at = 0;
        while at < Code::ALL.len() {
            let code = Code::ALL[at];
            all[3 + at] = Outcome { status: code.status().as_u16(), code: code.as_str() };
            at += 1;
        }
        all
    };

    /// What can become of a request for an index that a loaded collection has: the first outcomes
    /// of all, so that positions agree.
    pub const OF_AN_INDEX: &[Outcome] = Self::OUTCOMES.split_at(5).0;
    /// What becomes of a request for an index that it does not have.
    pub const OF_NO_INDEX: &[Outcome] = &[Self::OUTCOMES[Self::Refused(Code::IndexNotFound).place()]];

    /// What can become of a request that belongs to no collection: the refusals, at the position of
    /// their [`Code`].
    pub const OF_NO_COLLECTION: &[Outcome] = Self::OUTCOMES.split_at(3).1;

    /// The position in [`Answered::OUTCOMES`].
    pub const fn place(self) -> usize {
        match self {
            Self::Hit => 0,
            Self::NotModified => 1,
            Self::MissAnswered => 2,
            Self::Refused(code) => 3 + code as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_stand_at_their_place_and_differ() {
        let mut seen = HashSet::new();
        for (at, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, at);
            assert!(seen.insert(code.as_str()), "{} twice", code.as_str());
            let counted = Answered::OUTCOMES[Answered::Refused(code).place()];
            assert_eq!((counted.code, counted.status), (code.as_str(), code.status().as_u16()));
        }
    }

    #[test]
    fn outcomes_of_an_index_keep_their_places() {
        let codes: Vec<&str> = Answered::OF_AN_INDEX.iter().map(|outcome| outcome.code).collect();
        assert_eq!(codes, ["hit", "not_modified", "miss_answered", "record_not_found", "data_stale"]);
        assert_eq!(Answered::OF_NO_INDEX[0].code, "index_not_found");
        for code in Code::ALL {
            assert_eq!(Answered::OF_NO_COLLECTION[code as usize].code, code.as_str());
        }
    }

    #[test]
    fn codes_of_a_credential_are_those_of_auth() {
        use auth::Refusal::{Expired, Malformed, Missing, Unknown};
        for refusal in [Missing, Malformed, Unknown, Expired] {
            assert_eq!(Code::from(refusal).as_str(), refusal.code());
        }
    }

    #[test]
    fn no_status_of_the_data_path_feeds_an_unhealthy_host_breaker() {
        // Braze counts these per host name: one bad template must not halt all calls. What is left is said by a
        // process that cannot answer at all, and where somebody configured a limit.
        let meant = [Code::NodeStarting, Code::TooManyRequests];
        for code in Code::ALL.into_iter().filter(|code| !meant.contains(code)) {
            assert!(![408, 429, 502, 503, 504, 529].contains(&code.status().as_u16()));
        }
    }

    #[test]
    fn every_code_has_a_section_in_the_documentation() {
        let page = include_str!("../../docs/errors.md");
        for code in Code::ALL {
            let heading = format!("## {}", code.as_str());
            assert!(page.lines().any(|line| line == heading), "docs/errors.md lacks `{heading}`");
            let row = format!("| `{}` | {} |", code.as_str(), code.status().as_u16());
            assert!(page.contains(&row), "docs/errors.md lacks the row `{row}`");
        }
    }
}
