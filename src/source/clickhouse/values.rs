//! The values of a row: how ClickHouse's JSON becomes cells.

use super::types::{Shape, Type};
use crate::{
    domain::{
        json::{self, Compactor},
        reject::RejectReason,
        row::{CellKind, Column, RowBatch},
    },
    source::cell::{self, CELL_BYTES_MAX},
};

/// Reads the rows of one query.
pub(super) struct RowReader {
    columns: Vec<ColumnReader>,
    state: State,
}

/// What readers of one query share.
#[derive(Default)]
struct State {
    compactor: Compactor,
    /// Floats without a number, turned into null.
    nulled: u64,
}

struct ColumnReader {
    column_type: Type,
    /// Whether values in its values are not read as they are printed.
    differs: bool,
    /// Whether a null in its values may have been a float without a number.
    has_floats: bool,
}

impl RowReader {
    pub(super) fn new(columns: &[Column]) -> Self {
        let columns = columns.iter().map(|column| {
            let column_type = Type::parse(&column.type_name);
            let (differs, has_floats) = (differs_inside(&column_type), has_floats_inside(&column_type));
            ColumnReader { column_type, differs, has_floats }
        });
        Self { columns: columns.collect(), state: State::default() }
    }

    /// Appends the row of a line. Returns false, with an incomplete row, when it has another number of values.
    pub(super) fn read_row(&mut self, line: &[u8], batch: &mut RowBatch) -> bool {
        if !line.ends_with(b"]") {
            return false;
        }
        let mut values = json::elements(line);
        let Self { columns, state } = self;
        for column in columns {
            let Some(value) = values.next() else { return false };
            batch.push_with(|out| column.read(value, state, out));
        }
        for _ in 0..std::mem::take(&mut state.nulled) {
            batch.count_nulled();
        }
        values.next().is_none()
    }

    /// Appends a row that is too large to be served.
    pub(super) fn reject_row(&self, batch: &mut RowBatch) {
        for _ in &self.columns {
            batch.push_with(|out| cell::invalid(RejectReason::RecordTooLarge, out));
        }
    }
}

impl ColumnReader {
    fn read(&self, value: &[u8], state: &mut State, out: &mut Vec<u8>) -> CellKind {
        if value.len() > CELL_BYTES_MAX {
            return cell::invalid(RejectReason::RecordTooLarge, out);
        }
        // Of a `QBit`, NaN and infinities are printed as such.
        let may_be_nulled = || {
            let is_in = |word: &&str| memchr::memmem::find(value, word.as_bytes()).is_some();
            self.has_floats && ["null", "nan", "inf"].iter().any(is_in)
        };
        if value == b"null" || !(self.differs || may_be_nulled()) {
            return write(&self.column_type, value, state, out);
        }
        let mut rewritten = Vec::with_capacity(value.len());
        match rewrite(&self.column_type, value, state, &mut rewritten) {
            Ok(()) => cell::json(&rewritten, &mut state.compactor, out),
            Err(reason) => {
                out.extend_from_slice(&reason);
                CellKind::Invalid
            }
        }
    }
}

fn is_float(found: &Type) -> bool {
    matches!(found.shape, Shape::Float | Shape::Single)
}

fn differs_inside(found: &Type) -> bool {
    let has_float_keys = found.shape == Shape::Map && found.parts.first().is_some_and(is_float);
    has_float_keys
        || found
            .parts
            .iter()
            .any(|part| matches!(part.shape, Shape::FixedText | Shape::Moment) || differs_inside(part))
}

fn has_floats_inside(found: &Type) -> bool {
    found.parts.iter().any(|part| is_float(part) && !part.is_nullable || has_floats_inside(part))
}

/// Appends the value of a cell.
fn write(found: &Type, value: &[u8], state: &mut State, out: &mut Vec<u8>) -> CellKind {
    if value == b"null" {
        // Not a number, or infinite.
        state.nulled += u64::from(is_float(found) && !found.is_nullable);
        return CellKind::Null;
    }
    let shape = if found.shape == Shape::Any { shape_of(value) } else { found.shape };
    match shape {
        Shape::Boolean => cell::boolean(value == b"true", out),
        Shape::Integer => number(unquoted(value), CellKind::Integer, out),
        Shape::Decimal => number(unquoted(value), CellKind::Number, out),
        Shape::Float => float(value, state, out, cell::double),
        Shape::Single => float(value, state, out, cell::single),
        Shape::Text | Shape::Uuid => text(value, out, |text| text),
        Shape::FixedText => text(value, out, |text| text.trim_end_matches('\0')),
        Shape::Moment => moment(value, out),
        Shape::Array | Shape::Tuple | Shape::Map | Shape::Json | Shape::Any | Shape::State => {
            cell::json(value, &mut state.compactor, out)
        }
    }
}

/// Appends a value within a nested one, as JSON, with every part as a cell of its type would be; an error is the reason
/// why it cannot be served.
fn rewrite(found: &Type, value: &[u8], state: &mut State, out: &mut Vec<u8>) -> Result<(), Vec<u8>> {
    match (found.shape, &*found.parts, value.first()) {
        (Shape::Array, [part], Some(b'[')) => {
            let parts = json::elements(value).map(|value| (None, part, value));
            container(*b"[]", parts, state, out)
        }
        (Shape::Tuple, parts, Some(b'[')) => {
            let parts = json::elements(value).zip(parts).map(|(value, part)| (None, part, value));
            container(*b"[]", parts, state, out)
        }
        (Shape::Tuple, parts, Some(b'{')) => {
            let parts = json::members(value).zip(parts).map(|((key, value), part)| (Some(key), part, value));
            container(*b"{}", parts, state, out)
        }
        (Shape::Map, [key_type, part], Some(b'{')) => {
            let mut keys = Vec::new();
            for (key, _) in json::members(value) {
                keys.push(map_key(key_type, key, state)?);
            }
            let parts = json::members(value).zip(&keys).map(|((_, value), key)| (Some(&**key), part, value));
            container(*b"{}", parts, state, out)
        }
        _ => part(found, value, state, out),
    }
}

/// The key of a map, as JSON. NaN and infinities, which would be one key, have no text in JSON.
fn map_key(found: &Type, key: &[u8], state: &mut State) -> Result<Vec<u8>, Vec<u8>> {
    let is_finite = |text: &str| text.parse().is_ok_and(f64::is_finite);
    match found.shape {
        Shape::Float | Shape::Single if !std::str::from_utf8(unquoted(key)).is_ok_and(is_finite) => {
            Err(RejectReason::InvalidValue.code().as_bytes().to_vec())
        }
        Shape::FixedText | Shape::Moment => {
            let mut text = Vec::new();
            part(found, key, state, &mut text)?;
            Ok(text)
        }
        _ => Ok(key.to_vec()),
    }
}

/// Appends an array or an object of parts.
fn container<'a>(
    brackets: [u8; 2],
    parts: impl Iterator<Item = (Option<&'a [u8]>, &'a Type, &'a [u8])>,
    state: &mut State,
    out: &mut Vec<u8>,
) -> Result<(), Vec<u8>> {
    out.push(brackets[0]);
    for (at, (key, part, value)) in parts.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        if let Some(key) = key {
            out.extend_from_slice(key);
            out.push(b':');
        }
        rewrite(part, value, state, out)?;
    }
    out.push(brackets[1]);
    Ok(())
}

/// Appends a value that holds no others.
fn part(found: &Type, value: &[u8], state: &mut State, out: &mut Vec<u8>) -> Result<(), Vec<u8>> {
    let from = out.len();
    match write(found, value, state, out) {
        CellKind::Null => out.extend_from_slice(b"null"),
        CellKind::Text => {
            let text = out.split_off(from);
            json::write_string(out, &text);
        }
        CellKind::Invalid => return Err(out.split_off(from)),
        CellKind::Boolean | CellKind::Integer | CellKind::Number | CellKind::Json => {}
    }
    Ok(())
}

/// How one value of a column without a type is read.
fn shape_of(value: &[u8]) -> Shape {
    match value.first() {
        Some(b'"') => Shape::Text,
        Some(b't' | b'f') => Shape::Boolean,
        Some(b'-' | b'0'..=b'9') if value.iter().any(|byte| b".eE".contains(byte)) => Shape::Decimal,
        Some(b'-' | b'0'..=b'9') => Shape::Integer,
        _ => Shape::Json,
    }
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

fn number(value: &[u8], kind: CellKind, out: &mut Vec<u8>) -> CellKind {
    let from = out.len();
    match json::number(value, out) {
        Ok(length) if length == value.len() => kind,
        _ => {
            out.truncate(from);
            cell::invalid(RejectReason::InvalidJson, out)
        }
    }
}

fn float<F: std::str::FromStr>(
    value: &[u8],
    state: &mut State,
    out: &mut Vec<u8>,
    write: fn(F, &mut Vec<u8>) -> Option<CellKind>,
) -> CellKind {
    let Some(parsed) = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()) else {
        return cell::invalid(RejectReason::InvalidJson, out);
    };
    write(parsed, out).unwrap_or_else(|| {
        state.nulled += 1;
        CellKind::Null
    })
}

/// The part of a string that `part` gives.
fn text(value: &[u8], out: &mut Vec<u8>, part: impl Fn(&str) -> &str) -> CellKind {
    if memchr::memchr(b'\\', value).is_none() {
        return match std::str::from_utf8(unquoted(value)) {
            Ok(text) => cell::text(part(text).as_bytes(), out),
            Err(_) => cell::invalid(RejectReason::InvalidText, out),
        };
    }
    match serde_json::from_slice::<String>(value) {
        Ok(text) => cell::text(part(&text).as_bytes(), out),
        Err(_) => cell::invalid(RejectReason::InvalidText, out),
    }
}

/// A moment without the zeros at the end of its fraction.
fn moment(value: &[u8], out: &mut Vec<u8>) -> CellKind {
    let text = unquoted(value);
    let (text, zone) = text.strip_suffix(b"Z").map_or((text, &b""[..]), |text| (text, b"Z"));
    let mut end = text.len();
    if text.contains(&b'.') {
        end = text.iter().rposition(|byte| *byte != b'0').map_or(0, |last| last + 1);
        end -= usize::from(text[..end].ends_with(b"."));
    }
    cell::text(&[&text[..end], zone].concat(), out)
}
