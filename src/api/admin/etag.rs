//! Entity tags of what can be changed: `ETag` on answers, `If-Match` on changes.

use hyper::{
    HeaderMap,
    header::{HeaderValue, IF_MATCH},
};
use serde::Serialize;

use super::codes;
use crate::{api::http::error::Error, domain::Digest};

/// Characters of a tag: 128 bits of a digest.
const CHARACTERS: usize = 32;

/// The tag of a state.
pub(super) fn tag(state: &impl Serialize) -> HeaderValue {
    let text = serde_json::to_vec(state).unwrap_or_default();
    let digest = Digest::of(&text).to_string();
    HeaderValue::from_str(&format!("\"{}\"", &digest[..CHARACTERS])).expect("hexadecimal digits")
}

/// Refuses a change of another state than the one that the client has seen. Without `If-Match` any state will do.
pub(super) fn check(headers: &HeaderMap, tag: &HeaderValue) -> Result<(), Error> {
    let mut lines = headers.get_all(IF_MATCH).iter().peekable();
    if lines.peek().is_none() {
        return Ok(());
    }
    let mut tags = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let is_match = |given: &[u8]| [b"*", tag.as_bytes()].contains(&given.trim_ascii());
    if tags.any(is_match) { Ok(()) } else { Err(codes::PRECONDITION_FAILED.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_another_state_is_refused() {
        let tag = tag(&("customer", 7));
        assert_ne!(tag, super::tag(&("customer", 8)));
        let own = tag.to_str().unwrap();
        for (given, expected) in [
            (None, true),
            (Some(own.to_owned()), true),
            (Some("*".to_owned()), true),
            (Some(format!("\"other\", {own}")), true),
            (Some("\"other\"".to_owned()), false),
            (Some(format!("W/{own}")), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(given) = &given {
                headers.insert(IF_MATCH, HeaderValue::from_str(given).unwrap());
            }
            assert_eq!(check(&headers, &tag).is_ok(), expected, "{given:?}");
        }
    }
}
