//! Values of Trino as cells: JSON that its protocol has, and text that others print.

use std::borrow::Cow;

use chrono::TimeZone as _;
use serde_json::value::RawValue;

use super::types::{Shape, shape};
use crate::{
    domain::{
        json::{self, Compactor},
        reject::RejectReason,
        row::{CellKind, Column, RowBatch},
    },
    source::{
        cell::{self, RowWriter},
        error::{Error, malformed},
    },
};

/// Reads the rows of one query.
pub(super) struct RowReader {
    shapes: Vec<Shape>,
    compactor: Compactor,
    buffer: Vec<u8>,
}

impl RowReader {
    pub(super) fn new(columns: &[Column]) -> Self {
        let shapes = columns.iter().map(|column| shape(&column.type_name)).collect();
        Self { shapes, compactor: Compactor::default(), buffer: Vec::new() }
    }

    /// Appends a row.
    pub(super) fn read_row(&mut self, row: &[&RawValue], batch: &mut RowBatch) -> Result<(), Error> {
        if row.len() != self.shapes.len() {
            return Err(malformed("a row has not as many values as there are columns"));
        }
        let mut writer = RowWriter::new(batch);
        let Self { shapes, compactor, buffer } = self;
        for (shape, value) in shapes.iter().zip(row) {
            let value = value.get().as_bytes();
            if value == b"null" {
                writer.null();
            } else {
                writer.value(value.len(), |out| write(shape, value, compactor, buffer, out));
            }
        }
        Ok(())
    }
}

/// Reads values that are printed as text, and JSON where they hold others.
pub(in crate::source) struct PrintedReader {
    shapes: Vec<Shape>,
    compactor: Compactor,
}

impl PrintedReader {
    pub(in crate::source) fn new(columns: &[Column]) -> Self {
        let shapes = columns.iter().map(|column| shape(&column.type_name)).collect();
        Self { shapes, compactor: Compactor::default() }
    }

    /// Appends a row of as many values as there are columns.
    pub(in crate::source) fn read_row<'a>(
        &mut self,
        row: impl Iterator<Item = Option<&'a str>>,
        batch: &mut RowBatch,
    ) {
        let mut writer = RowWriter::new(batch);
        for (shape, value) in self.shapes.iter().zip(row) {
            let Some(text) = value else {
                writer.null();
                continue;
            };
            let compactor = &mut self.compactor;
            writer.value(text.len(), |out| match shape {
                Shape::Json | Shape::Array(_) | Shape::Map(_) | Shape::Row(_) => {
                    Some(cell::json(text.as_bytes(), compactor, out))
                }
                shape => printed(shape, text, out),
            });
        }
    }
}

/// Appends a value that is not null; `None` for one that a record cannot express.
fn write(
    shape: &Shape,
    value: &[u8],
    compactor: &mut Compactor,
    buffer: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Option<CellKind> {
    match shape {
        Shape::Array(_) | Shape::Map(_) | Shape::Row(_) => {
            let mut compact = Vec::new();
            if let Err(reason) = compactor.compact(value, &mut compact) {
                return Some(cell::invalid(reason, out));
            }
            buffer.clear();
            if let Err(reason) = write_json(shape, &compact, buffer) {
                return Some(cell::invalid(reason, out));
            }
            Some(cell::json(buffer, compactor, out))
        }
        Shape::Json => Some(match json::unescaped(value) {
            Some(text) => cell::json(text.as_bytes(), compactor, out),
            None => cell::invalid(RejectReason::InvalidJson, out),
        }),
        shape => scalar(shape, value, out),
    }
}

/// Appends a value of a type that holds no others.
fn scalar(shape: &Shape, value: &[u8], out: &mut Vec<u8>) -> Option<CellKind> {
    let text = if value.first() == Some(&b'"') {
        match serde_json::from_slice::<String>(value) {
            Ok(text) => Cow::Owned(text),
            Err(_) => return Some(cell::invalid(RejectReason::InvalidText, out)),
        }
    } else {
        String::from_utf8_lossy(value)
    };
    printed(shape, &text, out)
}

/// Appends a value that is printed as text, of a type that holds no others.
fn printed(shape: &Shape, text: &str, out: &mut Vec<u8>) -> Option<CellKind> {
    let invalid = |out: &mut Vec<u8>| Some(cell::invalid(RejectReason::InvalidJson, out));
    match shape {
        Shape::Boolean => Some(cell::boolean(text == "true", out)),
        Shape::Integer | Shape::Decimal => cell::number(text.as_bytes(), out).or_else(|| invalid(out)),
        Shape::Double => match text.parse() {
            Ok(value) => cell::double(value, out),
            Err(_) => invalid(out),
        },
        Shape::Real => match text.parse() {
            Ok(value) => cell::single(value, out),
            Err(_) => invalid(out),
        },
        Shape::Moment => cell::printed_moment(text, "", out),
        Shape::ZonedMoment => zoned_moment(text, out),
        Shape::Time => {
            let text =
                if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
            Some(cell::text(text.as_bytes(), out))
        }
        _ => Some(cell::text(text.as_bytes(), out)),
    }
}

/// A moment with the name or the offset of a zone behind it, in UTC.
fn zoned_moment(text: &str, out: &mut Vec<u8>) -> Option<CellKind> {
    let (local, zone) = text.rsplit_once(' ')?;
    let offset = cell::offset(zone).or_else(|| {
        let whole = chrono::NaiveDateTime::parse_from_str(local.get(..19)?, "%Y-%m-%d %H:%M:%S").ok()?;
        // Of an hour that occurs twice the server does not tell which it means.
        let zoned = zone.parse::<chrono_tz::Tz>().ok()?.from_local_datetime(&whole).earliest()?;
        Some(whole - zoned.naive_utc())
    });
    cell::printed_moment_at(local, offset?, out)
}

/// Appends a value of compact JSON as the JSON that is served.
fn write_json(shape: &Shape, value: &[u8], out: &mut Vec<u8>) -> Result<(), RejectReason> {
    if value == b"null" {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    match shape {
        Shape::Array(element) => {
            let elements = json::elements(value).map(|value| (None, &**element, value));
            container(*b"[]", elements, out)
        }
        Shape::Map(element) => {
            let members = json::members(value).map(|(key, value)| (Some(key), &**element, value));
            container(*b"{}", members, out)
        }
        Shape::Row(fields) if fields.iter().all(|(name, _)| name.is_some()) => {
            let fields = fields.iter().zip(json::elements(value));
            container(*b"{}", fields.map(|((name, shape), value)| (name.as_deref(), shape, value)), out)
        }
        Shape::Row(fields) => {
            let fields = fields.iter().zip(json::elements(value));
            container(*b"[]", fields.map(|((_, shape), value)| (None, shape, value)), out)
        }
        Shape::Json => {
            let text = json::unescaped(value).ok_or(RejectReason::InvalidJson)?;
            out.extend_from_slice(text.as_bytes());
            Ok(())
        }
        shape => {
            let mut text = Vec::new();
            match scalar(shape, value, &mut text) {
                None => out.extend_from_slice(b"null"),
                Some(CellKind::Text) => json::write_string(out, &text),
                Some(CellKind::Invalid) => return Err(RejectReason::InvalidJson),
                Some(_) => out.extend_from_slice(&text),
            }
            Ok(())
        }
    }
}

/// Appends what stands between `brackets`, each with its key where there is one.
fn container<'a>(
    brackets: [u8; 2],
    parts: impl Iterator<Item = (Option<&'a [u8]>, &'a Shape, &'a [u8])>,
    out: &mut Vec<u8>,
) -> Result<(), RejectReason> {
    out.push(brackets[0]);
    for (at, (key, shape, value)) in parts.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        if let Some(key) = key {
            out.extend_from_slice(key);
            out.push(b':');
        }
        write_json(shape, value, out)?;
    }
    out.push(brackets[1]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::row::ColumnKind;

    fn served(type_name: &str, value: &str) -> Option<(CellKind, String)> {
        let mut out = Vec::new();
        let (mut compactor, mut buffer) = (Compactor::default(), Vec::new());
        let kind = write(&shape(type_name), value.as_bytes(), &mut compactor, &mut buffer, &mut out)?;
        Some((kind, String::from_utf8(out).unwrap()))
    }

    #[test]
    fn values_are_read_by_their_types() {
        use CellKind::{Boolean, Integer, Invalid, Json, Number, Text};
        for (type_name, value, expected) in [
            ("boolean", "true", Some((Boolean, "true"))),
            ("bigint", "-9223372036854775808", Some((Integer, "-9223372036854775808"))),
            (
                "decimal(38,2)",
                "\"-123456789012345678901234567890123456.50\"",
                Some((Number, "-123456789012345678901234567890123456.50")),
            ),
            ("decimal(3,0)", "\"12\"", Some((Integer, "12"))),
            ("double", "1.0E300", Some((Number, "1e+300"))),
            ("double", "\"NaN\"", None),
            ("double", "\"-Infinity\"", None),
            ("real", "1.1", Some((Number, "1.1"))),
            ("varchar(5)", "\"é \\\" \\ud83d\\ude00\"", Some((Text, "é \" 😀"))),
            ("varchar", "\"a\\u0000\"", Some((Invalid, "invalid_text"))),
            ("varbinary", "\"+//+\"", Some((Text, "+//+"))),
            ("date", "\"2024-02-29\"", Some((Text, "2024-02-29"))),
            ("time(6)", "\"01:02:03.100000\"", Some((Text, "01:02:03.1"))),
            ("time(0)", "\"10:00:00\"", Some((Text, "10:00:00"))),
            ("time(3) with time zone", "\"01:02:03.100+02:00\"", Some((Text, "01:02:03.100+02:00"))),
            (
                "timestamp(12)",
                "\"2024-07-01 12:00:00.123456789012\"",
                Some((Text, "2024-07-01T12:00:00.123456789012")),
            ),
            ("timestamp(3)", "\"2024-07-01 12:00:00.000\"", Some((Text, "2024-07-01T12:00:00"))),
            ("timestamp(3)", "\"+12024-07-01 12:00:00.000\"", None),
            (
                "timestamp(3) with time zone",
                "\"2024-07-01 12:00:00.500 UTC\"",
                Some((Text, "2024-07-01T12:00:00.5Z")),
            ),
            (
                "timestamp(0) with time zone",
                "\"2024-07-01 12:00:00 Europe/Berlin\"",
                Some((Text, "2024-07-01T10:00:00Z")),
            ),
            (
                "timestamp(0) with time zone",
                "\"2024-07-01 12:00:00 -05:30\"",
                Some((Text, "2024-07-01T17:30:00Z")),
            ),
            (
                "uuid",
                "\"12151fd2-7586-11e9-8f9e-2a86e4085a59\"",
                Some((Text, "12151fd2-7586-11e9-8f9e-2a86e4085a59")),
            ),
            ("json", "\"{\\\"a\\\": 1.50}\"", Some((Json, "{\"a\":1.50}"))),
            ("json", "\"7\"", Some((Json, "7"))),
            ("interval day to second", "\"2 03:04:05.321\"", Some((Text, "2 03:04:05.321"))),
            ("array(bigint)", "[1, null, 9223372036854775807]", Some((Json, "[1,null,9223372036854775807]"))),
            (
                "array(timestamp(3) with time zone)",
                "[\"2024-07-01 12:00:00.000 UTC\"]",
                Some((Json, "[\"2024-07-01T12:00:00Z\"]")),
            ),
            ("map(varchar(3), array(decimal(5,2)))", "{\"k\":[\"1.50\"]}", Some((Json, "{\"k\":[1.50]}"))),
            (
                "row(id bigint, \"odd \"\"(name\" varchar(10), x row(double, json))",
                "[1,\"a\",[\"NaN\",\"[2]\"]]",
                Some((Json, "{\"id\":1,\"odd \\\"(name\":\"a\",\"x\":[null,[2]]}")),
            ),
            ("row(bigint, interval year to month)", "[1,\"2-3\"]", Some((Json, "[1,\"2-3\"]"))),
            (
                "row(t timestamp(3), u time(3) with time zone)",
                "[\"2024-07-01 12:00:00.000\",null]",
                Some((Json, "{\"t\":\"2024-07-01T12:00:00\",\"u\":null}")),
            ),
        ] {
            let expected = expected.map(|(kind, text)| (kind, text.to_owned()));
            assert_eq!(served(type_name, value), expected, "{type_name}: {value}");
        }
    }

    #[test]
    fn null_is_not_a_value_that_was_turned_into_null() {
        let column =
            Column { name: "a".to_owned(), kind: ColumnKind::Number, type_name: "double".to_owned() };
        let mut batch = RowBatch::new(1);
        for value in ["null", "\"NaN\"", "1.5"] {
            let value: &RawValue = serde_json::from_str(value).unwrap();
            RowReader::new(std::slice::from_ref(&column)).read_row(&[value], &mut batch).unwrap();
        }
        let kinds = [0, 1, 2].map(|row| batch.cell(row, 0).0);
        assert_eq!((kinds, batch.nulled()), ([CellKind::Null, CellKind::Null, CellKind::Number], 1));
    }
}
