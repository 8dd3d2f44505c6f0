//! One CSV file (RFC 4180): a header line, then records with as many fields.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};

use crate::{
    domain::{Column, ColumnKind, RejectReason, RowBatch},
    source::{
        cell::{self, CELL_BYTES_MAX, ROW_BYTES_MAX},
        error::{Error, cause, file_error, malformed, no_columns},
        file::{Stamp, regular},
    },
};

/// Most bytes of one record in the file. A quote that is never closed would make one record of all
/// that follows.
const RECORD_BYTES_MAX: usize = ROW_BYTES_MAX;

/// An open file, after its header line.
#[derive(Debug)]
pub(super) struct CsvFile {
    path: PathBuf,
    opened: Stamp,
    reader: Reader<Bounded>,
    columns: Vec<Column>,
    /// Where each column stands in a record.
    fields: Vec<usize>,
    record: ByteRecord,
}

/// Bounds what is read for one record, and counts quotes: a whole file has an even number of them.
#[derive(Debug)]
struct Bounded {
    file: File,
    /// What may still be read before the next record begins.
    left: usize,
    has_open_quote: bool,
}

impl CsvFile {
    /// Opens the file and reads its header line. `chosen` are the columns wanted; `None` means all.
    pub(super) fn open(path: &Path, chosen: Option<&[String]>) -> Result<Self, Error> {
        let opened = regular(path).and_then(|_| {
            let file = File::open(path)?;
            Ok((Stamp::of(&file.metadata()?), file))
        });
        let (opened, file) = opened.map_err(|error| unopened(path, &error))?;
        let reader = Bounded { file, left: RECORD_BYTES_MAX, has_open_quote: false };
        let reader = ReaderBuilder::new().has_headers(false).from_reader(reader);
        let mut file = Self {
            path: path.to_owned(),
            opened,
            reader,
            columns: Vec::new(),
            fields: Vec::new(),
            record: ByteRecord::new(),
        };
        if !file.next_record()? {
            return Err(no_columns().with_hint(format!("{} has no header line", path.display())));
        }
        file.choose(chosen)?;
        Ok(file)
    }

    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Appends the next record to `batch`; false at the end of the file.
    pub(super) fn read_row(&mut self, batch: &mut RowBatch) -> Result<bool, Error> {
        if !self.next_record()? {
            return if self.reader.get_ref().has_open_quote {
                Err(self.wrong("it ends inside a quoted field, or a field without quotes holds a quote"))
            } else {
                Ok(false)
            };
        }
        for &field in &self.fields {
            let value = &self.record[field];
            batch.push_with(|out| match value.len() {
                ..=CELL_BYTES_MAX => cell::text(value, out),
                _ => cell::invalid(RejectReason::RecordTooLarge, out),
            });
        }
        Ok(true)
    }

    /// Fails when the file was written to since it was opened. A file that was renamed over it meanwhile
    /// does no harm.
    pub(super) fn check_unchanged(&self) -> Result<(), Error> {
        self.opened.check(&self.reader.get_ref().file, &self.path)
    }

    /// Names the columns after the header line, which was just read.
    fn choose(&mut self, chosen: Option<&[String]>) -> Result<(), Error> {
        let mut header: Vec<&str> = Vec::new();
        for (at, name) in self.record.iter().enumerate() {
            // A file without a header line has values here, so the message has positions instead of names.
            match std::str::from_utf8(name) {
                Ok("") | Err(_) => {
                    return Err(self.wrong(&format!("column {} has no name in UTF-8", at + 1)));
                }
                Ok(name) => match header.iter().position(|other| *other == name) {
                    None => header.push(name),
                    Some(other) => {
                        let message = format!(
                            "columns {} and {} of {} have one name",
                            other + 1,
                            at + 1,
                            self.path.display()
                        );
                        return Err(Error::new(cause::DUPLICATE_COLUMN, message)
                            .with_hint("rename one of them in the header line"));
                    }
                },
            }
        }
        self.fields = match chosen {
            None => (0..header.len()).collect(),
            Some(chosen) => chosen
                .iter()
                .map(|name| {
                    header.iter().position(|other| other == name).ok_or_else(|| {
                        let path = self.path.display();
                        Error::new(cause::UNKNOWN_COLUMN, format!("{path} has no column `{name}`"))
                            .with_hint("check its name and case in the header line")
                    })
                })
                .collect::<Result<_, _>>()?,
        };
        let column = |&field: &usize| Column {
            name: header[field].to_owned(),
            kind: ColumnKind::Text,
            type_name: "text".to_owned(),
        };
        self.columns = self.fields.iter().map(column).collect();
        Ok(())
    }

    /// Reads the next record; false at the end of the file.
    fn next_record(&mut self) -> Result<bool, Error> {
        self.reader.get_mut().left = RECORD_BYTES_MAX;
        let line = self.reader.position().line();
        let read = self.reader.read_byte_record(&mut self.record);
        read.map_err(|error| match error.into_kind() {
            ErrorKind::Io(error) if error.kind() == io::ErrorKind::InvalidData => self.wrong(&format!(
                "the record that begins in line {line} has more than {RECORD_BYTES_MAX} bytes; is a quote not closed?"
            )),
            ErrorKind::Io(error) => {
                Error::new(cause::FILE_UNREADABLE, format!("cannot read {}: {error}", self.path.display()))
            }
            ErrorKind::UnequalLengths { expected_len, len, pos } => {
                let line = pos.map_or(line, |pos| pos.line());
                self.wrong(&format!("line {line} has {len} fields, the header line has {expected_len}"))
            }
            _ => self.wrong(&format!("the record that begins in line {line}")),
        })
    }

    fn wrong(&self, reason: &str) -> Error {
        malformed(format_args!("{}: {reason}", self.path.display()))
            .with_hint("check that it is a CSV file with a header line (RFC 4180)")
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.left = self.left.checked_sub(read).ok_or(io::ErrorKind::InvalidData)?;
        if memchr::memchr_iter(b'"', &buffer[..read]).count() % 2 == 1 {
            self.has_open_quote = !self.has_open_quote;
        }
        Ok(read)
    }
}

fn unopened(path: &Path, error: &io::Error) -> Error {
    let opened = file_error(path, error);
    if opened.code() == cause::FILE_MISSING.code {
        return opened.with_hint("check the source's `path` and the model's `table`");
    }
    opened
}
