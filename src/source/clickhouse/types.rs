//! ClickHouse's types: what class a column has, and how the JSON of its values is read.

use crate::{
    domain::{
        ErrorKind,
        limits::DEPTH_MAX,
        row::{Column, ColumnKind},
    },
    source::error::{Cause, Error, cause},
};

/// How a value of a type is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
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
    /// An array of values of the first part.
    Array,
    /// An array, or an object when it has names, of a value of each part.
    Tuple,
    /// An object: its keys have the first part's type, its values the second's.
    Map,
    /// As it is printed.
    Json,
    /// Decided value by value.
    Any,
    /// The state of an aggregation: bytes that only the engine reads.
    State,
}

/// A type, as far as it decides how a value is read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Type {
    pub(super) shape: Shape,
    pub(super) is_nullable: bool,
    /// The types of the values in it.
    pub(super) parts: Vec<Self>,
}

impl Type {
    /// The type that the server calls so.
    pub(super) fn parse(name: &str) -> Self {
        Self::at(name, 0)
    }

    fn at(full: &str, depth: usize) -> Self {
        let (name, arguments) = full
            .split_once('(')
            .map_or((full, ""), |(name, rest)| (name, rest.strip_suffix(')').unwrap_or(rest)));
        let arguments = split(arguments, ',').map(str::trim_start);
        let inner = |at: usize| Self::at(arguments.clone().nth(at).unwrap_or_default(), depth + 1);
        let shape = match name {
            // Deeper values are refused whatever their type is.
            _ if depth > DEPTH_MAX => Shape::Json,
            "Nullable" => return Self { is_nullable: true, ..inner(0) },
            "LowCardinality" => return inner(0),
            // The function's name, then the type.
            "SimpleAggregateFunction" => return inner(1),
            "Array" | "QBit" => return Self::of(Shape::Array, vec![inner(0)]),
            "Map" => return Self::of(Shape::Map, vec![inner(0), inner(1)]),
            "Tuple" => return Self::tuple(arguments, depth),
            "Nested" => return Self::of(Shape::Array, vec![Self::tuple(arguments, depth)]),
            "Bool" => Shape::Boolean,
            "Float64" => Shape::Float,
            "Float32" | "BFloat16" => Shape::Single,
            "FixedString" => Shape::FixedText,
            "DateTime64" | "Time64" => Shape::Moment,
            "UUID" => Shape::Uuid,
            "JSON" | "Object" | "Point" | "Ring" | "Polygon" | "MultiPolygon" | "LineString"
            | "MultiLineString" | "Geometry" => Shape::Json,
            "AggregateFunction" => Shape::State,
            "Variant" if arguments.clone().any(|part| Self::at(part, depth + 1).has_state()) => Shape::State,
            "Variant" | "Dynamic" | "Nothing" => Shape::Any,
            _ if name.starts_with("Int") || name.starts_with("UInt") => Shape::Integer,
            _ if name.starts_with("Decimal") => Shape::Decimal,
            _ => Shape::Text,
        };
        Self::of(shape, Vec::new())
    }

    fn of(shape: Shape, parts: Vec<Self>) -> Self {
        Self { shape, is_nullable: false, parts }
    }

    /// A tuple of `TYPE`, or of `NAME TYPE`.
    fn tuple<'a>(parts: impl Iterator<Item = &'a str>, depth: usize) -> Self {
        let parts = parts.filter(|part| !part.is_empty()).filter_map(|part| split(part, ' ').last());
        Self::of(Shape::Tuple, parts.map(|part| Self::at(part, depth + 1)).collect())
    }

    fn has_state(&self) -> bool {
        self.shape == Shape::State || self.parts.iter().any(Self::has_state)
    }

    /// The class of columns of this type.
    fn kind(&self) -> ColumnKind {
        match self.shape {
            Shape::Boolean => ColumnKind::Boolean,
            Shape::Integer => ColumnKind::Integer,
            Shape::Decimal | Shape::Float | Shape::Single => ColumnKind::Number,
            Shape::Text | Shape::FixedText | Shape::Moment => ColumnKind::Text,
            Shape::Uuid => ColumnKind::Uuid,
            Shape::Array | Shape::Tuple | Shape::Map | Shape::Json => ColumnKind::Json,
            Shape::Any | Shape::State => ColumnKind::Any,
        }
    }
}

/// The column of a name and a type, unless no record can have its values.
pub(super) fn column(name: String, type_name: String) -> Result<Column, Error> {
    let found = Type::parse(&type_name);
    if found.has_state() {
        let cause = Cause { kind: ErrorKind::Invalid, ..cause::QUERY_FAILED };
        let message =
            format!("column `{name}` is {type_name}: the state of an aggregation, which is no value");
        return Err(Error::new(cause, message)
            .with_hint("write `finalizeAggregation(column)` in the model's SQL, or leave the column out"));
    }
    Ok(Column { name, kind: found.kind(), type_name })
}

/// The parts of a text between separators that stand in no parentheses and no quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> + Clone {
    let (mut depth, mut quote, mut is_escaped) = (0_usize, None, false);
    text.split(move |letter: char| {
        match (quote, letter) {
            _ if is_escaped => is_escaped = false,
            (Some(_), '\\') => is_escaped = true,
            (Some(open), _) => quote = quote.filter(|_| letter != open),
            (None, '\'' | '`' | '"') => quote = Some(letter),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            (None, _) => return depth == 0 && letter == separator,
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A type in short: the letter of its shape, `?` when nullable, its parts.
    fn short(found: &Type) -> String {
        let letter = format!("{:?}", found.shape);
        let parts: Vec<String> = found.parts.iter().map(short).collect();
        let parts = if parts.is_empty() { String::new() } else { format!("({})", parts.join(",")) };
        format!("{letter}{}{parts}", if found.is_nullable { "?" } else { "" })
    }

    #[test]
    fn names_of_types_are_read_with_what_is_in_them() {
        for (name, expected) in [
            ("Nullable(FixedString(4))", "FixedText?"),
            ("LowCardinality(Nullable(String))", "Text?"),
            ("Array(Array(Nullable(Float32)))", "Array(Array(Single?))"),
            ("Map(LowCardinality(String), Array(DateTime64(3, 'UTC')))", "Map(Text,Array(Moment))"),
            ("Tuple(UInt8, Decimal(10, 2))", "Tuple(Integer,Decimal)"),
            ("Tuple(a UInt8, `b, ( c` Nullable(FixedString(2)))", "Tuple(Integer,FixedText?)"),
            ("Tuple(Enum8('a, (' = 1, 'it\\'s )' = 2), Bool)", "Tuple(Text,Boolean)"),
            ("Nested(id UInt64, at DateTime64(6))", "Array(Tuple(Integer,Moment))"),
            ("SimpleAggregateFunction(max, Nullable(Float64))", "Float?"),
            ("Variant(FixedString(2), UInt8)", "Any"),
            ("QBit(Float32, 16)", "Array(Single)"),
            ("Map(String, AggregateFunction(sum, Int64))", "Map(Text,State)"),
            ("Variant(String, Array(AggregateFunction(count)))", "State"),
            ("Enum8('AggregateFunction(' = 1)", "Text"),
            ("JSON(max_dynamic_paths=8, a.b UInt32)", "Json"),
            ("Tuple()", "Tuple"),
            ("Array", "Array(Text)"),
            ("Array(Tuple(a ((((", "Array(Tuple(Text))"),
        ] {
            assert_eq!(short(&Type::parse(name)), expected, "{name}");
        }
        // A server that lies is no reason to run out of stack.
        let deep = Type::parse(&"Array(".repeat(100_000));
        assert_eq!(deep.kind(), ColumnKind::Json);
    }
}
