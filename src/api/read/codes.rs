//! The table of codes of the public listener, and how its answers are counted. Each code has a section
//! in `docs/errors.md`.

use hyper::StatusCode;

use crate::{
    api::http::error::{
        HEADERS_TOO_LARGE, INTERNAL, INVALID_REQUEST, METHOD_NOT_ALLOWED, PATH_TOO_LONG, Refusal,
    },
    auth,
    telemetry::metrics::Outcome,
};

/// Declares the codes of this listener, `CODE STATUS "word": "message";`, and behind `=>` those that both
/// listeners have, `CODE = ROW;`.
/// The position of a code is its place in the metrics.
macro_rules! table {
    ($($code:ident $status:ident $word:literal: $message:literal;)+ => $($shared:ident = $row:ident;)+) => {
        /// Why a request was refused: from the record outwards, the reverse of the order in which a
        /// request is checked.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(in crate::api) enum Code {
            $($code,)+
            $($shared),+
        }

        impl Code {
            /// Every code, at the position of its discriminant.
            pub(in crate::api) const ALL: &[Self] = &[$(Self::$code,)+ $(Self::$shared),+];

            /// The rows, at the positions of their codes.
            const ROWS: &[Refusal] = &[$(Refusal::new($word, StatusCode::$status, $message),)+ $($row),+];
        }
    };
}

table! {
    RecordNotFound NOT_FOUND "record_not_found": "the collection has no record with this value";
    DataStale NOT_FOUND "data_stale":
        "the collection's data is older than max_age; X-Data-As-Of has its time";
    IndexNotFound NOT_FOUND "index_not_found": "the collection has no index of this name";
    HashSecretMissing NOT_FOUND "hash_secret_missing":
        "this node does not have the secret of the index, so it cannot look up a value; send the value's HMAC in the \
         URL, or set server.index_secrets on the node";
    IncludeNotFound NOT_FOUND "include_not_found": "the collection has no include of this name";
    IncludeUnavailable NOT_FOUND "include_unavailable": "this node cannot read a collection that the record includes";
    AnswerTooLarge BAD_REQUEST "answer_too_large":
        "the answer would be too large; request fewer values, fields or includes";
    CollectionInOtherRegion NOT_FOUND "collection_in_other_region":
        "this region does not serve the collection";
    CollectionLoading NOT_FOUND "collection_loading":
        "this node has not loaded the collection yet; try again later";
    CollectionNotFound NOT_FOUND "collection_not_found": "there is no collection of this name";
    Forbidden FORBIDDEN "forbidden":
        "the credential does not open this collection, index or record, or there is no such collection";
    InvalidBody BAD_REQUEST "invalid_body":
        "the body has no value to look up; send {\"value\":\"...\"} as JSON or value=... as a form";
    BodyTooLarge PAYLOAD_TOO_LARGE "body_too_large": "the body is too large";
    BodyIncomplete BAD_REQUEST "body_incomplete":
        "the body did not arrive whole within the server's body_timeout";
    InvalidParameter BAD_REQUEST "invalid_parameter":
        "invalid query parameter: max_age must be a duration such as 90s, 15m or 24h, on_stale must be \
         serve or miss, fields must be field paths and include at most 8 names between commas, and each may be given \
         once";
    InvalidPath BAD_REQUEST "invalid_path":
        "a segment of the path cannot be decoded: a % must be followed by two hexadecimal digits, and the \
         decoded bytes must be UTF-8";
    TooManyRequests TOO_MANY_REQUESTS "too_many_requests":
        "this API key has sent more requests to this node than it may; wait for the seconds in Retry-After";
    NetworkNotAllowed FORBIDDEN "network_not_allowed":
        "the API key may not be used from the address that this request comes from";
    KeyExpired UNAUTHORIZED "key_expired": "the API key has expired; ask for a new one";
    TokenExpired UNAUTHORIZED "token_expired": "the access token has expired; get a new one from its issuer";
    TokenNotYetValid UNAUTHORIZED "token_not_yet_valid":
        "the access token is not valid yet; compare the clocks of its issuer and of this node";
    TokenKeyUnknown UNAUTHORIZED "token_key_unknown":
        "this node has no key of the issuer that the access token names; a new key is known within a minute";
    TokenInvalid UNAUTHORIZED "token_invalid":
        "the access token is not valid here: its form, issuer, audience, algorithm, signature, lifetime or claims are \
         wrong";
    NodeStarting SERVICE_UNAVAILABLE "node_starting":
        "this node has just started and has not loaded the API keys; try again, or use another node";
    KeyUnknown UNAUTHORIZED "key_unknown": "the API key is unknown or revoked";
    KeyMalformed UNAUTHORIZED "key_malformed":
        "the credential is not an API key: its form or its checksum is wrong; check for a cut-off or \
         mistyped key";
    KeyMissing UNAUTHORIZED "key_missing":
        "the request carries no API key; send it as `Authorization: Bearer <key>`";
    RouteNotFound NOT_FOUND "route_not_found":
        "there is nothing at this path; a record is at /v1/collections/{collection}/records/{index}/{value}";
    =>
    MethodNotAllowed = METHOD_NOT_ALLOWED;
    HeadersTooLarge = HEADERS_TOO_LARGE;
    PathTooLong = PATH_TOO_LONG;
    InvalidRequest = INVALID_REQUEST;
    Internal = INTERNAL;
}

impl Code {
    /// The row of the code.
    pub(in crate::api) const fn row(self) -> Refusal {
        Self::ROWS[self as usize]
    }

    /// The code of a row of this table.
    pub(in crate::api) fn of(row: Refusal) -> Self {
        let code = Self::ALL.iter().find(|code| code.row().code == row.code);
        code.copied().unwrap_or(Self::Internal)
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        code.row()
    }
}

impl From<auth::Refusal> for Code {
    fn from(refusal: auth::Refusal) -> Self {
        match refusal {
            auth::Refusal::Missing => Self::KeyMissing,
            auth::Refusal::Malformed => Self::KeyMalformed,
            auth::Refusal::Unknown => Self::KeyUnknown,
            auth::Refusal::Expired => Self::KeyExpired,
            auth::Refusal::TokenInvalid => Self::TokenInvalid,
            auth::Refusal::TokenKeyUnknown => Self::TokenKeyUnknown,
            auth::Refusal::TokenExpired => Self::TokenExpired,
            auth::Refusal::TokenNotYetValid => Self::TokenNotYetValid,
        }
    }
}

/// The outcome of a request, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Answered {
    /// 200 and the record.
    Hit,
    /// 304.
    NotModified,
    /// A miss, answered 200 as the collection's `on_miss` says.
    OnMiss,
    /// Refused.
    Refused(Code),
}

impl Answered {
    /// Every outcome, at its [`Answered::position`].
    const OUTCOMES: [Outcome; 3 + Code::ALL.len()] = {
        let mut all = [Outcome { status: 200, code: "hit" }; 3 + Code::ALL.len()];
        all[1] = Outcome { status: 304, code: "not_modified" };
        all[2] = Outcome { status: 200, code: "miss_answered" };
        let mut at = 0;
        while at < Code::ALL.len() {
            let row = Code::ROWS[at];
            all[3 + at] = Outcome { status: row.status.as_u16(), code: row.code };
            at += 1;
        }
        all
    };

    /// The outcomes of a request for an index that a loaded collection has: the first of all, so that
    /// positions agree.
    pub(in crate::api) const OF_AN_INDEX: &[Outcome] = Self::OUTCOMES.split_at(5).0;
    /// The outcome of a request for an index that the collection does not have.
    pub(in crate::api) const OF_NO_INDEX: &[Outcome] =
        &[Self::OUTCOMES[Self::Refused(Code::IndexNotFound).position()]];

    /// The outcomes of a request that belongs to no collection: the refusals, at the position of
    /// their [`Code`].
    pub(in crate::api) const OF_NO_COLLECTION: &[Outcome] = Self::OUTCOMES.split_at(3).1;

    /// The position among all outcomes.
    pub(in crate::api) const fn position(self) -> usize {
        match self {
            Self::Hit => 0,
            Self::NotModified => 1,
            Self::OnMiss => 2,
            Self::Refused(code) => 3 + code as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_counted_at_their_positions() {
        let mut seen = HashSet::new();
        for (at, &code) in Code::ALL.iter().enumerate() {
            let row = code.row();
            assert_eq!((code as usize, Code::of(row)), (at, code));
            assert!(seen.insert(row.code), "{} twice", row.code);
            let counted = Answered::OUTCOMES[Answered::Refused(code).position()];
            assert_eq!((counted.code, counted.status), (row.code, row.status.as_u16()));
        }
    }

    #[test]
    fn outcomes_of_an_index_keep_their_positions() {
        let codes: Vec<&str> = Answered::OF_AN_INDEX.iter().map(|outcome| outcome.code).collect();
        assert_eq!(codes, ["hit", "not_modified", "miss_answered", "record_not_found", "data_stale"]);
        assert_eq!(Answered::OF_NO_INDEX[0].code, "index_not_found");
        for &code in Code::ALL {
            assert_eq!(Answered::OF_NO_COLLECTION[code as usize].code, code.row().code);
        }
    }

    #[test]
    fn no_status_of_the_data_path_feeds_an_unhealthy_host_breaker() {
        // Braze counts these per host name: one bad template must not halt all calls. The exceptions are sent by
        // a process that cannot answer at all, and where a limit is configured.
        let meant = [Code::NodeStarting, Code::TooManyRequests];
        for code in Code::ALL.iter().filter(|code| !meant.contains(code)) {
            assert!(![408, 429, 502, 503, 504, 529].contains(&code.row().status.as_u16()));
        }
    }

    #[test]
    fn every_code_has_a_section_and_a_row_in_the_documentation() {
        let page = include_str!("../../../docs/errors.md");
        for row in Code::ROWS.iter().chain(crate::api::admin::codes::TABLE) {
            let heading = format!("## {}", row.code);
            assert!(page.lines().any(|line| line == heading), "docs/errors.md lacks `{heading}`");
            let row = format!("| `{}` | {} |", row.code, row.status.as_u16());
            assert!(page.contains(&row), "docs/errors.md lacks the row `{row}`");
        }
    }
}
