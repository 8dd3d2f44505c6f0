//! The path of a record: `/v1/collections/{collection}/records/{index}/{value}`, or without the value,
//! which is then in the body of a POST. With `batch` in its place the body of a POST has many values.
//!
//! It is split at `/` first, then each segment is decoded once, so that `%2F` is part of a value and nothing
//! is decoded twice. A `+` is a plus sign: this is a path, not a form.

use std::borrow::Cow;

use hyper::Method;

use super::codes::Code;
use crate::api::http::error::METHODS;

/// Stands for the value in the path of many look-ups.
const BATCH: &str = "batch";

/// The three names of a record's path, still encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) struct RawPath<'a> {
    collection: &'a str,
    index: &'a str,
    /// `None` if the path ends with the index.
    value: Option<&'a str>,
}

/// The three names, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecordPath<'a> {
    pub(super) collection: Cow<'a, str>,
    pub(super) index: Cow<'a, str>,
    /// Empty if a template left it blank, or if the path has none.
    pub(super) value: Cow<'a, str>,
}

impl<'a> RawPath<'a> {
    /// Splits the path of a record; `None` for any other path. A trailing slash changes nothing; the value may
    /// be empty.
    pub(in crate::api) fn of(path: &'a str) -> Option<Self> {
        let (collection, rest) = path.strip_prefix("/v1/collections/")?.split_once('/')?;
        let rest = rest.strip_prefix("records/")?;
        let Some((index, rest)) = rest.split_once('/') else {
            return (!rest.is_empty()).then_some(Self { collection, index: rest, value: None });
        };
        let value = rest.strip_suffix('/').unwrap_or(rest);
        (!value.contains('/')).then_some(Self { collection, index, value: Some(value) })
    }

    /// Whether a POST to the path has many values. A GET looks up the value `batch`.
    pub(super) fn may_be_batch(&self) -> bool {
        self.value == Some(BATCH)
    }

    /// The methods of the path, as `Allow` names them: `POST` without a value, `GET` and `HEAD` with one. A
    /// slash at the end may mean either.
    pub(in crate::api) fn methods(&self) -> &'static str {
        match self.value {
            None => "POST",
            Some("" | BATCH) => "GET, HEAD, POST",
            Some(_) => METHODS,
        }
    }

    /// Whether the path supports `method`.
    pub(in crate::api) fn allows(&self, method: &Method) -> bool {
        match self.value {
            Some(value) if matches!(*method, Method::GET | Method::HEAD) || !matches!(value, "" | BATCH) => {
                matches!(*method, Method::GET | Method::HEAD)
            }
            Some(_) | None => *method == Method::POST,
        }
    }

    /// Decodes each segment once.
    pub(super) fn decode(&self) -> Result<RecordPath<'a>, Code> {
        let decoded = |segment: &'a str| percent_decode(segment.as_bytes()).ok_or(Code::InvalidPath);
        Ok(RecordPath {
            collection: decoded(self.collection)?,
            index: decoded(self.index)?,
            value: decoded(self.value.unwrap_or_default())?,
        })
    }
}

/// Decodes as in RFC 3986, section 2.1. `None` if a `%` is not followed by two hexadecimal digits, or if the
/// bytes are not UTF-8.
pub(super) fn percent_decode(encoded: &[u8]) -> Option<Cow<'_, str>> {
    if memchr::memchr(b'%', encoded).is_none() {
        return std::str::from_utf8(encoded).ok().map(Cow::Borrowed);
    }
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.iter();
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16).map(|value| value as u8);
    while let Some(&byte) = bytes.next() {
        decoded.push(if byte == b'%' { digit(bytes.next())? << 4 | digit(bytes.next())? } else { byte });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_split_first_and_decoded_once() {
        for (path, expected) in [
            ("/v1/collections/c/records/id/1", Some(("c", "id", "1"))),
            ("/v1/collections/c/records/id/1/", Some(("c", "id", "1"))),
            ("/v1/collections/c/records/id/", Some(("c", "id", ""))),
            ("/v1/collections/c/records/id//", Some(("c", "id", ""))),
            ("/v1/collections/c/records/id/a%2Fb", Some(("c", "id", "a/b"))),
            ("/v1/collections/c/records/id/a%2fb/", Some(("c", "id", "a/b"))),
            ("/v1/collections/c/records/id/a+b", Some(("c", "id", "a+b"))),
            ("/v1/collections/c/records/id/a%2Bb", Some(("c", "id", "a+b"))),
            ("/v1/collections/c/records/id/a%252Bb", Some(("c", "id", "a%2Bb"))),
            ("/v1/collections/c/records/id/%E2%82%AC€", Some(("c", "id", "€€"))),
            ("/v1/collections/c/records/id/%00", Some(("c", "id", "\0"))),
            ("/v1/collections/c/records/id/..%2F..%2Fetc%2Fpasswd", Some(("c", "id", "../../etc/passwd"))),
            ("/v1/collections/c/records/id/%2e%2e", Some(("c", "id", ".."))),
            ("/v1/collections/%63/records/%69d/1", Some(("c", "id", "1"))),
            ("/v1/collections//records//1", Some(("", "", "1"))),
            ("/v1/collections/c/records/id", Some(("c", "id", ""))),
            ("/v1/collections/c/records/", None),
            ("/v1/collections/c/records", None),
            ("/v1/collections/c/records/id/a/b", None),
            ("/v1/collections/c/records/id/1//", None),
            ("/v1/collections/c/record/id/1", None),
            ("/v1//collections/c/records/id/1", None),
            ("/V1/collections/c/records/id/1", None),
            ("/v1/collections/c", None),
            ("/", None),
            ("", None),
            ("*", None),
        ] {
            let decoded = RawPath::of(path).map(|raw| raw.decode().unwrap());
            let decoded = decoded.as_ref().map(|d| (&*d.collection, &*d.index, &*d.value));
            assert_eq!(decoded, expected, "{path}");
        }
    }

    #[test]
    fn path_decides_which_methods_are_allowed() {
        for (value, methods) in [
            ("", "POST"),
            ("/", "GET, HEAD, POST"),
            ("//", "GET, HEAD, POST"),
            ("/1", "GET, HEAD"),
            ("/1/", "GET, HEAD"),
            ("/batch", "GET, HEAD, POST"),
            ("/batch/", "GET, HEAD, POST"),
            ("/%62atch", "GET, HEAD"),
        ] {
            let path = format!("/v1/collections/c/records/id{value}");
            let path = RawPath::of(&path).unwrap();
            assert_eq!(path.methods(), methods);
            for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT] {
                assert_eq!(path.allows(&method), methods.contains(method.as_str()), "{value} {method}");
            }
        }
    }

    #[test]
    fn segment_that_cannot_be_decoded_is_refused() {
        for segment in ["%", "%4", "a%", "%zz", "%+1", "%C3", "%C3%28", "%ED%A0%80", "%FF", "%2"] {
            for path in [
                format!("/v1/collections/{segment}/records/id/1"),
                format!("/v1/collections/c/records/{segment}/1"),
                format!("/v1/collections/c/records/id/{segment}"),
            ] {
                assert_eq!(RawPath::of(&path).unwrap().decode(), Err(Code::InvalidPath), "{path}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_value_is_decoded_unchanged(value in any::<String>()) {
            let encoded: Vec<String> = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let encoded = encoded.concat();
            prop_assert_eq!(percent_decode(encoded.as_bytes()).unwrap(), value);
        }

        #[test]
        fn no_path_panics(path in any::<String>()) {
            if let Some(raw) = RawPath::of(&path) {
                let _ = raw.decode();
            }
            let _ = percent_decode(path.as_bytes());
        }
    }
}
