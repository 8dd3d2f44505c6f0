//! The requests: one text, all but its number made before the run.

use std::io::Write;

use crate::Target;

/// The texts of a run. The numbers are written when a request is sent, in some 20 ns each: a million texts made
/// ahead would push the generator's own work out of the processor's caches.
pub(crate) struct Requests {
    before: Vec<u8>,
    after: Vec<u8>,
    /// Whether the path has a number.
    has_number: bool,
    /// Numbers in the body of a POST; 0 is a GET.
    values: usize,
    /// Numbers are from 1 to this.
    keys: u64,
    state: u64,
    body: Vec<u8>,
    text: Vec<u8>,
}

impl Requests {
    pub(crate) fn new(target: &Target) -> Self {
        let (before, after) = target.path.split_once("{}").unwrap_or((&target.path, ""));
        let headers: String = target.header.iter().flat_map(|line| [line, "\r\n"]).collect();
        let method = if target.values > 0 { "POST" } else { "GET" };
        Self {
            before: format!("{method} {before}").into_bytes(),
            after: format!("{after} HTTP/1.1\r\nHost: bench\r\n{headers}").into_bytes(),
            has_number: target.path.contains("{}"),
            values: target.values,
            keys: target.keys.max(1),
            state: 0x9e37_79b9_7f4a_7c15,
            body: Vec::new(),
            text: Vec::new(),
        }
    }

    /// Xorshift: the same keys in every run.
    fn number(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % self.keys + 1
    }

    pub(crate) fn next(&mut self) -> &[u8] {
        self.text.clear();
        self.text.extend_from_slice(&self.before);
        if self.has_number {
            let number = self.number();
            let _ = write!(self.text, "{number}");
        }
        self.text.extend_from_slice(&self.after);
        if self.values > 0 {
            self.write_body();
            let length = self.body.len();
            let _ = write!(self.text, "Content-Type: application/json\r\nContent-Length: {length}\r\n");
        }
        self.text.extend_from_slice(b"\r\n");
        self.text.extend_from_slice(&self.body);
        &self.text
    }

    fn write_body(&mut self) {
        self.body.clear();
        self.body.extend_from_slice(b"{\"values\":[");
        for at in 0..self.values {
            let number = self.number();
            let _ = write!(self.body, "{}{number}", if at == 0 { "" } else { "," });
        }
        self.body.extend_from_slice(b"]}");
    }
}
