//! Why a row is rejected. The codes are stable: metadata, `larder runs` and `docs/errors.md` have them.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// Why a row has no record.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum RejectReason {
    /// The primary key is null, or empty after normalisation.
    MissingPrimaryKey,
    /// The primary key is longer than [`super::limits::INDEX_VALUE_BYTES_MAX`].
    PrimaryKeyTooLong,
    /// The primary key is JSON, an array or another value that a URL cannot have.
    InvalidPrimaryKey,
    /// Another row of the same run has the same primary key; both are rejected.
    DuplicatePrimaryKey,
    /// The row has text that is not UTF-8, or has a NUL character.
    InvalidText,
    /// Text that is not JSON, or JSON with `\u0000` or a lone surrogate.
    InvalidJson,
    /// A value is not of the type that the model declares for its column.
    InvalidValue,
    /// The record is larger than [`super::limits::RECORD_BYTES_MAX`].
    RecordTooLarge,
    /// The record is deeper than [`super::limits::DEPTH_MAX`] levels.
    RecordTooDeep,
    /// A filter of a template cannot work with a value of this row.
    TemplateError,
    /// A template takes more work on this row than it may.
    TemplateLimit,
    /// A template divides by zero.
    DivisionByZero,
    /// A template's output is not JSON or not a number, as its `as` requires.
    TemplateOutput,
    /// An index value is longer than [`super::limits::INDEX_VALUE_BYTES_MAX`].
    IndexValueTooLong,
    /// An `each` index has more than [`super::limits::INDEX_ELEMENTS_MAX`] elements.
    TooManyIndexElements,
}

impl RejectReason {
    /// The stable code.
    pub fn code(self) -> &'static str {
        self.into()
    }

    /// The reason of a code, as an [`super::row::CellKind::Invalid`] cell carries it.
    pub fn from_code(code: &[u8]) -> Option<Self> {
        std::str::from_utf8(code).ok()?.parse().ok()
    }
}

/// Why a row has no record, and the field or index at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Why.
    pub reason: RejectReason,
    /// The field, index or column at fault; never a value.
    pub field: Option<String>,
}

impl Rejection {
    /// A rejection because of `field`.
    pub fn of(reason: RejectReason, field: &str) -> Self {
        Self { reason, field: Some(field.to_owned()) }
    }
}

impl From<RejectReason> for Rejection {
    fn from(reason: RejectReason) -> Self {
        Self { reason, field: None }
    }
}
