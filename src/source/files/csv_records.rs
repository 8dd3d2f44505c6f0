//! Records of CSV (RFC 4180, or a dialect of it), read strictly: text that the grammar does not have is a fault, since every
//! lenient reader makes another value of it.

use std::io::{self, BufRead};

use memchr::memchr2;

use super::csv::CsvOptions;
use crate::source::cell::ROW_BYTES_MAX;

/// Most bytes of one record in the file. A quote that is never closed would make one record of all that follows.
const RECORD_BYTES_MAX: usize = ROW_BYTES_MAX;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads the records of a file one after the other. Empty lines are skipped.
pub(super) struct Records {
    input: Box<dyn BufRead + Send>,
    delimiter: u8,
    quote: u8,
    escape: Option<u8>,
    comment: Option<u8>,
    /// The bytes that end a run of plain text in a field without quotes.
    is_special: [bool; 256],
    /// The line of the next byte.
    line: u64,
    is_begun: bool,
}

/// The fields of one record.
#[derive(Default)]
pub(super) struct Record {
    /// The line in which it begins.
    pub(super) line: u64,
    text: Vec<u8>,
    /// Where each field ends in the text, and whether it stood between quotes.
    fields: Vec<(usize, bool)>,
}

impl Record {
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// The text of a field, and whether it stood between quotes.
    pub(super) fn field(&self, at: usize) -> (&[u8], bool) {
        let (end, is_quoted) = self.fields[at];
        let start = at.checked_sub(1).map_or(0, |before| self.fields[before].0);
        (&self.text[start..end], is_quoted)
    }
}

/// Where in a record the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    RecordStart,
    Comment,
    FieldStart,
    /// In a field without quotes.
    Plain,
    /// Between quotes, which began in `line`.
    Quoted {
        line: u64,
    },
    /// Between quotes, after an escape.
    Escaped {
        line: u64,
    },
    /// After a quote between quotes: the second one, or the end of the field.
    Closed {
        line: u64,
    },
}

impl Records {
    pub(super) fn new(input: Box<dyn BufRead + Send>, options: &CsvOptions) -> Self {
        let delimiter = options.delimiter.unwrap_or(b',');
        let mut is_special = [false; 256];
        for byte in [delimiter, options.quote, b'\r', b'\n'] {
            is_special[usize::from(byte)] = true;
        }
        let (quote, escape, comment) = (options.quote, options.escape, options.comment);
        Self { input, delimiter, quote, escape, comment, is_special, line: 1, is_begun: false }
    }

    /// Reads the next record; false at the end of the file.
    ///
    /// # Errors
    /// What is wrong and where; it quotes no value.
    pub(super) fn read(&mut self, record: &mut Record) -> Result<bool, String> {
        record.text.clear();
        record.fields.clear();
        if !self.is_begun {
            self.skip_byte_order_mark().map_err(|_| self.unreadable())?;
            self.is_begun = true;
        }
        let mut state = State::RecordStart;
        let mut read = 0;
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(self.unreadable()),
            };
            if chunk.is_empty() {
                return self.end_of_file(state, record);
            }
            let mut at = 0;
            let mut is_done = false;
            while at < chunk.len() && !is_done {
                let byte = chunk[at];
                match state {
                    State::RecordStart if matches!(byte, b'\r' | b'\n') => {
                        self.line += u64::from(byte == b'\n');
                        at += 1;
                    }
                    State::RecordStart if Some(byte) == self.comment => state = State::Comment,
                    State::Comment => {
                        let end = memchr2(b'\r', b'\n', &chunk[at..]);
                        at += end.unwrap_or(chunk.len() - at);
                        state = if end.is_some() { State::RecordStart } else { State::Comment };
                    }
                    State::RecordStart => {
                        record.line = self.line;
                        state = State::FieldStart;
                    }
                    State::FieldStart if byte == self.quote => {
                        state = State::Quoted { line: self.line };
                        at += 1;
                    }
                    State::FieldStart | State::Plain => {
                        let rest = &chunk[at..];
                        let end = rest.iter().position(|byte| self.is_special[usize::from(*byte)]);
                        record.text.extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
                        at += end.unwrap_or(rest.len());
                        state = State::Plain;
                        let Some(special) = end.map(|end| rest[end]) else { continue };
                        if special == self.quote {
                            return Err(fault(
                                self.line,
                                record.fields.len(),
                                "a quote stands inside a field that does not begin with one",
                            ));
                        }
                        record.fields.push((record.text.len(), false));
                        at += 1;
                        is_done = special != self.delimiter;
                        self.line += u64::from(special == b'\n');
                        state = State::FieldStart;
                    }
                    State::Quoted { line } => {
                        let rest = &chunk[at..];
                        let end = memchr2(self.quote, self.escape.unwrap_or(self.quote), rest);
                        let text = &rest[..end.unwrap_or(rest.len())];
                        record.text.extend_from_slice(text);
                        self.line += memchr::memchr_iter(b'\n', text).count() as u64;
                        at += text.len();
                        if let Some(end) = end {
                            at += 1;
                            state = if Some(rest[end]) == self.escape {
                                State::Escaped { line }
                            } else {
                                State::Closed { line }
                            };
                        }
                    }
                    State::Escaped { line } => {
                        let is_escapable = byte == self.quote
                            || Some(byte) == self.escape
                            || byte == self.delimiter
                            || matches!(byte, b'\r' | b'\n');
                        if !is_escapable {
                            return Err(fault(
                                self.line,
                                record.fields.len(),
                                "`csv.escape` stands before a character that needs no escape",
                            ));
                        }
                        record.text.push(byte);
                        self.line += u64::from(byte == b'\n');
                        at += 1;
                        state = State::Quoted { line };
                    }
                    State::Closed { line } if byte == self.quote && self.escape.is_none() => {
                        record.text.push(byte);
                        at += 1;
                        state = State::Quoted { line };
                    }
                    State::Closed { .. } if byte == self.delimiter || matches!(byte, b'\r' | b'\n') => {
                        record.fields.push((record.text.len(), true));
                        at += 1;
                        is_done = byte != self.delimiter;
                        self.line += u64::from(byte == b'\n');
                        state = State::FieldStart;
                    }
                    State::Closed { line } => {
                        let what = format!(
                            "text stands after the quote that ends the field; it began in line {line}"
                        );
                        return Err(fault(self.line, record.fields.len(), &what));
                    }
                }
            }
            self.input.consume(at);
            if is_done {
                return Ok(true);
            }
            read = if matches!(state, State::RecordStart | State::Comment) { 0 } else { read + at };
            if read > RECORD_BYTES_MAX {
                return Err(format!(
                    "the record that begins in line {} has more than {RECORD_BYTES_MAX} bytes; is a quote not closed?",
                    record.line
                ));
            }
        }
    }

    fn end_of_file(&self, state: State, record: &mut Record) -> Result<bool, String> {
        let is_quoted = match state {
            State::RecordStart | State::Comment => return Ok(false),
            State::FieldStart | State::Plain => false,
            State::Closed { .. } => true,
            State::Quoted { line } | State::Escaped { line } => {
                return Err(fault(line, record.fields.len(), "a quote is never closed"));
            }
        };
        record.fields.push((record.text.len(), is_quoted));
        Ok(true)
    }

    fn skip_byte_order_mark(&mut self) -> io::Result<()> {
        if self.input.fill_buf()?.starts_with(BYTE_ORDER_MARK) {
            self.input.consume(BYTE_ORDER_MARK.len());
        }
        Ok(())
    }

    fn unreadable(&self) -> String {
        format!("it cannot be read, or decompressed, after line {}", self.line)
    }
}

/// A fault in a field; `before` is the number of fields before it.
fn fault(line: u64, before: usize, what: &str) -> String {
    format!("line {line}, column {}: {what}", before + 1)
}
