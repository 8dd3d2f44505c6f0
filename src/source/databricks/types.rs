//! The types of a result's columns, as its manifest describes them.

use serde::Deserialize;

use crate::domain::row::{Column, ColumnKind};

/// A column of a manifest.
#[derive(Deserialize)]
pub(super) struct Described {
    name: String,
    /// The name of the type without its arguments: `DECIMAL`.
    #[serde(default)]
    type_name: String,
    /// The type as SQL writes it: `DECIMAL(10,2)`.
    #[serde(default)]
    type_text: String,
    #[serde(default)]
    type_scale: i64,
}

pub(super) fn column(described: Described) -> Column {
    let Described { name, type_name, type_text, type_scale } = described;
    let kind = match &*type_name {
        "BOOLEAN" => ColumnKind::Boolean,
        "BYTE" | "SHORT" | "INT" | "LONG" => ColumnKind::Integer,
        "DECIMAL" if type_scale == 0 => ColumnKind::Integer,
        "DECIMAL" | "FLOAT" | "DOUBLE" => ColumnKind::Number,
        // Newer types have no name in the API.
        _ if ["ARRAY", "MAP", "STRUCT", "VARIANT", "OBJECT"]
            .iter()
            .any(|start| type_name == *start || type_text.to_ascii_uppercase().starts_with(start)) =>
        {
            ColumnKind::Json
        }
        _ => ColumnKind::Text,
    };
    Column { name, kind, type_name: type_text.to_ascii_lowercase() }
}
