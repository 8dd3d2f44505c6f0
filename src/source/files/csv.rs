//! CSV: a header line, then records with as many fields (RFC 4180, or a dialect of it).

use std::sync::Arc;

use super::{
    RowReader,
    content::{Content, ContentReader},
    csv_records::{Record, Records},
    format::{Format, decompressed},
    no_columns, positions,
};
use crate::{
    domain::{
        reject::RejectReason,
        row::{CellKind, Column, ColumnKind, RowBatch},
    },
    source::{
        cell::{self, CELL_BYTES_MAX},
        error::{Error, cause},
    },
};

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
    /// The text without quotes that stands for null.
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
    records: Records,
    columns: Vec<Column>,
    /// Where each column stands in a record.
    fields: Vec<usize>,
    width: usize,
    /// Where the width is from.
    header: &'static str,
    record: Record,
    /// Whether the record is one, and not the end of the file.
    has_record: bool,
    /// Whether the record is still to be given.
    is_ahead: bool,
    null: Option<String>,
}

impl CsvReader {
    /// Reads the header line and the first record. `chosen` are the columns wanted; `None` means all.
    pub(super) fn open(
        content: &Arc<Content>,
        options: &CsvOptions,
        chosen: Option<&[String]>,
    ) -> Result<Self, Error> {
        let input = decompressed(content.name(), ContentReader::new(content, 0));
        let input = input.map_err(|_| content.explain("it cannot be decompressed"))?;
        let mut file = Self {
            content: Arc::clone(content),
            records: Records::new(input, options),
            columns: Vec::new(),
            fields: Vec::new(),
            width: 0,
            header: "the source's csv.header names",
            record: Record::default(),
            has_record: false,
            is_ahead: true,
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
        // A header of another width is a fault of the columns, too.
        file.next_record()?;
        Ok(file)
    }

    /// The names in the header line.
    fn header(&mut self) -> Result<Vec<String>, Error> {
        if !self.records.read(&mut self.record).map_err(|reason| self.wrong(&reason))? {
            return Err(no_columns(&self.content, "it has no header line"));
        }
        if self.record.field(0).0.starts_with(b"\xff\xfe") || self.record.field(0).0.starts_with(b"\xfe\xff")
        {
            return Err(self.content.explain("it is in UTF-16").with_hint("convert it to UTF-8"));
        }
        self.header = "the first line has";
        let mut header: Vec<String> = Vec::new();
        for at in 0..self.record.len() {
            // A file without a header line has values here, so messages give positions instead of names.
            match std::str::from_utf8(self.record.field(at).0) {
                Ok("") | Err(_) => {
                    return Err(self.wrong(&format!("column {} has no name in UTF-8", at + 1)));
                }
                Ok(name) => header.push(name.to_owned()),
            }
        }
        Ok(header)
    }

    /// Reads the next record, if there is one.
    fn next_record(&mut self) -> Result<(), Error> {
        self.has_record = self.records.read(&mut self.record).map_err(|reason| self.wrong(&reason))?;
        let (len, width) = (self.record.len(), self.width);
        if self.has_record && len != width {
            let (line, header) = (self.record.line, self.header);
            return Err(self.wrong(&format!("line {line} has {len} fields, {header} {width}")));
        }
        Ok(())
    }

    fn wrong(&self, reason: &str) -> Error {
        let fault = self.content.explain(reason);
        // No dialect helps against what cannot be decompressed.
        if fault.code() == cause::ANSWER_MALFORMED.code && !reason.starts_with("it cannot be read") {
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
        if !std::mem::take(&mut self.is_ahead) {
            self.next_record()?;
        }
        if !self.has_record {
            return Ok(false);
        }
        for &field in &self.fields {
            let (value, is_quoted) = self.record.field(field);
            batch.push_with(|out| match &self.null {
                Some(null) if !is_quoted && null.as_bytes() == value => CellKind::Null,
                _ if value.len() > CELL_BYTES_MAX => cell::invalid(RejectReason::RecordTooLarge, out),
                _ => cell::text(value, out),
            });
        }
        Ok(true)
    }
}
