//! The requests: one text, all but its number made before the run.

use std::io::Write;

use crate::Target;

/// The texts of a run. The number is written when a request is sent, in some 20 ns: a million texts made
/// ahead would push the generator's own work out of the processor's caches.
pub(crate) struct Requests {
    before: Vec<u8>,
    after: Vec<u8>,
    /// Numbers are from 1 to this; 0 when the path has none.
    keys: u64,
    state: u64,
    text: Vec<u8>,
}

impl Requests {
    pub(crate) fn new(target: &Target) -> Self {
        let (before, after) = target.path.split_once("{}").unwrap_or((&target.path, ""));
        let headers: String = target.header.iter().flat_map(|line| [line, "\r\n"]).collect();
        let has_number = target.path.contains("{}");
        Self {
            before: format!("GET {before}").into_bytes(),
            after: format!("{after} HTTP/1.1\r\nHost: bench\r\n{headers}\r\n").into_bytes(),
            keys: if has_number { target.keys } else { 0 },
            state: 0x9e37_79b9_7f4a_7c15,
            text: Vec::new(),
        }
    }

    pub(crate) fn next(&mut self) -> &[u8] {
        self.text.clear();
        self.text.extend_from_slice(&self.before);
        if self.keys > 0 {
            // Xorshift: the same keys in every run.
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            let _ = write!(self.text, "{}", self.state % self.keys + 1);
        }
        self.text.extend_from_slice(&self.after);
        &self.text
    }
}
