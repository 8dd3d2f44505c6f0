//! ClickHouse's types: what class a column has, and how its JSON becomes a cell.

use crate::{
    domain::{
        json::{self, Compactor},
        reject::RejectReason,
        row::{CellKind, Column, ColumnKind, RowBatch},
    },
    source::cell::{self, CELL_BYTES_MAX},
};

/// How a value of a column is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Boolean,
    Integer,
    /// All digits as they are.
    Decimal,
    Float,
    Single,
    Text,
    /// Padded with NUL characters to its length.
    FixedText,
    /// `DateTime64`: the fraction loses its trailing zeros.
    Moment,
    Uuid,
    Json,
    /// Decided value by value.
    Any,
}

/// The column of a name and a type.
pub(super) fn column(name: String, type_name: String) -> Column {
    let kind = match shape(&type_name).0 {
        Shape::Boolean => ColumnKind::Boolean,
        Shape::Integer => ColumnKind::Integer,
        Shape::Decimal | Shape::Float | Shape::Single => ColumnKind::Number,
        Shape::Text | Shape::FixedText | Shape::Moment => ColumnKind::Text,
        Shape::Uuid => ColumnKind::Uuid,
        Shape::Json => ColumnKind::Json,
        Shape::Any => ColumnKind::Any,
    };
    Column { name, kind, type_name }
}

/// How values of a type are read, and whether they can be null.
fn shape(type_name: &str) -> (Shape, bool) {
    let (name, arguments) = type_name
        .split_once('(')
        .map_or((type_name, ""), |(name, rest)| (name, rest.strip_suffix(')').unwrap_or(rest)));
    let shape = match name {
        "Nullable" => return (shape(arguments).0, true),
        "LowCardinality" => return shape(arguments),
        // The function's name, then the type.
        "SimpleAggregateFunction" => return shape(arguments.split_once(", ").map_or("", |(_, inner)| inner)),
        "Bool" => Shape::Boolean,
        "Float64" => Shape::Float,
        "Float32" | "BFloat16" => Shape::Single,
        "FixedString" => Shape::FixedText,
        "DateTime64" | "Time64" => Shape::Moment,
        "UUID" => Shape::Uuid,
        "Array" | "Tuple" | "Map" | "Nested" | "JSON" | "Object" | "Point" | "Ring" | "Polygon"
        | "MultiPolygon" | "LineString" | "MultiLineString" | "Geometry" => Shape::Json,
        "Variant" | "Dynamic" | "Nothing" => Shape::Any,
        _ if name.starts_with("Int") || name.starts_with("UInt") => Shape::Integer,
        _ if name.starts_with("Decimal") => Shape::Decimal,
        _ => Shape::Text,
    };
    (shape, false)
}

/// Reads the rows of one query.
pub(super) struct RowReader {
    /// The shape of each column, and whether it can be null.
    shapes: Vec<(Shape, bool)>,
    compactor: Compactor,
}

impl RowReader {
    pub(super) fn new(columns: &[Column]) -> Self {
        let shapes = columns.iter().map(|column| shape(&column.type_name)).collect();
        Self { shapes, compactor: Compactor::default() }
    }

    /// Appends the row of a line. Returns false, with an incomplete row, when it has another number of values.
    pub(super) fn read_row(&mut self, line: &[u8], batch: &mut RowBatch) -> bool {
        if !line.ends_with(b"]") {
            return false;
        }
        let mut values = json::elements(line);
        let Self { shapes, compactor } = self;
        for (shape, is_nullable) in shapes {
            let Some(value) = values.next() else { return false };
            if value == b"null" {
                // Not a number, or infinite.
                if !*is_nullable && matches!(shape, Shape::Float | Shape::Single) {
                    batch.count_nulled();
                }
                batch.push(CellKind::Null, b"");
            } else if value.len() > CELL_BYTES_MAX {
                batch.push_with(|out| cell::invalid(RejectReason::RecordTooLarge, out));
            } else {
                batch.push_with(|out| write(*shape, value, compactor, out));
            }
        }
        values.next().is_none()
    }

    /// Appends a row that is too large to be served.
    pub(super) fn reject_row(&self, batch: &mut RowBatch) {
        for _ in &self.shapes {
            batch.push_with(|out| cell::invalid(RejectReason::RecordTooLarge, out));
        }
    }
}

fn write(shape: Shape, value: &[u8], compactor: &mut Compactor, out: &mut Vec<u8>) -> CellKind {
    match shape {
        Shape::Boolean => cell::boolean(value == b"true", out),
        Shape::Integer => number(unquoted(value), CellKind::Integer, out),
        Shape::Decimal => number(unquoted(value), CellKind::Number, out),
        Shape::Float => float(value, out, cell::double),
        Shape::Single => float(value, out, cell::single),
        Shape::Text | Shape::Uuid => text(value, out, |text| text),
        Shape::FixedText => text(value, out, |text| text.trim_end_matches('\0')),
        Shape::Moment => moment(value, out),
        Shape::Json => cell::json(value, compactor, out),
        Shape::Any => write(shape_of(value), value, compactor, out),
    }
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
    out: &mut Vec<u8>,
    write: fn(F, &mut Vec<u8>) -> Option<CellKind>,
) -> CellKind {
    let parsed = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    let kind = parsed.and_then(|parsed| write(parsed, out));
    kind.unwrap_or_else(|| cell::invalid(RejectReason::InvalidJson, out))
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
