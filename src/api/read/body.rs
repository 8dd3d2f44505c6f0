//! The body of a look-up by POST, for identifiers that should not appear in a URL: one value, as
//! JSON (`{"value":"..."}`) or as a form (`value=...`).

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{
    HeaderMap,
    body::{Body, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{codes::Code, path::percent_decode};
use crate::{
    api::http::error::{Detail, Error},
    domain::{index::number, json},
};

/// Largest body, in bytes: an index value of 1 KiB with every character escaped, and other fields of a
/// form.
pub(in crate::api) const BODY_BYTES_MAX: usize = 16 * 1024;
/// The media type of a form.
pub(in crate::api) const FORM: &str = "application/x-www-form-urlencoded";

/// Reads a whole body of at most `bytes_max` bytes, within `timeout`.
pub(super) async fn collect(
    body: &mut Incoming,
    bytes_max: usize,
    timeout: Duration,
) -> Result<Bytes, Error<Code>> {
    let too_large = || {
        let message = format!("the body is larger than {bytes_max} bytes");
        Error::new(Code::BodyTooLarge, Detail::Message(message))
    };
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large());
    }
    let whole = Limited::new(body, bytes_max).collect();
    match tokio::time::timeout(timeout, whole).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) | Err(_) => Err(Code::BodyIncomplete.into()),
    }
}

/// The value in `body`; empty if it is null or blank. `Content-Type` says whether the body is JSON or a form;
/// if it names neither, a body that begins with `{` is JSON.
pub(super) fn value(headers: &HeaderMap, body: &[u8]) -> Result<String, Code> {
    let said = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let media_type = said.unwrap_or_default().split(|&byte| byte == b';').next().unwrap_or_default();
    let media_type = media_type.trim_ascii().to_ascii_lowercase();
    let looks_like_json = body.trim_ascii_start().starts_with(b"{");
    let is_json = match media_type.as_slice() {
        named if named == FORM.as_bytes() => false,
        named => looks_like_json || named == b"application/json" || named.ends_with(b"+json"),
    };
    // serde also reads a struct from an array, so only objects are passed on.
    let value = if !is_json {
        form_value(body)
    } else if looks_like_json {
        json_value(body)
    } else {
        None
    };
    value.ok_or(Code::InvalidBody)
}

/// The member `value` of an object: a string, a number in the normal form of index values, a boolean by its word;
/// null is blank. Other members are ignored.
fn json_value(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Lookup<'a> {
        // Raw: serde_json reads some objects as numbers.
        #[serde(borrow)]
        value: &'a RawValue,
    }
    text(serde_json::from_slice::<Lookup<'_>>(body).ok()?.value.get())
}

/// The text of a JSON scalar by which records are looked up; `None` of an array or an object.
pub(super) fn text(text: &str) -> Option<String> {
    match text.as_bytes().first()? {
        b'"' => serde_json::from_str(text).ok(),
        b'n' => Some(String::new()),
        b't' | b'f' => Some(text.to_owned()),
        b'-' | b'0'..=b'9' => {
            let mut digits = Vec::new();
            json::number(text.as_bytes(), &mut digits).ok()?;
            Some(number(std::str::from_utf8(&digits).ok()?).into_owned())
        }
        _ => None,
    }
}

/// The field `value` of a form (URL Standard, section 5.1). Other fields are ignored, whatever they hold.
fn form_value(body: &[u8]) -> Option<String> {
    let fields = body.split(|&byte| byte == b'&');
    let mut own = fields.filter_map(|field| {
        let (name, value) = form_urlencoded::parse(field).next()?;
        // The parser would replace an invalid escape, and another record might be found.
        (name == "value").then(|| percent_decode(field).map(|_| value.into_owned()))
    });
    let value = own.next()?;
    own.next().is_none().then_some(value).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_of(content_type: Option<&'static str>, body: &str) -> Result<String, Code> {
        let mut headers = HeaderMap::new();
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        value(&headers, body.as_bytes())
    }

    const JSON: Option<&str> = Some("application/json");
    const FORM: Option<&str> = Some(super::FORM);

    #[test]
    fn body_has_one_value() {
        for (content_type, body, expected) in [
            (JSON, r#"{"value":"jane+tag@ex.com"}"#, "jane+tag@ex.com"),
            (JSON, r#" {"a":[1,{}],"value":"x","b":null} "#, "x"),
            (JSON, r#"{"value":12345}"#, "12345"),
            (JSON, r#"{"value":9007199254740993}"#, "9007199254740993"),
            (JSON, r#"{"value":1e2}"#, "100"),
            (JSON, r#"{"value":-0.0}"#, "0"),
            (JSON, r#"{"value":7.0}"#, "7"),
            (JSON, r#"{"value":"7.0"}"#, "7.0"),
            (JSON, r#"{"value":1.5e-10}"#, "0.00000000015"),
            (JSON, r#"{"value":-12.50E-1}"#, "-1.250"),
            (JSON, r#"{"value":true}"#, "true"),
            (JSON, r#"{"value":null}"#, ""),
            (JSON, r#"{"value":""}"#, ""),
            (JSON, r#"{"value":"\u00e9\n"}"#, "é\n"),
            (Some("Application/JSON; charset=utf-8"), r#"{"value":"x"}"#, "x"),
            (Some("application/vnd.api+json"), r#"{"value":"x"}"#, "x"),
            (FORM, "value=jane%2Btag%40ex.com", "jane+tag@ex.com"),
            (FORM, "a=1&value=two+words&b", "two words"),
            (FORM, "a=%zz&value=x&%=%C3&b=%4", "x"),
            (FORM, "v%61lue=x", "x"),
            (FORM, "value=", ""),
            (FORM, "value", ""),
            (FORM, r#"value={"value":1}"#, r#"{"value":1}"#),
            (Some("application/x-www-form-urlencoded;charset=UTF-8"), "value=%C3%A9", "é"),
            (None, r#"{"value":"x"}"#, "x"),
            (None, "value=x", "x"),
            (Some("text/plain"), " {\"value\":\"x\"}", "x"),
            (Some("text/plain"), "value=x", "x"),
        ] {
            assert_eq!(value_of(content_type, body).as_deref(), Ok(expected), "{content_type:?} {body}");
        }
    }

    #[test]
    fn body_without_exactly_one_value_is_refused() {
        for (content_type, body) in [
            (JSON, ""),
            (JSON, "{}"),
            (JSON, "value=x"),
            (JSON, r#"{"value":"x""#),
            (JSON, r#"{"value":"x","value":"y"}"#),
            (JSON, r#"{"value":1e999999}"#),
            (JSON, r#"{"value":["x"]}"#),
            (JSON, r#"{"value":{"x":1}}"#),
            (JSON, r#"{"value":{"$serde_json::private::Number":"1"}}"#),
            (JSON, r#"{"value":{"$serde_json::private::RawValue":"1"}}"#),
            (JSON, r#"{"Value":"x"}"#),
            (JSON, r#"{"value":"\ud800"}"#),
            (JSON, r#"["value"]"#),
            (JSON, r#""value""#),
            (JSON, r#"{"value":"x"} {"#),
            (FORM, ""),
            (FORM, "a=1"),
            (FORM, "value=1&value=1"),
            (FORM, "value=%zz"),
            (FORM, "value=%4"),
            (FORM, "value=%C3"),
            (FORM, "value=%zz&value=1"),
            (FORM, "a=1&value=%4&b"),
            (None, ""),
        ] {
            assert_eq!(value_of(content_type, body), Err(Code::InvalidBody), "{content_type:?} {body}");
        }
    }

    #[test]
    fn deeply_nested_body_does_not_overflow_the_stack() {
        let deep = |what: &str| format!("{{\"{what}\":{}1{},\"b\":1}}", "[".repeat(8000), "]".repeat(8000));
        assert_eq!(value_of(JSON, &deep("value")), Err(Code::InvalidBody));
        assert_eq!(value_of(JSON, &deep("a")), Err(Code::InvalidBody));
    }
}
