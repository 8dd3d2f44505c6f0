//! Refuses a `#` in the target of an HTTP/1 request. No client may send one (RFC 9112, section 3.2): the
//! parser of targets cuts it off with all that follows, and another record would be found than the one
//! requested. hyper hands no target on as it was sent, so the request line is spoiled before hyper reads
//! it, and hyper answers 400.
//!
//! Nothing but a request line is changed. hyper gets one head at a time, so that the length of a
//! body is known before its first byte is read.

use memchr::memchr;

/// A byte that no request line may have.
const SPOILED: u8 = 0x01;

/// The body of the newest request, as hyper has read its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyLength {
    /// In bytes; zero for none.
    Known(u64),
    /// It ends where its last chunk does. Its connection takes no further request.
    Chunked,
}

/// Follows the heads of a connection.
#[derive(Debug)]
pub(super) struct FragmentFilter {
    part: Part,
    /// The request line of this head is over.
    is_in_fields: bool,
    /// The unfinished line has a `#`.
    has_fragment: bool,
    /// The bytes of the unfinished line, as far as they tell whether it is empty.
    line: Line,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    /// hyper has a whole head; whether it has a body is not known yet.
    HeadRead,
    Body(u64),
    /// Nothing is followed any more.
    Rest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Empty,
    CarriageReturn,
    Text,
}

impl Default for FragmentFilter {
    fn default() -> Self {
        Self { part: Part::Head, is_in_fields: false, has_fragment: false, line: Line::Empty }
    }
}

impl FragmentFilter {
    /// Spoils the end of a request line with a `#` in `bytes`, and returns how many of the bytes hyper may
    /// read now. The others are to be given again, after hyper has read those. `body` is that of a request
    /// whose head hyper has read since the last call.
    pub(super) fn apply(&mut self, bytes: &mut [u8], body: Option<BodyLength>) -> usize {
        if self.part == Part::HeadRead {
            self.part = match body {
                Some(BodyLength::Known(length @ 1..)) => Part::Body(length),
                Some(BodyLength::Chunked) => Part::Rest,
                Some(BodyLength::Known(0)) | None => Part::Head,
            };
        }
        match self.part {
            Part::Head | Part::HeadRead => self.head(bytes),
            Part::Body(left) => {
                let read = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                self.part = if read as u64 == left { Part::Head } else { Part::Body(left - read as u64) };
                read
            }
            Part::Rest => bytes.len(),
        }
    }

    /// Reads up to the end of a head.
    fn head(&mut self, bytes: &mut [u8]) -> usize {
        let mut from = 0;
        while let Some(length) = memchr(b'\n', &bytes[from..]) {
            let end = from + length;
            self.add_to_line(&bytes[from..end]);
            let is_empty = std::mem::replace(&mut self.line, Line::Empty) != Line::Text;
            if !is_empty && !self.is_in_fields {
                if std::mem::take(&mut self.has_fragment) {
                    bytes[end] = SPOILED;
                }
                self.is_in_fields = true;
            } else if is_empty && self.is_in_fields {
                self.is_in_fields = false;
                self.part = Part::HeadRead;
                return end + 1;
            }
            from = end + 1;
        }
        self.add_to_line(&bytes[from..]);
        bytes.len()
    }

    fn add_to_line(&mut self, bytes: &[u8]) {
        self.line = match (self.line, bytes) {
            (line, []) => line,
            (Line::Empty, [b'\r']) => Line::CarriageReturn,
            _ => Line::Text,
        };
        if !self.is_in_fields {
            self.has_fragment |= memchr(b'#', bytes).is_some();
        }
    }

    /// Whether the bytes that hyper may read end with the end of a head.
    pub(super) fn is_at_end_of_head(&self) -> bool {
        self.part == Part::HeadRead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What hyper reads of a connection whose requests have these bodies, in `pieces`.
    fn filtered(pieces: &[&str], bodies: &[BodyLength]) -> String {
        let (mut filter, mut bodies) = (FragmentFilter::default(), bodies.iter().copied());
        let mut seen = String::new();
        for piece in pieces {
            let mut bytes = piece.as_bytes().to_vec();
            while !bytes.is_empty() {
                let body = filter.is_at_end_of_head().then(|| bodies.next()).flatten();
                let read = filter.apply(&mut bytes, body);
                assert!(read > 0, "hyper would take nothing for the end");
                let rest = bytes.split_off(read);
                seen.push_str(&String::from_utf8(bytes).unwrap().replace('\x01', "!"));
                bytes = rest;
            }
        }
        seen
    }

    #[test]
    fn request_line_with_a_fragment_is_spoiled_and_nothing_else() {
        use BodyLength::{Chunked, Known};
        let form = "value=GET /a#b HTTP/1.1\r\nGET /a#b HTTP/1.1\n\r\n\r\nGET /a#b HTTP/1.1\r\n\r\n";
        let post = format!("POST /a HTTP/1.1\r\n\r\n{form}");
        let length = Known(form.len() as u64);
        for (sent, bodies, expected) in [
            ("GET /a#b HTTP/1.1\r\nX: #\r\n\r\n", &[][..], "GET /a#b HTTP/1.1\r!X: #\r\n\r\n"),
            ("GET /a#b HTTP/1.0\n\n", &[], "GET /a#b HTTP/1.0!\n"),
            ("\r\n\nGET /a#b HTTP/1.1\r\n\r\n", &[], "\r\n\nGET /a#b HTTP/1.1\r!\r\n"),
            ("GET /a# HTTP/1.1\r\n\r\n", &[], "GET /a# HTTP/1.1\r!\r\n"),
            (
                "GET /a HTTP/1.1\r\nX: # HTTP/1.1\r\n\r\n",
                &[Known(0)],
                "GET /a HTTP/1.1\r\nX: # HTTP/1.1\r\n\r\n",
            ),
            (&post, &[length], &post),
            (&post, &[Chunked], &post),
            (
                &format!("{post}GET /c#d HTTP/1.1\r\n\r\n"),
                &[length],
                &format!("{post}GET /c#d HTTP/1.1\r!\r\n"),
            ),
            (
                "GET /a HTTP/1.1\nX: #\n\nGET /b HTTP/1.1\r\n\r\nGET /c#d HTTP/1.1\r\n\r\n",
                &[Known(0), Known(0)],
                "GET /a HTTP/1.1\nX: #\n\nGET /b HTTP/1.1\r\n\r\nGET /c#d HTTP/1.1\r!\r\n",
            ),
        ] {
            assert_eq!(filtered(&[sent], bodies), expected);
            for at in 1..sent.len() {
                let (one, two) = sent.split_at(at);
                assert_eq!(filtered(&[one, two], bodies), expected, "cut at {at}");
            }
            let bytes: Vec<&str> = sent.split_inclusive(|_: char| true).collect();
            assert_eq!(filtered(&bytes, bodies), expected, "byte by byte");
        }
    }

    #[test]
    fn end_of_a_head_is_seen_across_reads() {
        for (pieces, expected) in [
            (&["GET / HTTP/1.1\r\n\r\n"][..], true),
            (&["GET / HTTP/1.1\r\n\r", "\n"], true),
            (&["GET / HTTP/1.1\n", "\n"], true),
            (&["GET / HTTP/1.1\r\n\r\n", "G"], false),
            (&["GET / HTTP/1.1\r\n"], false),
            (&["GET /#"], false),
            (&["GET / HTTP/1.1\r\nX: #\r\n\r\n"], true),
        ] {
            let mut filter = FragmentFilter::default();
            for piece in pieces {
                filter.apply(&mut piece.as_bytes().to_vec(), None);
            }
            assert_eq!(filter.is_at_end_of_head(), expected, "{pieces:?}");
        }
    }
}
