//! Trino's types: what class a column has, and how its values are read. The names of a row's fields are in its type alone.

use crate::domain::{
    json,
    row::{Column, ColumnKind},
};

/// Most types that stand in each other: deeper values are too deep for a record.
const DEPTH_MAX: usize = 100;

/// How a value is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
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

pub(super) fn shape(type_name: &str) -> Shape {
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

#[cfg(test)]
mod tests {
    use super::*;

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
