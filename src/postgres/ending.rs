//! Follows the messages of a server and keeps the error with which it ends a session: after an error in the middle of
//! a copy sqlx reads on, and reports the end of the connection in its place.
//! (<https://www.postgresql.org/docs/current/protocol-message-formats.html>, `ErrorResponse`)

use std::sync::{Arc, Mutex, PoisonError};

/// A message's type, and its length without the type.
const HEADER_BYTES: usize = 5;
/// Most bytes of an error that are kept: its words come first, and texts of statements after them.
const ERROR_BYTES_MAX: usize = 8 * 1024;

/// The error with which a server has ended a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fatal {
    /// Its SQLSTATE.
    pub(crate) code: String,
    /// The server's words: no statement can raise an error of this severity.
    pub(crate) message: String,
}

/// How the session of a connection ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ending(Arc<Mutex<Messages>>);

impl Ending {
    /// Takes the next bytes that came from the server.
    pub(super) fn follow(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).follow(bytes);
    }

    /// The error that ended the session, if the server sent one.
    pub(crate) fn fatal(&self) -> Option<Fatal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fatal()
    }
}

/// Where in the stream of messages the last byte was.
#[derive(Debug, Default)]
struct Messages {
    header: Vec<u8>,
    /// Bytes of the present message that have not come.
    missing: usize,
    is_error: bool,
    /// The fields of the last error.
    error: Vec<u8>,
}

impl Messages {
    fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let is_header = self.missing == 0;
            let wanted = if is_header { HEADER_BYTES - self.header.len() } else { self.missing };
            let (part, rest) = bytes.split_at(wanted.min(bytes.len()));
            bytes = rest;
            if is_header {
                self.header.extend(part);
                self.begin_message();
                continue;
            }
            self.missing -= part.len();
            if self.is_error && self.error.len() < ERROR_BYTES_MAX {
                self.error.extend(part);
            }
        }
    }

    /// Begins the message of a header that is whole.
    fn begin_message(&mut self) {
        let [kind, length @ ..] = &*self.header else { return };
        let Some(length) = length.first_chunk::<4>() else { return };
        self.missing = (u32::from_be_bytes(*length) as usize).saturating_sub(size_of::<u32>());
        self.is_error = *kind == b'E';
        if self.is_error {
            self.error.clear();
        }
        self.header.clear();
    }

    fn fatal(&self) -> Option<Fatal> {
        let field = |kind: u8| {
            let mut fields = self.error.split(|byte| *byte == 0).filter_map(|field| field.split_first());
            fields
                .find(|(found, _)| **found == kind)
                .map(|(_, text)| String::from_utf8_lossy(text).into_owned())
        };
        let ends_session = matches!(&*field(b'V')?, "FATAL" | "PANIC");
        ends_session.then_some(Fatal { code: field(b'C')?, message: field(b'M')? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u32 + 4).to_be_bytes();
        [&[kind], &length[..], body].concat()
    }

    fn error(severity: &str, words: &str) -> Vec<u8> {
        let fields = format!("SFATAL\0V{severity}\0C57P01\0M{words}\0Fpostgres.c\0\0");
        message(b'E', fields.as_bytes())
    }

    proptest! {
        #[test]
        fn the_last_error_is_kept_however_the_stream_is_cut(
            cuts in prop::collection::vec(0..400_usize, 0..20),
            row in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let stream = [
                message(b'R', &[0; 4]),
                error("ERROR", "earlier"),
                message(b'c', b""),
                // A row may look like an error.
                message(b'd', &[row, error("FATAL", "of a row")].concat()),
                error("FATAL", "the end"),
            ]
            .concat();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let ending = Ending::default();
            cuts.windows(2).for_each(|cut| ending.follow(&stream[cut[0]..cut[1]]));
            let expected = Fatal { code: "57P01".to_owned(), message: "the end".to_owned() };
            prop_assert_eq!(ending.fatal(), Some(expected));
        }

        #[test]
        fn any_bytes_are_followed(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let ending = Ending::default();
            ending.follow(&bytes);
            let _ = ending.fatal();
        }
    }

    #[test]
    fn an_error_that_leaves_the_session_open_is_no_ending() {
        let ending = Ending::default();
        assert_eq!(ending.fatal(), None);
        ending.follow(&error("ERROR", "a fault"));
        assert_eq!(ending.fatal(), None);
        ending.follow(&message(b'd', &error("FATAL", "of a row")));
        assert_eq!(ending.fatal(), None);
    }
}
