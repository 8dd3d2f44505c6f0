//! What a field of a schema says about its values, beside their Arrow type.

use arrow_schema::{DataType, Field};

use crate::domain::row::{Column, ColumnKind};

/// What texts and bytes of a field hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// What their Arrow type says.
    Plain,
    /// JSON.
    Json,
    /// A number with all its digits.
    Number,
    /// A UUID of 16 bytes.
    Uuid,
}

/// Metadata of drivers that tells the type in the database. Snowflake's driver names the type `logicalType` in a
/// stream and `SNOWFLAKE_TYPE` in a description; drivers in Go give `sql.database_type_name`.
const TYPE_KEYS: [&str; 4] = ["logicalType", "SNOWFLAKE_TYPE", "POSTGRESQL:type", "sql.database_type_name"];
const JSON_TYPES: [&str; 5] = ["JSON", "JSONB", "VARIANT", "OBJECT", "ARRAY"];
const NUMBER_TYPES: [&str; 3] = ["NUMERIC", "DECIMAL", "NUMBER"];

impl Content {
    pub(super) fn of(field: &Field) -> Self {
        match field.extension_type_name() {
            Some("arrow.json") => return Self::Json,
            Some("arrow.uuid") => return Self::Uuid,
            _ => {}
        }
        let types = TYPE_KEYS.iter().filter_map(|key| field.metadata().get(key));
        for name in types.map(|name| name.to_ascii_uppercase()) {
            if JSON_TYPES.contains(&&*name) {
                return Self::Json;
            }
            if NUMBER_TYPES.contains(&&*name) {
                return Self::Number;
            }
        }
        Self::Plain
    }
}

/// The column of a field.
pub(super) fn column(field: &Field) -> Column {
    let (kind, type_name) = describe(field.data_type(), Content::of(field));
    Column { name: field.name().clone(), kind, type_name }
}

fn describe(data_type: &DataType, content: Content) -> (ColumnKind, String) {
    use DataType as T;
    let (kind, name) = match data_type {
        T::Null => (ColumnKind::Any, "null"),
        T::Boolean => (ColumnKind::Boolean, "boolean"),
        T::Int8 => (ColumnKind::Integer, "int8"),
        T::Int16 => (ColumnKind::Integer, "int16"),
        T::Int32 => (ColumnKind::Integer, "int32"),
        T::Int64 => (ColumnKind::Integer, "int64"),
        T::UInt8 => (ColumnKind::Integer, "uint8"),
        T::UInt16 => (ColumnKind::Integer, "uint16"),
        T::UInt32 => (ColumnKind::Integer, "uint32"),
        T::UInt64 => (ColumnKind::Integer, "uint64"),
        T::Float16 => (ColumnKind::Number, "float16"),
        T::Float32 => (ColumnKind::Number, "float32"),
        T::Float64 => (ColumnKind::Number, "float64"),
        T::Decimal32(precision, scale)
        | T::Decimal64(precision, scale)
        | T::Decimal128(precision, scale)
        | T::Decimal256(precision, scale) => {
            let kind = if *scale > 0 { ColumnKind::Number } else { ColumnKind::Integer };
            return (kind, format!("decimal({precision}, {scale})"));
        }
        T::Timestamp(_, None) => (ColumnKind::Text, "timestamp"),
        T::Timestamp(_, Some(_)) => (ColumnKind::Text, "timestamp with time zone"),
        T::Date32 | T::Date64 => (ColumnKind::Text, "date"),
        T::Time32(_) | T::Time64(_) => (ColumnKind::Text, "time"),
        T::Duration(_) => (ColumnKind::Text, "duration"),
        T::Interval(_) => (ColumnKind::Text, "interval"),
        T::FixedSizeBinary(16) if content == Content::Uuid => (ColumnKind::Uuid, "uuid"),
        T::Binary
        | T::LargeBinary
        | T::BinaryView
        | T::FixedSizeBinary(_)
        | T::Utf8
        | T::LargeUtf8
        | T::Utf8View
            if content == Content::Json =>
        {
            (ColumnKind::Json, "json")
        }
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => (ColumnKind::Text, "binary"),
        T::Utf8 | T::LargeUtf8 | T::Utf8View => match content {
            Content::Number => (ColumnKind::Number, "number"),
            _ => (ColumnKind::Text, "text"),
        },
        T::List(_) | T::LargeList(_) | T::ListView(_) | T::LargeListView(_) | T::FixedSizeList(..) => {
            (ColumnKind::Json, "list")
        }
        T::Struct(_) => (ColumnKind::Json, "struct"),
        T::Map(..) => (ColumnKind::Json, "map"),
        T::Union(..) => (ColumnKind::Any, "union"),
        T::Dictionary(_, values) => return describe(values, content),
        T::RunEndEncoded(_, values) => return describe(values.data_type(), content),
    };
    (kind, name.to_owned())
}
