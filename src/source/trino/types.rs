//! Trino's types: what class a column has, and how its JSON becomes a cell. Rows come as arrays; the names of their
//! fields are in the type alone.

use std::borrow::Cow;

use chrono::TimeZone as _;
use serde_json::value::RawValue;

use crate::{
    domain::{
        json::{self, Compactor},
        reject::RejectReason,
        row::{CellKind, Column, ColumnKind, RowBatch},
    },
    source::{
        cell::{self, CELL_BYTES_MAX, ROW_BYTES_MAX},
        error::{Error, malformed},
    },
};

/// Most types that stand in each other: deeper values are too deep for a record.
const DEPTH_MAX: usize = 100;

/// How a value is read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    Boolean,
    Integer,
    /// A string of all digits.
    Decimal,
    Double,
    Real,
    Text,
    /// The fraction loses its trailing zeros.
    Moment,
    ZonedMoment,
    Time,
    Uuid,
    /// A string that holds JSON.
    Json,
    Array(Box<Self>),
    Map(Box<Self>),
    /// Fields with their names, as JSON strings; a field may have none.
    Row(Vec<(Option<Vec<u8>>, Self)>),
}

/// The column of a name and a type.
pub(in crate::source) fn column(name: String, type_name: String) -> Column {
    let kind = match shape(&type_name) {
        Shape::Boolean => ColumnKind::Boolean,
        Shape::Integer => ColumnKind::Integer,
        Shape::Decimal if type_name.ends_with(",0)") => ColumnKind::Integer,
        Shape::Decimal | Shape::Double | Shape::Real => ColumnKind::Number,
        Shape::Text | Shape::Moment | Shape::ZonedMoment | Shape::Time => ColumnKind::Text,
        Shape::Uuid => ColumnKind::Uuid,
        Shape::Json | Shape::Array(_) | Shape::Map(_) | Shape::Row(_) => ColumnKind::Json,
    };
    Column { name, kind, type_name }
}

/// Whether values of a type are moments with a time zone.
pub(super) fn is_zoned(type_name: &str) -> bool {
    shape(type_name) == Shape::ZonedMoment
}

fn shape(type_name: &str) -> Shape {
    Types { text: type_name, depth: 0 }.one()
}

/// Reads the name of a type.
struct Types<'a> {
    text: &'a str,
    depth: usize,
}

impl Types<'_> {
    /// The type at the start of the text.
    fn one(&mut self) -> Shape {
        let end = self.text.find(['(', ',', ')']).unwrap_or(self.text.len());
        let (name, rest) = self.text.split_at(end);
        self.text = rest;
        let name = name.trim();
        let is_open = self.text.starts_with('(');
        if matches!(name, "array" | "map" | "row") && is_open && self.depth < DEPTH_MAX {
            self.depth += 1;
            let shape = self.nested(name);
            self.depth -= 1;
            return shape;
        }
        if is_open {
            self.skip_arguments();
        }
        // `timestamp(3) with time zone`
        let end = self.text.find([',', ')']).unwrap_or(self.text.len());
        let (suffix, rest) = self.text.split_at(end);
        self.text = rest;
        let is_zoned = suffix.contains("with time zone") || name.contains("with time zone");
        match name.split(' ').next().unwrap_or_default() {
            "boolean" => Shape::Boolean,
            "tinyint" | "smallint" | "integer" | "bigint" => Shape::Integer,
            "decimal" | "number" => Shape::Decimal,
            "double" => Shape::Double,
            "real" => Shape::Real,
            "timestamp" if is_zoned => Shape::ZonedMoment,
            "timestamp" => Shape::Moment,
            "time" if !is_zoned => Shape::Time,
            "uuid" => Shape::Uuid,
            "json" => Shape::Json,
            // Athena does not tell what they hold.
            "array" => Shape::Array(Box::new(Shape::Text)),
            "map" => Shape::Map(Box::new(Shape::Text)),
            "row" => Shape::Row(Vec::new()),
            _ => Shape::Text,
        }
    }

    fn nested(&mut self, name: &str) -> Shape {
        let mut parts = Vec::new();
        while self.text.starts_with(['(', ',']) {
            self.text = self.text[1..].trim_start();
            let field = if name == "row" { self.field_name() } else { None };
            parts.push((field, self.one()));
        }
        self.text = self.text.strip_prefix(')').unwrap_or(self.text);
        match (name, parts.len()) {
            ("row", _) => Shape::Row(parts),
            ("array", 1) => Shape::Array(Box::new(parts.remove(0).1)),
            ("map", 2) => Shape::Map(Box::new(parts.remove(1).1)),
            _ => Shape::Text,
        }
    }

    /// The name before a field's type, as JSON has it: a word, or anything between quotes. A field may have none.
    fn field_name(&mut self) -> Option<Vec<u8>> {
        let quoted = |name: &str| {
            let mut json = Vec::new();
            json::write_string(&mut json, name.as_bytes());
            json
        };
        if let Some(rest) = self.text.strip_prefix('"') {
            let mut at = 0;
            loop {
                at += rest[at..].find('"')?;
                if !rest[at + 1..].starts_with('"') {
                    break;
                }
                at += 2;
            }
            self.text = rest[at + 1..].trim_start();
            return Some(quoted(&rest[..at].replace("\"\"", "\"")));
        }
        let end = self.text.find(['(', ',', ')']).unwrap_or(self.text.len());
        let (name, rest) = self.text[..end].split_once(' ')?;
        // `timestamp with time zone` and `interval day to second` are types of several words.
        if ["timestamp", "time", "interval", "double"].contains(&name)
            && ["with", "day", "year", "precision"].iter().any(|word| rest.starts_with(word))
        {
            return None;
        }
        self.text = self.text[name.len()..].trim_start();
        Some(quoted(name))
    }

    fn skip_arguments(&mut self) {
        let mut open = 0;
        let end = self.text.find(|character| {
            open += i32::from(character == '(') - i32::from(character == ')');
            open == 0
        });
        self.text = &self.text[end.map_or(self.text.len(), |end| end + 1)..];
    }
}

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
        let row_from = batch.bytes();
        let Self { shapes, compactor, buffer } = self;
        for (shape, value) in shapes.iter().zip(row) {
            let value = value.get().as_bytes();
            let has_room = batch.bytes() - row_from <= ROW_BYTES_MAX && value.len() <= CELL_BYTES_MAX;
            let mut is_nulled = false;
            batch.push_with(|out| {
                if !has_room {
                    return cell::invalid(RejectReason::RecordTooLarge, out);
                }
                write(shape, value, compactor, buffer, out).unwrap_or_else(|| {
                    is_nulled = value != b"null";
                    CellKind::Null
                })
            });
            if is_nulled {
                batch.count_nulled();
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
        let row_from = batch.bytes();
        for (shape, value) in self.shapes.iter().zip(row) {
            let Some(text) = value else {
                batch.push(CellKind::Null, b"");
                continue;
            };
            let has_room = batch.bytes() - row_from <= ROW_BYTES_MAX && text.len() <= CELL_BYTES_MAX;
            let compactor = &mut self.compactor;
            let mut is_nulled = false;
            batch.push_with(|out| match shape {
                _ if !has_room => cell::invalid(RejectReason::RecordTooLarge, out),
                Shape::Json | Shape::Array(_) | Shape::Map(_) | Shape::Row(_) => {
                    cell::json(text.as_bytes(), compactor, out)
                }
                shape => printed(shape, text, out).unwrap_or_else(|| {
                    is_nulled = true;
                    CellKind::Null
                }),
            });
            if is_nulled {
                batch.count_nulled();
            }
        }
    }
}

/// How a value of a type is selected, so that its text is all of it: nested values as JSON, bytes in base64, zoned
/// moments in UTC.
pub(in crate::source) fn printable(name: &str, type_name: &str) -> String {
    match shape(type_name) {
        Shape::ZonedMoment => format!("{name} at time zone 'UTC' as {name}"),
        Shape::Json => format!("json_format({name}) as {name}"),
        Shape::Array(_) | Shape::Map(_) | Shape::Row(_) => {
            format!("json_format(cast({name} as json)) as {name}")
        }
        _ if type_name == "varbinary" => format!("to_base64({name}) as {name}"),
        _ => name.to_owned(),
    }
}

/// Appends a value; `None` for null, and for one that a record cannot express.
fn write(
    shape: &Shape,
    value: &[u8],
    compactor: &mut Compactor,
    buffer: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Option<CellKind> {
    if value == b"null" {
        return None;
    }
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
            ("varchar", "null", None),
        ] {
            let expected = expected.map(|(kind, text)| (kind, text.to_owned()));
            assert_eq!(served(type_name, value), expected, "{type_name}: {value}");
        }
    }

    #[test]
    fn any_type_name_ends() {
        for name in
            ["", "row(", "row(\"", "map(a", "array(array(", "row(a", "x(((", ")", "row(\"a\"\"", "array()"]
        {
            shape(name);
        }
        shape(&"array(".repeat(100_000));
    }
}
