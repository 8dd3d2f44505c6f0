//! Types that a model declares for its columns: `[models.NAME.types]`.
//!
//! A source may give only text where there is JSON or an exact number, as CSV files and some drivers do. A declared
//! type changes a column's kind and its cells, alike for every source type.

use std::collections::BTreeMap;

use strum::{EnumString, VariantArray};

use super::{
    cell,
    error::{Error, cause},
};
use crate::domain::{
    json::Compactor,
    reject::RejectReason,
    row::{CellKind, Column, ColumnKind, RowBatch},
};

/// A type that a model declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, VariantArray, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum DeclaredType {
    /// Text, also of numbers, booleans and JSON.
    String,
    /// Whole numbers, with all digits.
    Integer,
    /// Numbers, with all digits.
    Number,
    /// Booleans: `true`, `false`, `t`, `f`, `1`, `0`.
    Boolean,
    /// JSON.
    Json,
    /// UUIDs, in lower case.
    Uuid,
}

/// The declared types of a model, by the names of columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnTypes(BTreeMap<String, DeclaredType>);

impl FromIterator<(String, DeclaredType)> for ColumnTypes {
    fn from_iter<I: IntoIterator<Item = (String, DeclaredType)>>(types: I) -> Self {
        Self(types.into_iter().collect())
    }
}

impl ColumnTypes {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of the columns.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Gives the columns their declared types.
    pub(super) fn apply(&self, columns: &mut [Column]) -> Result<(), Error> {
        if let Some(name) = self.names().find(|name| columns.iter().all(|column| column.name != **name)) {
            let message = format!("the model has no column `{name}`, for which it declares a type");
            return Err(Error::new(cause::UNKNOWN_COLUMN, message).with_hint("check the names in `types`"));
        }
        for column in columns {
            if let Some(declared) = self.0.get(&column.name) {
                column.kind = declared.kind();
            }
        }
        Ok(())
    }

    /// What makes cells of `columns` fit the declared types; `None` when they need nothing.
    pub(super) fn conversion(&self, columns: &[Column]) -> Option<Conversion> {
        let targets: Vec<_> = columns.iter().map(|column| self.0.get(&column.name).copied()).collect();
        (!self.is_empty()).then(|| Conversion { targets, compactor: Compactor::default() })
    }
}

impl DeclaredType {
    fn kind(self) -> ColumnKind {
        match self {
            Self::String => ColumnKind::Text,
            Self::Integer => ColumnKind::Integer,
            Self::Number => ColumnKind::Number,
            Self::Boolean => ColumnKind::Boolean,
            Self::Json => ColumnKind::Json,
            Self::Uuid => ColumnKind::Uuid,
        }
    }
}

/// Converts the cells of batches.
#[derive(Debug)]
pub(super) struct Conversion {
    targets: Vec<Option<DeclaredType>>,
    compactor: Compactor,
}

impl Conversion {
    pub(super) fn convert(&mut self, batch: &RowBatch) -> RowBatch {
        let mut converted = RowBatch::new(self.targets.len());
        for row in 0..batch.rows() {
            for (column, target) in self.targets.iter().enumerate() {
                let (kind, text) = batch.cell(row, column);
                match target {
                    Some(target) => {
                        converted.push_with(|out| convert(kind, text, *target, &mut self.compactor, out));
                    }
                    None => converted.push(kind, text),
                }
            }
        }
        for _ in 0..batch.nulled() {
            converted.count_nulled();
        }
        converted
    }
}

fn convert(
    kind: CellKind,
    text: &[u8],
    target: DeclaredType,
    compactor: &mut Compactor,
    out: &mut Vec<u8>,
) -> CellKind {
    let is_text = kind == CellKind::Text;
    match target {
        _ if matches!(kind, CellKind::Null | CellKind::Invalid) => {
            out.extend_from_slice(text);
            kind
        }
        DeclaredType::String => {
            out.extend_from_slice(text);
            CellKind::Text
        }
        // Files of text have no other null.
        _ if is_text && text.is_empty() => CellKind::Null,
        DeclaredType::Json => cell::json(text, compactor, out),
        DeclaredType::Integer => {
            let from = out.len();
            if cell::number(text, out) == Some(CellKind::Integer) {
                CellKind::Integer
            } else {
                out.truncate(from);
                cell::invalid(RejectReason::InvalidValue, out)
            }
        }
        DeclaredType::Number => {
            cell::number(text, out).unwrap_or_else(|| cell::invalid(RejectReason::InvalidValue, out))
        }
        DeclaredType::Boolean => match text.to_ascii_lowercase().as_slice() {
            b"true" | b"t" | b"1" => cell::boolean(true, out),
            b"false" | b"f" | b"0" => cell::boolean(false, out),
            _ => cell::invalid(RejectReason::InvalidValue, out),
        },
        DeclaredType::Uuid => match uuid::Uuid::try_parse_ascii(text) {
            Ok(value) if is_text => cell::uuid(value, out),
            _ => cell::invalid(RejectReason::InvalidValue, out),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_become_what_the_model_declares() {
        use CellKind as Cell;
        use DeclaredType as Type;
        const INVALID: (Cell, &str) = (Cell::Invalid, "invalid_value");
        for (kind, text, target, expected) in [
            (Cell::Text, "12", Type::String, (Cell::Text, "12")),
            (Cell::Integer, "12", Type::String, (Cell::Text, "12")),
            (Cell::Json, "[1]", Type::String, (Cell::Text, "[1]")),
            (Cell::Text, "", Type::String, (Cell::Text, "")),
            (Cell::Null, "", Type::String, (Cell::Null, "")),
            (Cell::Text, "", Type::Number, (Cell::Null, "")),
            (Cell::Text, "-12.50", Type::Number, (Cell::Number, "-12.50")),
            (Cell::Text, "1e3", Type::Number, (Cell::Integer, "1000")),
            (Cell::Text, "007", Type::Number, INVALID),
            (Cell::Text, "1 ", Type::Number, INVALID),
            (Cell::Text, "12", Type::Integer, (Cell::Integer, "12")),
            (Cell::Text, "12.5", Type::Integer, INVALID),
            (Cell::Number, "12.5", Type::Integer, INVALID),
            (Cell::Text, "T", Type::Boolean, (Cell::Boolean, "true")),
            (Cell::Integer, "0", Type::Boolean, (Cell::Boolean, "false")),
            (Cell::Text, "yes", Type::Boolean, INVALID),
            (Cell::Text, " {\"a\" : 1.50}", Type::Json, (Cell::Json, "{\"a\":1.50}")),
            (Cell::Text, "{", Type::Json, (Cell::Invalid, "invalid_json")),
            (
                Cell::Text,
                "ABABABAB-ABAB-ABAB-ABAB-ABABABABABAB",
                Type::Uuid,
                (Cell::Text, "abababab-abab-abab-abab-abababababab"),
            ),
            (Cell::Text, "x", Type::Uuid, INVALID),
            (Cell::Invalid, "invalid_text", Type::Number, (Cell::Invalid, "invalid_text")),
        ] {
            let mut batch = RowBatch::new(2);
            batch.push(kind, text.as_bytes());
            batch.push(Cell::Integer, b"1");
            let mut conversion =
                Conversion { targets: vec![Some(target), None], compactor: Compactor::default() };
            let converted = conversion.convert(&batch);
            let (found, bytes) = converted.cell(0, 0);
            assert_eq!((found, std::str::from_utf8(bytes).unwrap()), expected, "{text} as {target:?}");
            assert_eq!(converted.cell(0, 1), (Cell::Integer, &b"1"[..]));
        }
    }
}
