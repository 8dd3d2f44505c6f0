//! JSON lines: one JSON object a line. Its members are the columns.

use std::{
    io::{BufRead, Read as _},
    sync::Arc,
};

use indexmap::IndexMap;
use serde_json::value::RawValue;

use super::{
    RowReader,
    content::{Content, ContentReader},
    format::decompressed,
    no_columns,
};
use crate::{
    domain::{
        json::{self, Compactor},
        reject::RejectReason,
        row::{CellKind, Column, ColumnKind, RowBatch},
    },
    source::{
        cell::{self, ROW_BYTES_MAX},
        error::{Error, cause},
    },
};

/// Most bytes of one line.
const LINE_BYTES_MAX: usize = ROW_BYTES_MAX;

/// An open file.
pub(super) struct JsonLinesReader {
    content: Arc<Content>,
    lines: Box<dyn BufRead + Send>,
    line: u64,
    raw: Vec<u8>,
    /// The line in canonical form.
    object: Vec<u8>,
    compactor: Compactor,
    columns: Vec<Column>,
    /// The columns' names as canonical JSON has them.
    names: Vec<Vec<u8>>,
    /// Whether each member needs a column.
    is_whole: bool,
    /// Whether the line that is in `raw` is still to be read.
    has_line: bool,
}

impl JsonLinesReader {
    /// Opens a file. Without `chosen` columns the members of the first line are the columns.
    pub(super) fn open(
        content: &Arc<Content>,
        chosen: Option<&[String]>,
        is_whole: bool,
    ) -> Result<Self, Error> {
        let lines = decompressed(content.name(), ContentReader::new(content, 0));
        let lines = lines.map_err(|_| content.explain("it cannot be decompressed"))?;
        let mut reader = Self {
            content: Arc::clone(content),
            lines,
            line: 0,
            raw: Vec::new(),
            object: Vec::new(),
            compactor: Compactor::default(),
            columns: Vec::new(),
            names: Vec::new(),
            is_whole,
            has_line: false,
        };
        let names = match chosen {
            Some(chosen) => chosen.to_vec(),
            None => reader.members_of_first_line()?,
        };
        for name in names {
            let mut quoted = Vec::new();
            json::write_string(&mut quoted, name.as_bytes());
            reader.names.push(quoted);
            reader.columns.push(Column { name, kind: ColumnKind::Any, type_name: "json".to_owned() });
        }
        Ok(reader)
    }

    fn members_of_first_line(&mut self) -> Result<Vec<String>, Error> {
        if !self.next_line()? {
            return Err(no_columns(&self.content, "it has no line")
                .with_hint("name the columns in the model, as in columns = [\"id\"]"));
        }
        self.has_line = true;
        if self.read_object()?.is_none() {
            let members = json::members(&self.object);
            return Ok(members.filter_map(|(name, _)| Some(json::unescaped(name)?.into_owned())).collect());
        }
        let text = String::from_utf8_lossy(&self.raw);
        let names = members(&text).map(|members| members.into_keys().collect());
        names.ok_or_else(|| self.wrong("line 1 is not one JSON object"))
    }

    /// Reads the next line that is not empty into `raw`; false at the end of the file.
    fn next_line(&mut self) -> Result<bool, Error> {
        loop {
            self.raw.clear();
            let mut bounded = (&mut self.lines).take(LINE_BYTES_MAX as u64 + 1);
            let read = bounded.read_until(b'\n', &mut self.raw);
            if read.map_err(|_| self.unreadable())? == 0 {
                return Ok(false);
            }
            self.line += 1;
            if self.raw.len() > LINE_BYTES_MAX {
                let reason = format!("line {} has more than {LINE_BYTES_MAX} bytes", self.line);
                return Err(self.wrong(&reason));
            }
            if !self.raw.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    /// Makes `object` of the line, or gives the reason why no record can be made of it.
    fn read_object(&mut self) -> Result<Option<RejectReason>, Error> {
        let raw = self.raw.strip_prefix(b"\xef\xbb\xbf").filter(|_| self.line == 1).unwrap_or(&self.raw);
        self.object.clear();
        match self.compactor.compact(raw, &mut self.object) {
            Ok(_) if self.object.first() == Some(&b'{') => Ok(None),
            // JSON that holds what no record may hold, such as `\u0000`.
            Err(RejectReason::InvalidJson)
                if serde_json::from_slice::<serde::de::IgnoredAny>(raw).is_ok() =>
            {
                Ok(Some(RejectReason::InvalidJson))
            }
            Ok(_) | Err(RejectReason::InvalidJson) => {
                let reason = format!("line {} is not one JSON object", self.line);
                Err(self.wrong(&reason))
            }
            Err(reason) => Ok(Some(reason)),
        }
    }

    /// Refuses a line with a member that is no column.
    fn check_members(&self) -> Result<(), Error> {
        let mut members = json::members(&self.object);
        let Some((name, _)) = members.find(|(name, _)| !self.names.iter().any(|known| known == name)) else {
            return Ok(());
        };
        let message = format!(
            "line {} of {} has a member {}, which is no column: the first line does not have it",
            self.line,
            self.content.name(),
            String::from_utf8_lossy(name)
        );
        Err(Error::new(cause::UNKNOWN_COLUMN, message)
            .with_hint("name the columns in the model, as in columns = [\"id\", \"name\"]"))
    }

    /// Appends the members of a line of which no record can be made, for `reason`: those that a record may hold as they are, so
    /// that the key of the row is known and its served record stays.
    fn push_each(&mut self, reason: RejectReason, batch: &mut RowBatch) {
        let text = String::from_utf8_lossy(&self.raw);
        let members = members(&text);
        for column in &self.columns {
            let value = match &members {
                Some(members) => members.get(&column.name).map_or("null", |value| value.get()),
                None => "",
            };
            self.object.clear();
            let compacted = match self.compactor.compact(value.as_bytes(), &mut self.object) {
                // In place of bytes that are no text.
                Ok(_) if value.contains('\u{fffd}') => Err(RejectReason::InvalidText),
                Err(RejectReason::InvalidJson) if value.is_empty() => Err(reason),
                compacted => compacted.map(drop),
            };
            batch.push_with(|out| match compacted {
                Ok(()) => push_value(&self.object, out),
                Err(reason) => cell::invalid(reason, out),
            });
        }
    }

    fn unreadable(&self) -> Error {
        self.content.explain(&format!("it cannot be read, or decompressed, after line {}", self.line))
    }

    fn wrong(&self, reason: &str) -> Error {
        let fault = self.content.explain(reason);
        if fault.code() == cause::ANSWER_MALFORMED.code {
            return fault.with_hint("check that every line is one JSON object");
        }
        fault
    }
}

/// The members of a JSON object that need not be good for a record.
fn members(text: &str) -> Option<IndexMap<String, &RawValue>> {
    serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()
}

impl RowReader for JsonLinesReader {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn width(&self) -> Option<usize> {
        None
    }

    fn read_row(&mut self, batch: &mut RowBatch) -> Result<bool, Error> {
        if !std::mem::take(&mut self.has_line) && !self.next_line()? {
            return Ok(false);
        }
        if let Some(reason) = self.read_object()? {
            self.push_each(reason, batch);
            return Ok(true);
        }
        if self.is_whole {
            self.check_members()?;
        }
        for name in &self.names {
            let value = json::members(&self.object).find(|(found, _)| found == name).map(|(_, value)| value);
            batch.push_with(|out| push_value(value.unwrap_or(b"null"), out));
        }
        Ok(true)
    }
}

/// Appends a value of canonical JSON as the text of a cell.
fn push_value(value: &[u8], out: &mut Vec<u8>) -> CellKind {
    match value.first() {
        None | Some(b'n') => return CellKind::Null,
        Some(b'"') => {
            json::read_string(value, out);
            return CellKind::Text;
        }
        _ => out.extend_from_slice(value),
    }
    match value.first() {
        Some(b't' | b'f') => CellKind::Boolean,
        Some(b'{' | b'[') => CellKind::Json,
        _ if value.contains(&b'.') => CellKind::Number,
        _ => CellKind::Integer,
    }
}
