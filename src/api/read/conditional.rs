//! Conditional requests: `If-None-Match` (RFC 9110, section 13.1.2) and our entity tags.

use hyper::{
    HeaderMap,
    header::{HeaderValue, IF_NONE_MATCH},
};

/// Quote, 32 hexadecimal digits, quote.
const TAG_BYTES: usize = 34;

/// The strong entity tag of a record with this fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EntityTag([u8; TAG_BYTES]);

impl EntityTag {
    pub(super) fn of(fingerprint: u128) -> Self {
        let mut tag = [b'"'; TAG_BYTES];
        for (at, digit) in tag[1..TAG_BYTES - 1].iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(fingerprint >> (4 * (31 - at))) as usize & 15];
        }
        Self(tag)
    }

    pub(super) fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("quotes and hexadecimal digits")
    }

    /// Whether `If-None-Match` names this tag, or `*`. The comparison is weak, as the RFC asks.
    pub(super) fn is_known_by(&self, headers: &HeaderMap) -> bool {
        headers.get_all(IF_NONE_MATCH).iter().any(|line| self.is_in(line.as_bytes()))
    }

    /// Reads one line: `*`, or tags (`W/` and a quoted text) between commas. What is no tag ends
    /// the reading: a client that sends it gets the record.
    fn is_in(&self, line: &[u8]) -> bool {
        let mut rest = line.trim_ascii();
        if rest == b"*" {
            return true;
        }
        loop {
            rest = rest.trim_ascii_start();
            if let Some(after) = rest.strip_prefix(b",") {
                rest = after;
                continue;
            }
            let tag = rest.strip_prefix(b"W/").unwrap_or(rest);
            let Some(quoted) = tag.strip_prefix(b"\"") else { return false };
            let Some(end) = memchr::memchr(b'"', quoted) else { return false };
            if tag[..end + 2] == self.0 {
                return true;
            }
            rest = &quoted[end + 1..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_a_fixed_form() {
        assert_eq!(EntityTag::of(0xab).header(), "\"000000000000000000000000000000ab\"");
        assert_eq!(EntityTag::of(u128::MAX).header(), "\"ffffffffffffffffffffffffffffffff\"");
    }

    #[test]
    fn if_none_match_is_read_as_a_list() {
        let tag = EntityTag::of(1);
        let own = "\"00000000000000000000000000000001\"";
        for (line, expected) in [
            (own.to_owned(), true),
            ("*".to_owned(), true),
            (" * ".to_owned(), true),
            (format!("W/{own}"), true),
            (format!("\"a\", {own}"), true),
            (format!("\"a,b\",W/\"c\" ,, {own} , \"d\""), true),
            (String::new(), false),
            ("\"a\"".to_owned(), false),
            ("00000000000000000000000000000001".to_owned(), false),
            (format!("garbage, {own}"), false),
            ("\"00000000000000000000000000000001".to_owned(), false),
            ("\"*\"".to_owned(), false),
            ("\"".to_owned(), false),
            ("W/".to_owned(), false),
            (",,,".to_owned(), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, HeaderValue::from_str(&line).unwrap());
            assert_eq!(tag.is_known_by(&headers), expected, "{line}");
        }
        let mut headers = HeaderMap::new();
        assert!(!tag.is_known_by(&headers));
        headers.append(IF_NONE_MATCH, HeaderValue::from_static("\"a\""));
        headers.append(IF_NONE_MATCH, HeaderValue::from_str(own).unwrap());
        assert!(tag.is_known_by(&headers), "the second line");
    }
}
