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
    /// True or false as a byte of 1 or 0.
    Boolean,
    /// A whole number of 16 bytes, little-endian.
    Int128,
    /// The same without a sign.
    Uint128,
    /// Bytes that only their database understands.
    Opaque,
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
            Some("arrow.bool8") => return Self::Boolean,
            Some("arrow.opaque") => return Self::of_opaque(field),
            _ => {}
        }
        types(field).map(Self::of_type).find(|content| *content != Self::Plain).unwrap_or(Self::Plain)
    }

    /// What a type of a database says.
    fn of_type(name: &str) -> Self {
        let name = name.to_ascii_uppercase();
        if JSON_TYPES.contains(&&*name) {
            Self::Json
        } else if NUMBER_TYPES.contains(&&*name) {
            Self::Number
        } else {
            Self::Plain
        }
    }

    /// A type that Arrow does not have: text is what it is, bytes are understood for DuckDB's long integers.
    /// <https://arrow.apache.org/docs/format/CanonicalExtensions.html#opaque>
    fn of_opaque(field: &Field) -> Self {
        let metadata = field.extension_type_metadata().and_then(|text| serde_json::from_str(text).ok());
        let metadata: serde_json::Value = metadata.unwrap_or_default();
        let name = metadata["type_name"].as_str().unwrap_or_default();
        match (field.data_type(), name) {
            (DataType::FixedSizeBinary(16), "hugeint") => Self::Int128,
            (DataType::FixedSizeBinary(16), "uhugeint") => Self::Uint128,
            (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, name) => Self::of_type(name),
            _ => Self::Opaque,
        }
    }
}

/// The names of a field's type in its database.
fn types(field: &Field) -> impl Iterator<Item = &str> {
    TYPE_KEYS.iter().filter_map(|key| field.metadata().get(key)).map(String::as_str)
}

/// The column of a field.
pub(super) fn column(field: &Field) -> Column {
    let content = Content::of(field);
    let (kind, type_name) = match field.data_type() {
        // Snowflake's driver describes it with a time zone that its values do not have.
        DataType::Timestamp(unit, _)
            if types(field).any(|name| name.eq_ignore_ascii_case("timestamp_ntz")) =>
        {
            describe(&DataType::Timestamp(*unit, None), content)
        }
        data_type => describe(data_type, content),
    };
    Column { name: field.name().clone(), kind, type_name }
}

fn describe(data_type: &DataType, content: Content) -> (ColumnKind, String) {
    use DataType as T;
    if content == Content::Opaque {
        return (ColumnKind::Any, "opaque".to_owned());
    }
    let (kind, name) = match data_type {
        T::Null => (ColumnKind::Any, "null"),
        T::Boolean => (ColumnKind::Boolean, "boolean"),
        T::Int8 if content == Content::Boolean => (ColumnKind::Boolean, "boolean"),
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
        T::FixedSizeBinary(16) if content == Content::Int128 => (ColumnKind::Integer, "int128"),
        T::FixedSizeBinary(16) if content == Content::Uint128 => (ColumnKind::Integer, "uint128"),
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
