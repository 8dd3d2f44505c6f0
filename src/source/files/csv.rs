//! CSV: a header line, then records with as many fields (RFC 4180, or a dialect of it).

use std::{
    io::{self, BufRead, Read},
    sync::Arc,
};

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};

use super::{
    RowReader,
    content::{Content, ContentReader},
    format::{Format, decompressed},
    positions,
};
use crate::{
    domain::{
        reject::RejectReason,
        row::{CellKind, Column, ColumnKind, RowBatch},
    },
    source::{
        cell::{self, CELL_BYTES_MAX, ROW_BYTES_MAX},
        error::{Error, cause, no_columns},
    },
};

/// Most bytes of one record in the file. A quote that is never closed would make one record of all
/// that follows.
const RECORD_BYTES_MAX: usize = ROW_BYTES_MAX;

/// A dialect of CSV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CsvOptions {
    /// `None`: a comma, or a tab in files of tabs.
    pub(super) delimiter: Option<u8>,
    pub(super) quote: u8,
    /// What stands before a quote within quotes; `None`: another quote.
    pub(super) escape: Option<u8>,
    /// Lines that begin with it are skipped.
    pub(super) comment: Option<u8>,
    /// The names of the columns of files without a header line.
    pub(super) names: Option<Vec<String>>,
    /// The text that stands for null.
    pub(super) null: Option<String>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self { delimiter: None, quote: b'"', escape: None, comment: None, names: None, null: None }
    }
}

impl CsvOptions {
    /// The dialect of files of a format.
    pub(super) fn of(&self, format: Format) -> Self {
        let delimiter = self.delimiter.unwrap_or(if format == Format::Tsv { b'\t' } else { b',' });
        Self { delimiter: Some(delimiter), ..self.clone() }
    }
}

/// An open file, after its header line.
pub(super) struct CsvReader {
    content: Arc<Content>,
    reader: Reader<Bounded>,
    columns: Vec<Column>,
    /// Where each column stands in a record.
    fields: Vec<usize>,
    width: usize,
    record: ByteRecord,
    null: Option<String>,
}

/// Bounds what is read for one record, and counts quotes: a whole file has an even number of them, unless there may be
/// lone ones after escapes or in comments.
struct Bounded {
    inner: Box<dyn BufRead + Send>,
    /// What may still be read before the next record begins.
    left: usize,
    quote: Option<u8>,
    has_open_quote: bool,
}

impl CsvReader {
    /// Reads the header line. `chosen` are the columns wanted; `None` means all.
    pub(super) fn open(
        content: &Arc<Content>,
        options: &CsvOptions,
        chosen: Option<&[String]>,
    ) -> Result<Self, Error> {
        let inner = decompressed(content.name(), ContentReader::new(content, 0));
        let inner = inner.map_err(|_| content.explain("it cannot be decompressed"))?;
        let is_counted = options.escape.is_none() && options.comment.is_none();
        let quote = is_counted.then_some(options.quote);
        let bounded = Bounded { inner, left: RECORD_BYTES_MAX, quote, has_open_quote: false };
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .delimiter(options.delimiter.unwrap_or(b','))
            .quote(options.quote)
            .escape(options.escape)
            .double_quote(options.escape.is_none())
            .comment(options.comment)
            .from_reader(bounded);
        let mut file = Self {
            content: Arc::clone(content),
            reader,
            columns: Vec::new(),
            fields: Vec::new(),
            width: 0,
            record: ByteRecord::new(),
            null: options.null.clone(),
        };
        let header = match &options.names {
            Some(names) => names.clone(),
            None => file.header()?,
        };
        let names: Vec<&str> = header.iter().map(String::as_str).collect();
        file.fields = positions(&names, chosen, content)?;
        file.width = header.len();
        let column = |&field: &usize| Column {
            name: header[field].clone(),
            kind: ColumnKind::Text,
            type_name: "text".to_owned(),
        };
        file.columns = file.fields.iter().map(column).collect();
        Ok(file)
    }

    /// The names in the header line.
    fn header(&mut self) -> Result<Vec<String>, Error> {
        let path = self.content.name().to_owned();
        if !self.next_record()? {
            return Err(no_columns().with_hint(format!("{path} has no header line")));
        }
        let mut header: Vec<String> = Vec::new();
        for (at, name) in self.record.iter().enumerate() {
            // A file without a header line has values here, so positions are told instead of names.
            match std::str::from_utf8(name) {
                Ok("") | Err(_) => {
                    return Err(self.wrong(&format!("column {} has no name in UTF-8", at + 1)));
                }
                Ok(name) => match header.iter().position(|other| *other == name) {
                    None => header.push(name.to_owned()),
                    Some(other) => {
                        let message = format!("columns {} and {} of {path} have one name", other + 1, at + 1);
                        return Err(Error::new(cause::DUPLICATE_COLUMN, message)
                            .with_hint("rename one of them in the header line"));
                    }
                },
            }
        }
        Ok(header)
    }

    /// Reads the next record; false at the end of the file.
    fn next_record(&mut self) -> Result<bool, Error> {
        self.reader.get_mut().left = RECORD_BYTES_MAX;
        let line = self.reader.position().line();
        let read = self.reader.read_byte_record(&mut self.record);
        read.map_err(|error| match error.into_kind() {
            ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => self.wrong(&format!(
                "the record that begins in line {line} has more than {RECORD_BYTES_MAX} bytes; is a quote not closed?"
            )),
            ErrorKind::Io(_) => self.wrong(&format!("it cannot be read, or decompressed, after line {line}")),
            ErrorKind::UnequalLengths { expected_len, len, pos } => {
                let line = pos.map_or(line, |pos| pos.line());
                self.wrong(&format!("line {line} has {len} fields, the first line has {expected_len}"))
            }
            _ => self.wrong(&format!("the record that begins in line {line}")),
        })
    }

    fn wrong(&self, reason: &str) -> Error {
        let fault = self.content.explain(reason);
        if fault.code() == cause::ANSWER_MALFORMED.code {
            return fault.with_hint(
                "check that it is a CSV file with a header line (RFC 4180), or set the source's csv keys",
            );
        }
        fault
    }
}

impl RowReader for CsvReader {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn width(&self) -> Option<usize> {
        Some(self.width)
    }

    fn read_row(&mut self, batch: &mut RowBatch) -> Result<bool, Error> {
        if !self.next_record()? {
            return if self.reader.get_ref().has_open_quote {
                Err(self.wrong("it ends inside a quoted field, or a field without quotes holds a quote"))
            } else {
                Ok(false)
            };
        }
        if self.record.len() != self.width {
            let (line, len, width) = (self.reader.position().line(), self.record.len(), self.width);
            return Err(self.wrong(&format!(
                "the record before line {line} has {len} fields, the source's csv.header names {width}"
            )));
        }
        for &field in &self.fields {
            let value = &self.record[field];
            batch.push_with(|out| match &self.null {
                Some(null) if null.as_bytes() == value => CellKind::Null,
                _ if value.len() > CELL_BYTES_MAX => cell::invalid(RejectReason::RecordTooLarge, out),
                _ => cell::text(value, out),
            });
        }
        Ok(true)
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read).ok_or(io::ErrorKind::FileTooLarge)?;
        let quotes = self.quote.map_or(0, |quote| memchr::memchr_iter(quote, &buffer[..read]).count());
        self.has_open_quote ^= quotes % 2 == 1;
        Ok(read)
    }
}
