//! The id of a request: the caller's own if it is safe to log, else a new one.

use std::sync::atomic::{AtomicU64, Ordering};

use hyper::{
    HeaderMap,
    header::{HeaderName, HeaderValue},
};

use crate::support::random;

/// The header that carries it, both ways.
pub(in crate::api) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is accepted from a caller, in bytes.
pub(in crate::api) const BYTES_MAX: usize = 64;

/// The id of one request; always 1 to 64 letters, digits, `_` or `-`.
#[derive(Debug, Clone)]
pub(in crate::api) struct RequestId(HeaderValue);

impl RequestId {
    /// As text.
    pub(in crate::api) fn as_str(&self) -> &str {
        // Ids are ASCII, whether accepted or made.
        self.0.to_str().unwrap_or_default()
    }

    pub(in crate::api) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// Assigns ids to requests: a random prefix per listener, and a counter.
#[derive(Debug)]
pub(in crate::api) struct RequestIds {
    start: u64,
    next: AtomicU64,
}

impl RequestIds {
    /// Ids with a random prefix.
    pub(in crate::api) fn new() -> Self {
        Self { start: random::seed(), next: AtomicU64::new(1) }
    }

    /// The caller's id when it matches `[A-Za-z0-9_-]{1,64}`, else a new one.
    pub(in crate::api) fn id_of(&self, headers: &HeaderMap) -> RequestId {
        match headers.get(HEADER) {
            Some(given) if is_valid(given.as_bytes()) => RequestId(given.clone()),
            _ => self.make(),
        }
    }

    fn make(&self) -> RequestId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut text = Vec::with_capacity(33);
        push_hex(&mut text, self.start, 16);
        text.push(b'-');
        push_hex(&mut text, number, (16 - number.leading_zeros() as usize / 4).max(1));
        RequestId(HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).expect("hexadecimal digits and -"))
    }
}

/// Appends the lowest `digits` hexadecimal digits of `number`.
fn push_hex(out: &mut Vec<u8>, number: u64, digits: usize) {
    for digit in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(number >> (4 * digit)) as usize & 15]);
    }
}

fn is_valid(id: &[u8]) -> bool {
    (1..=BYTES_MAX).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_ids_are_kept_and_others_replaced() {
        let ids = RequestIds::new();
        let id_of = |given: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_bytes(given).unwrap());
            ids.id_of(&headers).as_str().to_owned()
        };
        let longest = "x".repeat(64);
        for good in ["a", "A-1_b", longest.as_str()] {
            assert_eq!(id_of(good.as_bytes()), good);
        }
        let too_long = "x".repeat(65);
        for bad in [&b""[..], b"a b", b"a\"b", b"{}", "é".as_bytes(), too_long.as_bytes()] {
            let made = id_of(bad);
            assert!(made.as_bytes() != bad && is_valid(made.as_bytes()), "{made}");
        }
    }

    #[test]
    fn new_ids_are_unique() {
        let ids = RequestIds::new();
        let made: std::collections::HashSet<_> = (0..1000).map(|_| ids.make().as_str().to_owned()).collect();
        assert_eq!(made.len(), 1000);
        assert!(made.iter().all(|id| is_valid(id.as_bytes())));
        assert_ne!(RequestIds::new().make().as_str(), RequestIds::new().make().as_str());
    }
}
