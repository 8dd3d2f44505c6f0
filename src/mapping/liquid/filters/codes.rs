//! Filters that escape, encode and hash text.

use aws_lc_rs::{digest, hmac};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use liquid_core::{Error, Result, Value};

use super::{Definition, arguments::Call, partial, strings::text, total};
use crate::mapping::liquid::facts::{self, Plain};

pub(super) const FILTERS: &[Definition] = &[
    partial("base64_decode", (0, 0), |call| decoded(STANDARD.decode(call.text().as_bytes()).ok())),
    total("base64_encode", (0, 0), |call| text(STANDARD.encode(call.text().as_bytes()))),
    partial("base64_url_safe_decode", (0, 0), |call| decoded(URL_SAFE.decode(call.text().as_bytes()).ok())),
    total("base64_url_safe_encode", (0, 0), |call| text(URL_SAFE.encode(call.text().as_bytes()))),
    total("escape", (0, 0), |call| unless_nil(call, |text| escaped(text, false))),
    total("escape_once", (0, 0), |call| unless_nil(call, |text| escaped(text, true))),
    total("h", (0, 0), |call| unless_nil(call, |text| escaped(text, false))),
    total("hmac_sha1", (1, 1), |call| signed(call, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY)),
    total("hmac_sha256", (1, 1), |call| signed(call, hmac::HMAC_SHA256)),
    total("sha1", (0, 0), |call| hashed(call, &digest::SHA1_FOR_LEGACY_USE_ONLY)),
    total("sha256", (0, 0), |call| hashed(call, &digest::SHA256)),
    total("strip_html", (0, 0), |call| text(without_html(&call.text()))),
    partial("url_decode", (0, 0), |call| decoded(Some(percent_decoded(&call.text())))),
    total("url_encode", (0, 0), |call| unless_nil(call, percent_encoded)),
];

fn decoded(bytes: Option<Vec<u8>>) -> Result<Value> {
    match bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
        Some(decoded) => Ok(text(decoded)),
        None => Err(Error::with_msg("the input does not decode to text")),
    }
}

fn unless_nil(call: &Call<'_>, change: impl Fn(&str) -> String) -> Value {
    if matches!(facts::plain(call.input), Plain::Nil) { Value::Nil } else { text(change(&call.text())) }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn hashed(call: &Call<'_>, algorithm: &'static digest::Algorithm) -> Value {
    text(hex(digest::digest(algorithm, call.text().as_bytes()).as_ref()))
}

fn signed(call: &Call<'_>, algorithm: hmac::Algorithm) -> Value {
    let key = hmac::Key::new(algorithm, call.text_argument(0).as_bytes());
    text(hex(hmac::sign(&key, call.text().as_bytes()).as_ref()))
}

/// The entities that `escape_once` leaves alone.
fn begins_with_entity(text: &str) -> bool {
    let Some((name, _)) = text.strip_prefix('&').and_then(|rest| rest.split_once(';')) else { return false };
    match name.strip_prefix('#') {
        Some(number) => !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()),
        None => !name.is_empty() && name.len() <= 31 && name.bytes().all(|byte| byte.is_ascii_alphanumeric()),
    }
}

fn escaped(text: &str, once: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        match character {
            '&' if once
                && begins_with_entity(&text[at..text.len().min(text.ceil_char_boundary(at + 40))]) =>
            {
                out.push('&');
            }
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
    out
}

/// Parts of HTML that go with all that is in them.
const HTML_PARTS: [(&str, &str); 3] = [("<script", "</script>"), ("<!--", "-->"), ("<style", "</style>")];

fn without_html(text: &str) -> String {
    let mut text = text.to_owned();
    for (open, close) in HTML_PARTS {
        text = without_parts(&text, open, close);
    }
    without_parts(&text, "<", ">")
}

/// `text` without what stands from an `open` to the next `close`; letters of any case.
fn without_parts(text: &str, open: &str, close: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(start) = lower[at..].find(open).map(|found| at + found) {
        let Some(length) = lower[start..].find(close) else { break };
        out.push_str(&text[at..start]);
        at = start + length + close.len();
    }
    out.push_str(&text[at..]);
    out
}

fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                out.push('%');
                out.push_str(&hex(&[byte]).to_ascii_uppercase());
            }
        }
    }
    out
}

/// A `%` without two hexadecimal digits stays as it is.
fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) => out.push(b' '),
            _ => out.push(byte),
        }
        at += 1;
    }
    out
}
