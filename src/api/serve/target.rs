//! A `#` in a request's target. No client may send one (RFC 9112, section 3.2): the rest behind it is cut
//! off without a word when the target is parsed, and another record would be found than was asked for.
//! hyper does not show a target as it came, so the byte is made one that hyper refuses.

use memchr::{memchr, memchr_iter, memmem};

/// What hyper takes for a broken request: the answer is a 400.
const REFUSED: u8 = 0x01;

/// What ends a head; a pipelined request follows it, or a body.
const END: &[u8; 4] = b"\r\n\r\n";

/// Follows the request lines of an HTTP/1 connection.
#[derive(Debug, Default)]
pub(super) struct Target {
    /// The bytes so far end within a request line.
    is_open: bool,
    /// The last bytes: an end may lie across two reads.
    tail: [u8; 4],
}

impl Target {
    /// Spoils every `#` of a request line in `bytes`, which follow those of the last call. `begins`: they
    /// begin a request. Returns how many bytes at their end are part of a head behind another request.
    pub(super) fn refuse_fragment(&mut self, bytes: &mut [u8], begins: bool) -> usize {
        let mut is_behind = !begins && !self.is_open;
        let mut line = self.first_line(bytes, begins);
        // Hardly any request has one anywhere: then only the end of the bytes is looked at.
        let has_one = memchr(b'#', bytes).is_some();
        if !has_one && let Some(end) = memmem::rfind(bytes, END) {
            (line, is_behind) = (next_line(bytes, end + END.len()), true);
        }
        self.is_open = false;
        let mut at = 0;
        loop {
            if let Some(start) = line {
                let rest = &mut bytes[start..];
                let end = memchr(b'\n', rest);
                if let Some(found) = memchr(b'#', &rest[..end.unwrap_or(rest.len())]).filter(|_| has_one) {
                    rest[found] = REFUSED;
                }
                self.is_open = end.is_none() && !rest.is_empty();
            }
            let next = if has_one { end_of_head(&bytes[at..]) } else { None };
            let Some(end) = next else { break };
            at += end;
            (line, is_behind) = (next_line(bytes, at), true);
        }
        self.keep_tail(bytes);
        line.filter(|_| is_behind).map_or(0, |start| bytes.len() - start)
    }

    /// Where the first request line of `bytes` begins or goes on.
    fn first_line(&self, bytes: &[u8], begins: bool) -> Option<usize> {
        if self.is_open {
            return Some(0);
        }
        if begins {
            return Some(blank(bytes));
        }
        let mut seam = [0; 7];
        seam[..4].copy_from_slice(&self.tail);
        let first = bytes.len().min(3);
        seam[4..4 + first].copy_from_slice(&bytes[..first]);
        let start = memmem::find(&seam, END)?;
        Some(start).filter(|&start| begins_request(&bytes[start..]))
    }

    fn keep_tail(&mut self, bytes: &[u8]) {
        let new = bytes.len().min(4);
        self.tail.copy_within(new.., 0);
        self.tail[4 - new..].copy_from_slice(&bytes[bytes.len() - new..]);
    }
}

/// Where the request line begins that follows at `at`; `None` when a body does.
fn next_line(bytes: &[u8], at: usize) -> Option<usize> {
    let start = at + blank(&bytes[at..]);
    Some(start).filter(|&start| begins_request(&bytes[start..]))
}

/// Empty lines, which are passed over before a request line (RFC 9112, section 2.2).
fn blank(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

/// What follows the first head in `bytes`; its lines may end without a carriage return.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    memchr_iter(b'\n', bytes).find_map(|at| match bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// Whether `bytes` begin as a request does, with a method and a space, and as no body of ours does.
fn begins_request(bytes: &[u8]) -> bool {
    let method = bytes.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    bytes.is_empty() || method > 0 && bytes.get(method).is_none_or(|&byte| byte == b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What hyper gets of `pieces`; the first one begins a request, and nothing is answered in between.
    fn seen(pieces: &[&str]) -> String {
        let mut target = Target::default();
        let mut seen = String::new();
        for (number, piece) in pieces.iter().enumerate() {
            let mut bytes = piece.as_bytes().to_vec();
            target.refuse_fragment(&mut bytes, number == 0);
            seen.push_str(&String::from_utf8(bytes).unwrap().replace('\x01', "!"));
        }
        seen
    }

    #[test]
    fn part_of_a_head_behind_another_request_is_seen() {
        for (one, two, expected) in [
            ("GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nX: ", "1", [20, 0]),
            ("GET /a#c HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nX: ", "1", [20, 0]),
            ("GET /a HTTP/1.1\r\n\r\nGE", "T /b HTTP/1.1\r\n", [2, 0]),
            ("GET /a HTTP/1.1\r\n\r", "\nGET /b", [0, 6]),
            ("GET /a HTTP/1.1\r\n\r\n", "GET /b", [0, 6]),
            ("GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n", "", [0, 0]),
            ("GET /a HTTP/1.1\r\n", "X: 1\r\n", [0, 0]),
            ("POST /a HTTP/1.1\r\n\r\n{\"value\":", "\"GET\"}", [0, 0]),
        ] {
            let mut target = Target::default();
            let mut seen = |text: &str, begins| target.refuse_fragment(&mut text.as_bytes().to_vec(), begins);
            assert_eq!([seen(one, true), seen(two, false)], expected, "{one}|{two}");
        }
    }

    #[test]
    fn a_fragment_of_a_target_is_spoiled_and_nothing_else() {
        for (sent, expected) in [
            ("GET /a#b HTTP/1.1\r\nX: #\r\n\r\n", "GET /a!b HTTP/1.1\r\nX: #\r\n\r\n"),
            ("GET /a HTTP/1.1\r\nX: #\r\n\r\n", "GET /a HTTP/1.1\r\nX: #\r\n\r\n"),
            ("POST /a HTTP/1.1\r\n\r\n{\"value\":\"#\"}", "POST /a HTTP/1.1\r\n\r\n{\"value\":\"#\"}"),
            ("POST /a HTTP/1.1\r\n\r\nvalue=#", "POST /a HTTP/1.1\r\n\r\nvalue=#"),
            (
                "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nX: #\r\n\r\nGET /c#d HTTP/1.1\r\n\r\n",
                "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nX: #\r\n\r\nGET /c!d HTTP/1.1\r\n\r\n",
            ),
        ] {
            assert_eq!(seen(&[sent]), expected);
            for at in 1..sent.len() {
                let (one, two) = sent.split_at(at);
                assert_eq!(seen(&[one, two]), expected, "cut at {at}");
            }
        }
    }

    #[test]
    fn a_request_line_is_found_behind_empty_lines_and_bare_line_feeds() {
        for (sent, expected) in [
            ("\r\nGET /a#b HTTP/1.1\r\n\r\n", "\r\nGET /a!b HTTP/1.1\r\n\r\n"),
            (
                "GET /a HTTP/1.1\r\n\r\n\r\nGET /c#d HTTP/1.1\r\n\r\n",
                "GET /a HTTP/1.1\r\n\r\n\r\nGET /c!d HTTP/1.1\r\n\r\n",
            ),
            (
                "GET /a HTTP/1.1\nX: #\n\nGET /c#d HTTP/1.1\n\n",
                "GET /a HTTP/1.1\nX: #\n\nGET /c!d HTTP/1.1\n\n",
            ),
            (
                "POST /a HTTP/1.1\r\n\r\n\r\n{\"value\":\"#\"}",
                "POST /a HTTP/1.1\r\n\r\n\r\n{\"value\":\"#\"}",
            ),
        ] {
            assert_eq!(seen(&[sent]), expected);
        }
    }
}
