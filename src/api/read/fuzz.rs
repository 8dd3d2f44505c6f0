//! Hostile paths: what stands behind `GET /` in a request.

// A panic is how a target says that a promise is broken.
#![allow(clippy::unwrap_used)]

use std::str;

use hyper::Uri;

use super::{RawPath, path::RecordPath};
use crate::domain::{
    index::{IndexDefinition, NormalForm},
    name::IndexName,
    row::ColumnKind,
};

/// A path, as bytes of a request and as text that some other parser let through.
pub(crate) fn record_path(bytes: &[u8]) -> bool {
    if let Ok(target) = Uri::try_from(bytes) {
        names(target.path());
    }
    str::from_utf8(bytes).is_ok_and(names)
}

/// Whether `path` names a record. Holds what is promised of those that do, and of the others.
fn names(path: &str) -> bool {
    let Some(raw) = RawPath::of(path) else { return false };
    if !path.ends_with('/') {
        assert_eq!(RawPath::of(&format!("{path}/")), Some(raw), "a slash at the end changes nothing");
    }
    let mut segments = path["/v1/collections/".len()..].split('/');
    let mut next = || by_the_book(segments.next().unwrap());
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
    asks(v);
    true
}

/// Every byte of `text`, encoded.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"))
}

/// RFC 3986, section 2.1, in another way than the product's: once, from left to right.
fn by_the_book(segment: &str) -> Option<String> {
    let mut pieces = segment.split('%');
    let mut decoded = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let digits = piece.as_bytes().get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
        decoded.push(u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?);
        decoded.extend_from_slice(&piece.as_bytes()[2..]);
    }
    String::from_utf8(decoded).ok()
}

/// The value goes on to an index: the normal form of a normal form is itself. Not where white space is
/// taken from around a whole number: its zeros were looked for before.
fn asks(value: &str) {
    use ColumnKind::{Any, Integer, Number, Text, Uuid};
    use NormalForm::{Lowercase, Trim};
    let forms: [&[NormalForm]; 5] =
        [&[], &[Trim], &[Trim, Lowercase], &[Lowercase, Trim], &[Trim, NormalForm::Integer]];
    for kind in [Integer, Number, Text, Uuid, Any] {
        for normalize in forms.map(<[NormalForm]>::to_vec) {
            let is_settled = match (kind, normalize.as_slice()) {
                (Integer | Number, forms) => matches!(forms, [] | [.., NormalForm::Integer]),
                _ => true,
            };
            let (name, column) = (IndexName::new("id").unwrap(), String::new());
            let index = IndexDefinition { name, column, each: false, normalize, kind };
            if let Some(asked) = index.asked(value) {
                assert!(!asked.is_empty(), "an empty value is always a miss");
                assert!(!is_settled || index.asked(&asked).as_deref() == Some(&*asked), "{index:?}");
            }
        }
    }
}
