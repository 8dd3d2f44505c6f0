//! Records of CSV (RFC 4180, or a dialect of it), read strictly: text that the grammar does not have is a fault, since every
//! lenient reader makes another value of it.

use std::io::{self, BufRead};

use memchr::{memchr_iter, memchr2};

use super::csv::CsvOptions;
use crate::source::cell::ROW_BYTES_MAX;

/// Most bytes of one record in the file. A quote that is never closed would make one record of all that follows.
const RECORD_BYTES_MAX: usize = ROW_BYTES_MAX;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads the records of a file one after the other. Empty lines are skipped.
pub(super) struct Records {
    input: Box<dyn BufRead + Send>,
    syntax: Syntax,
    is_begun: bool,
}

/// A dialect, and how far a file is read.
struct Syntax {
    delimiter: u8,
    quote: u8,
    escape: Option<u8>,
    comment: Option<u8>,
    /// The bytes that end a run of plain text in a field without quotes.
    is_special: [bool; 256],
    /// The line of the next byte.
    line: u64,
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
    /// Between quotes, which began in this line.
    Quoted(u64),
    /// Between quotes, after an escape.
    Escaped(u64),
    /// After a quote between quotes: the second one, or the end of the field.
    Closed(u64),
    RecordEnd,
}

impl Records {
    pub(super) fn new(input: Box<dyn BufRead + Send>, options: &CsvOptions) -> Self {
        let delimiter = options.delimiter.unwrap_or(b',');
        let mut is_special = [false; 256];
        for byte in [delimiter, options.quote, b'\r', b'\n'] {
            is_special[usize::from(byte)] = true;
        }
        let (quote, escape, comment) = (options.quote, options.escape, options.comment);
        let syntax = Syntax { delimiter, quote, escape, comment, is_special, line: 1 };
        Self { input, syntax, is_begun: false }
    }

    /// Reads the next record; false at the end of the file.
    ///
    /// # Errors
    /// What is wrong and where; it quotes no value.
    pub(super) fn read(&mut self, record: &mut Record) -> Result<bool, String> {
        record.text.clear();
        record.fields.clear();
        let (mut state, mut read) = (State::RecordStart, 0);
        loop {
            let mut chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => {
                    let line = self.syntax.line;
                    return Err(format!("it cannot be read, or decompressed, after line {line}"));
                }
            };
            if chunk.is_empty() {
                return end_of_file(state, record);
            }
            let length = chunk.len();
            if !std::mem::replace(&mut self.is_begun, true) {
                chunk = chunk.strip_prefix(BYTE_ORDER_MARK).unwrap_or(chunk);
            }
            while !chunk.is_empty() && state != State::RecordEnd {
                let (used, next) = self.syntax.read(chunk, state, record)?;
                (chunk, state) = (&chunk[used..], next);
            }
            let used = length - chunk.len();
            self.input.consume(used);
            if state == State::RecordEnd {
                return Ok(true);
            }
            read = if matches!(state, State::RecordStart | State::Comment) { 0 } else { read + used };
            if read > RECORD_BYTES_MAX {
                return Err(format!(
                    "the record that begins in line {} has more than {RECORD_BYTES_MAX} bytes; is a quote not closed?",
                    record.line
                ));
            }
        }
    }
}

impl Syntax {
    /// Reads some of `text`, which is not empty: how many bytes, and the state behind them.
    fn read(&mut self, text: &[u8], state: State, record: &mut Record) -> Result<(usize, State), String> {
        let byte = text[0];
        let is_end = byte == self.delimiter || matches!(byte, b'\r' | b'\n');
        Ok(match state {
            State::RecordStart if matches!(byte, b'\r' | b'\n') => {
                self.line += u64::from(byte == b'\n');
                (1, State::RecordStart)
            }
            State::RecordStart if Some(byte) == self.comment => (1, State::Comment),
            State::Comment => match memchr2(b'\r', b'\n', text) {
                Some(end) => (end, State::RecordStart),
                None => (text.len(), State::Comment),
            },
            State::RecordStart => {
                record.line = self.line;
                (0, State::FieldStart)
            }
            State::FieldStart if byte == self.quote => (1, State::Quoted(self.line)),
            State::FieldStart | State::Plain => return self.plain(text, record),
            State::Quoted(line) => self.quoted(text, line, record),
            State::Escaped(line) if is_end || byte == self.quote || Some(byte) == self.escape => {
                record.text.push(byte);
                self.line += u64::from(byte == b'\n');
                (1, State::Quoted(line))
            }
            State::Escaped(_) => {
                return Err(fault(
                    self.line,
                    record,
                    "`csv.escape` stands before a character that needs no escape",
                ));
            }
            State::Closed(line) if byte == self.quote && self.escape.is_none() => {
                record.text.push(byte);
                (1, State::Quoted(line))
            }
            State::Closed(_) if is_end => (1, self.end_field(byte, true, record)),
            State::Closed(line) => {
                let what =
                    format!("text stands after the quote that ends the field; it began in line {line}");
                return Err(fault(self.line, record, &what));
            }
            State::RecordEnd => (0, state),
        })
    }

    /// Reads a field without quotes.
    fn plain(&mut self, text: &[u8], record: &mut Record) -> Result<(usize, State), String> {
        let end = text.iter().position(|byte| self.is_special[usize::from(*byte)]);
        record.text.extend_from_slice(&text[..end.unwrap_or(text.len())]);
        let Some(end) = end else { return Ok((text.len(), State::Plain)) };
        if text[end] == self.quote {
            let what = "a quote stands inside a field that does not begin with one";
            return Err(fault(self.line, record, what));
        }
        Ok((end + 1, self.end_field(text[end], false, record)))
    }

    /// Reads text between quotes, which began in `line`.
    fn quoted(&mut self, text: &[u8], line: u64, record: &mut Record) -> (usize, State) {
        let end = memchr2(self.quote, self.escape.unwrap_or(self.quote), text);
        let inside = &text[..end.unwrap_or(text.len())];
        record.text.extend_from_slice(inside);
        self.line += memchr_iter(b'\n', inside).count() as u64;
        match end {
            None => (text.len(), State::Quoted(line)),
            Some(end) if Some(text[end]) == self.escape => (end + 1, State::Escaped(line)),
            Some(end) => (end + 1, State::Closed(line)),
        }
    }

    /// Ends a field at a delimiter or a line break.
    fn end_field(&mut self, byte: u8, is_quoted: bool, record: &mut Record) -> State {
        record.fields.push((record.text.len(), is_quoted));
        self.line += u64::from(byte == b'\n');
        if byte == self.delimiter { State::FieldStart } else { State::RecordEnd }
    }
}

fn end_of_file(state: State, record: &mut Record) -> Result<bool, String> {
    let is_quoted = match state {
        State::RecordStart | State::Comment => return Ok(false),
        State::Quoted(line) | State::Escaped(line) => {
            return Err(fault(line, record, "a quote is never closed"));
        }
        state => matches!(state, State::Closed(_)),
    };
    record.fields.push((record.text.len(), is_quoted));
    Ok(true)
}

/// A fault in the next field.
fn fault(line: u64, record: &Record, what: &str) -> String {
    format!("line {line}, column {}: {what}", record.fields.len() + 1)
}
