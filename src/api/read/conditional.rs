//! Conditional requests: `If-None-Match` (RFC 9110, section 13.1.2) and our entity tags.

use hyper::{
    HeaderMap,
    header::{HeaderValue, IF_NONE_MATCH},
};

use super::coding::Coding;

/// A quote and 32 hexadecimal digits.
const STEM_BYTES: usize = 33;

/// The two hexadecimal digits of every byte. A table, because every hit has an entity tag.
const PAIRS: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
};

/// The strong entity tag of a record: its fingerprint, the suffix of the content coding, a quote. Each
/// coding is another representation with its own tag (RFC 9110, section 8.8.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EntityTag([u8; STEM_BYTES]);

impl EntityTag {
    pub(super) fn of(fingerprint: u128) -> Self {
        let mut tag = [b'"'; STEM_BYTES];
        for (pair, byte) in tag[1..].as_chunks_mut().0.iter_mut().zip(fingerprint.to_be_bytes()) {
            *pair = PAIRS[usize::from(byte)];
        }
        Self(tag)
    }

    /// The tag of the record in this coding.
    pub(super) fn header(&self, coding: Coding) -> HeaderValue {
        const SUFFIX_BYTES_MAX: usize = 8;
        let suffix = coding.tag_suffix().as_bytes();
        let end = STEM_BYTES + suffix.len();
        let mut tag = [b'"'; STEM_BYTES + SUFFIX_BYTES_MAX];
        tag[..STEM_BYTES].copy_from_slice(&self.0);
        tag[STEM_BYTES..end].copy_from_slice(suffix);
        HeaderValue::from_bytes(&tag[..=end]).expect("quotes, digits and a suffix")
    }

    /// Whether `If-None-Match` names this record in any coding, or `*`. The comparison is weak, as the
    /// RFC requires: a client that has any coding has the record.
    pub(super) fn is_known_by(&self, headers: &HeaderMap) -> bool {
        headers.get_all(IF_NONE_MATCH).iter().any(|line| self.is_in(line.as_bytes()))
    }

    /// Reads one line: `*`, or tags (`W/` and a quoted text) between commas. Anything else ends the search,
    /// and the client gets the record.
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
            let named = tag[..=end].strip_prefix(&self.0);
            if named.is_some_and(|end| Coding::ALL.iter().any(|coding| coding.tag_suffix().as_bytes() == end))
            {
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
        let tag = |fingerprint, coding| EntityTag::of(fingerprint).header(coding);
        assert_eq!(tag(0xab, Coding::Identity), "\"000000000000000000000000000000ab\"");
        assert_eq!(tag(u128::MAX, Coding::Identity), "\"ffffffffffffffffffffffffffffffff\"");
        assert_eq!(tag(0xab, Coding::Zstd), "\"000000000000000000000000000000ab-zstd\"");
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
            ("\"00000000000000000000000000000001-gzip\"".to_owned(), true),
            ("W/\"00000000000000000000000000000001-zstd\"".to_owned(), true),
            ("W/\"00000000000000000000000000000001-br\"".to_owned(), false),
            ("\"00000000000000000000000000000001-deflate\"".to_owned(), false),
            ("\"00000000000000000000000000000001gzip\"".to_owned(), false),
            ("\"\"".to_owned(), false),
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
