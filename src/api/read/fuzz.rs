//! Fuzz targets for requests: the path, the query, and the body of a look-up by POST.

// A target reports a broken promise by a panic.
#![allow(clippy::unwrap_used)]

use std::str;

use chrono::{DateTime, Utc};
use hyper::{
    HeaderMap, Uri,
    header::{CONTENT_TYPE, HeaderValue},
};

use super::{
    body,
    parameters::Parameters,
    path::{RawPath, RecordPath},
};
use crate::domain::{
    index::{IndexDefinition, NormalForm},
    name::IndexName,
    row::ColumnKind,
};

/// A path, as bytes of a request and as text that another parser accepted.
pub(crate) fn record_path(bytes: &[u8]) -> bool {
    if let Ok(target) = Uri::try_from(bytes) {
        names(target.path());
    }
    str::from_utf8(bytes).is_ok_and(names)
}

/// Whether `path` names a record. Checks what is promised for both cases.
fn names(path: &str) -> bool {
    let Some(raw) = RawPath::of(path) else { return false };
    if !path.ends_with('/') && raw.methods() != "POST" {
        assert_eq!(RawPath::of(&format!("{path}/")), Some(raw), "a slash at the end changes nothing");
    }
    let mut segments = path["/v1/collections/".len()..].split('/');
    let mut next = || decode_by_rfc(segments.next().unwrap_or_default());
    let (collection, _, index, value) = (next(), next(), next(), next());
    let Ok(found) = raw.decode() else {
        assert!(collection.is_none() || index.is_none() || value.is_none(), "refused without a reason");
        return false;
    };
    let RecordPath { collection: c, index: i, value: v } = &found;
    assert_eq!((Some(&**c), Some(&**i)), (collection.as_deref(), index.as_deref()));
    assert_eq!(Some(&**v), value.as_deref());
    assert!(c.len() + i.len() + v.len() <= path.len());
    let again = format!("/v1/collections/{}/records/{}/{}", encoded(c), encoded(i), encoded(v));
    assert_eq!(RawPath::of(&again).unwrap().decode().unwrap(), found);
    normalise(v);
    true
}

/// A query is read or refused, and unknown parameters before it change nothing.
pub(crate) fn query(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else { return false };
    let read = Parameters::of(Some(text));
    assert_eq!(Parameters::of(Some(&format!("a=1&b&{text}"))), read, "unknown parameters change nothing");
    if let Ok(Parameters { freshness, .. }) = &read {
        for now in [DateTime::<Utc>::MIN_UTC, DateTime::UNIX_EPOCH, DateTime::<Utc>::MAX_UTC] {
            freshness.is_stale(DateTime::UNIX_EPOCH, || now);
        }
    }
    read.is_ok()
}

/// The longest number that an exponent can make: a sign, a point and 400 digits.
const NUMBER_BYTES_MAX: usize = 402;

/// A body after a first line, which is its media type.
pub(crate) fn body(bytes: &[u8]) -> bool {
    let mut parts = bytes.splitn(2, |&byte| byte == b'\n');
    let (media_type, body) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(media_type) {
        headers.insert(CONTENT_TYPE, value);
    }
    let Ok(value) = body::value(&headers, body) else { return false };
    assert!(value.len() <= body.len() + NUMBER_BYTES_MAX, "decoding does not make a value longer");
    for (media_type, body) in [
        ("application/json", serde_json::json!({ "value": value }).to_string()),
        ("application/x-www-form-urlencoded", format!("value={}", encoded(&value))),
    ] {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(media_type))]);
        assert_eq!(body::value(&headers, body.as_bytes()).as_ref(), Ok(&value));
    }
    true
}

/// Percent-encodes every byte of `text`.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"))
}

/// Decodes as in RFC 3986, section 2.1, with other code than the product's.
fn decode_by_rfc(segment: &str) -> Option<String> {
    let mut pieces = segment.split('%');
    let mut decoded = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let digits = piece.as_bytes().get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
        decoded.push(u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?);
        decoded.extend_from_slice(&piece.as_bytes()[2..]);
    }
    String::from_utf8(decoded).ok()
}

/// An index normalises the value; normalising it again changes nothing.
fn normalise(value: &str) {
    use ColumnKind::{Any, Integer, Number, Text, Uuid};
    use NormalForm::{Lowercase, Trim};
    let forms: [&[NormalForm]; 5] = [
        &[],
        &[Trim, NormalForm::Nfc],
        &[Trim, Lowercase],
        &[NormalForm::Casefold, Trim],
        &[Trim, NormalForm::Integer],
    ];
    for kind in [Integer, Number, Text, Uuid, Any] {
        for normalize in forms.map(<[NormalForm]>::to_vec) {
            let plain = IndexDefinition::plain(IndexName::new("id").unwrap(), "", kind);
            let index = IndexDefinition { normalize, ..plain };
            if let Some(asked) = index.requested(value) {
                assert!(!asked.is_empty(), "an empty value is always a miss");
                assert_eq!(index.requested(&asked).as_deref(), Some(&*asked), "{index:?}");
            }
        }
    }
}
