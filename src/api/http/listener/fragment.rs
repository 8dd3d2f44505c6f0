//! Refuses a `#` in the target of an HTTP/1 request. No client may send one (RFC 9112, section 3.2): the
//! parser of targets cuts it off with all that follows, and another record would be found than the one
//! requested. hyper hands no target on as it was sent, so the request line is spoiled before hyper reads
//! it, and hyper answers 400.

use memchr::memchr;

/// A byte that no request line may have.
const SPOILED: u8 = 0x01;
/// The longest end of a request line: its version and the line's end.
const END_BYTES: usize = "HTTP/1.1\r\n".len();

/// Follows the lines of a connection. A request line is known by its end, so that it does not matter
/// where in the stream, or in which pieces, it arrives.
#[derive(Debug, Default)]
pub(super) struct FragmentFilter {
    /// The unfinished line has a `#`.
    has_fragment: bool,
    /// The last bytes of the unfinished line, if it has a `#`.
    end: [u8; END_BYTES],
}

impl FragmentFilter {
    /// Spoils the end of every line in `bytes` that has a `#` and ends as a request line does.
    pub(super) fn apply(&mut self, bytes: &mut [u8]) {
        // Hardly any request has one.
        if !self.has_fragment && memchr(b'#', bytes).is_none() {
            // Nothing of this piece matters to a later `#` of the same line but its end.
            return self.keep_end(bytes);
        }
        for line in bytes.split_inclusive_mut(|&byte| byte == b'\n') {
            self.has_fragment |= memchr(b'#', line).is_some();
            self.keep_end(line);
            if let Some(last) = line.last_mut().filter(|last| **last == b'\n') {
                if self.has_fragment && self.is_request_line() {
                    *last = SPOILED;
                }
                self.has_fragment = false;
            }
        }
    }

    fn keep_end(&mut self, bytes: &[u8]) {
        let new = bytes.len().min(END_BYTES);
        self.end.copy_within(new.., 0);
        self.end[END_BYTES - new..].copy_from_slice(&bytes[bytes.len() - new..]);
    }

    fn is_request_line(&self) -> bool {
        let line = self.end.strip_suffix(b"\n").unwrap_or(&self.end);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        line.len() >= 8 && line[line.len() - 8..].starts_with(b"HTTP/1.")
    }

    /// Whether the bytes so far end with an empty line, as the head of a request does.
    pub(super) fn is_at_end_of_head(&self) -> bool {
        self.end.ends_with(b"\n\r\n") || self.end.ends_with(b"\n\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that hyper reads of `pieces`.
    fn filtered(pieces: &[&str]) -> String {
        let mut filter = FragmentFilter::default();
        let mut seen = String::new();
        for piece in pieces {
            let mut bytes = piece.as_bytes().to_vec();
            filter.apply(&mut bytes);
            seen.push_str(&String::from_utf8(bytes).unwrap().replace('\x01', "!"));
        }
        seen
    }

    #[test]
    fn request_line_with_a_fragment_is_spoiled_and_nothing_else() {
        for (sent, expected) in [
            ("GET /a#b HTTP/1.1\r\nX: #\r\n\r\n", "GET /a#b HTTP/1.1\r!X: #\r\n\r\n"),
            ("GET /a#b HTTP/1.0\n\n", "GET /a#b HTTP/1.0!\n"),
            ("\r\nGET /a#b HTTP/1.1\r\n\r\n", "\r\nGET /a#b HTTP/1.1\r!\r\n"),
            ("GET /a# HTTP/1.1\r\n\r\n", "GET /a# HTTP/1.1\r!\r\n"),
            ("GET /a HTTP/1.1\r\nX: #\r\n\r\n", "GET /a HTTP/1.1\r\nX: #\r\n\r\n"),
            ("POST /a HTTP/1.1\r\n\r\n{\"value\":\"#\"}", "POST /a HTTP/1.1\r\n\r\n{\"value\":\"#\"}"),
            ("POST /a HTTP/1.1\r\n\r\nvalue=#\n", "POST /a HTTP/1.1\r\n\r\nvalue=#\n"),
            (
                "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nX: #\r\n\r\nGET /c#d HTTP/1.1\r\n\r\n",
                "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nX: #\r\n\r\nGET /c#d HTTP/1.1\r!\r\n",
            ),
            (
                "GET /a HTTP/1.1\nX: #\n\nGET /c#d HTTP/1.1\n\n",
                "GET /a HTTP/1.1\nX: #\n\nGET /c#d HTTP/1.1!\n",
            ),
            (
                "POST /a HTTP/1.1\r\n\r\n{}GET /c#d HTTP/1.1\r\n\r\n",
                "POST /a HTTP/1.1\r\n\r\n{}GET /c#d HTTP/1.1\r!\r\n",
            ),
        ] {
            assert_eq!(filtered(&[sent]), expected);
            for at in 1..sent.len() {
                let (one, two) = sent.split_at(at);
                assert_eq!(filtered(&[one, two]), expected, "cut at {at}");
            }
            let bytes: Vec<&str> = sent.split_inclusive(|_: char| true).collect();
            assert_eq!(filtered(&bytes), expected, "byte by byte");
        }
    }

    #[test]
    fn end_of_a_head_is_seen_across_reads() {
        for (pieces, expected) in [
            (&["GET / HTTP/1.1\r\n\r\n"][..], true),
            (&["GET / HTTP/1.1\r\n\r", "\n"], true),
            (&["GET / HTTP/1.1\n", "\n"], true),
            (&["GET / HTTP/1.1\r\n\r\nGET /"], false),
            (&["GET / HTTP/1.1\r\n\r\n", "G"], false),
            (&["GET / HTTP/1.1\r\n"], false),
            (&["GET /#"], false),
            (&["GET / HTTP/1.1\r\nX: #\r\n\r\n"], true),
        ] {
            let mut filter = FragmentFilter::default();
            for piece in pieces {
                filter.apply(&mut piece.as_bytes().to_vec());
            }
            assert_eq!(filter.is_at_end_of_head(), expected, "{pieces:?}");
        }
    }
}
