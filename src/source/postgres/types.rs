//! Which types are read directly, and what all others are.

use crate::domain::ColumnKind;

/// How the binary form of a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    Text,
    Bytes,
    Uuid,
    Date,
    Timestamp,
    TimestampTz,
    Json,
    Jsonb,
    /// Any other type: the server makes JSON of it.
    ToJson,
}

/// Types below this object id belong to Postgres itself (`FirstNormalObjectId`).
const FIRST_USER_OID: u32 = 16_384;

/// Reader, class and name of a type that is read directly. Object ids of built-in types never
/// change (Postgres's `pg_type.dat`).
pub(super) fn direct(oid: u32) -> Option<(Reader, ColumnKind, &'static str)> {
    Some(match oid {
        16 => (Reader::Bool, ColumnKind::Boolean, "bool"),
        17 => (Reader::Bytes, ColumnKind::Text, "bytea"),
        19 => (Reader::Text, ColumnKind::Text, "name"),
        20 => (Reader::Int8, ColumnKind::Integer, "int8"),
        21 => (Reader::Int2, ColumnKind::Integer, "int2"),
        23 => (Reader::Int4, ColumnKind::Integer, "int4"),
        25 => (Reader::Text, ColumnKind::Text, "text"),
        26 => (Reader::Oid, ColumnKind::Integer, "oid"),
        114 => (Reader::Json, ColumnKind::Json, "json"),
        700 => (Reader::Float4, ColumnKind::Number, "float4"),
        701 => (Reader::Float8, ColumnKind::Number, "float8"),
        705 => (Reader::Text, ColumnKind::Text, "unknown"),
        1042 => (Reader::Text, ColumnKind::Text, "bpchar"),
        1043 => (Reader::Text, ColumnKind::Text, "varchar"),
        1082 => (Reader::Date, ColumnKind::Text, "date"),
        1114 => (Reader::Timestamp, ColumnKind::Text, "timestamp"),
        1184 => (Reader::TimestampTz, ColumnKind::Text, "timestamptz"),
        1700 => (Reader::Numeric, ColumnKind::Number, "numeric"),
        2950 => (Reader::Uuid, ColumnKind::Uuid, "uuid"),
        3802 => (Reader::Jsonb, ColumnKind::Json, "jsonb"),
        _ => return None,
    })
}

/// Reader and class of any other type, by what the catalog says of it.
pub(super) fn other(oid: u32, name: &str, type_type: &str, category: &str) -> (Reader, ColumnKind) {
    let base_name = name.rsplit('.').next().unwrap_or(name);
    match (type_type, category) {
        ("e", _) => (Reader::Text, ColumnKind::Text),
        ("b", "A") | ("c" | "r" | "m", _) => (Reader::ToJson, ColumnKind::Json),
        ("p", _) if base_name == "record" => (Reader::ToJson, ColumnKind::Json),
        ("b", _) if oid < FIRST_USER_OID || base_name == "citext" => (Reader::ToJson, ColumnKind::Text),
        ("b", _) if base_name == "hstore" => (Reader::ToJson, ColumnKind::Json),
        _ => (Reader::ToJson, ColumnKind::Any),
    }
}
