//! Why a row was rejected. Codes are stable: they stand in metadata, in `larder runs` and in docs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a row has no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// The primary key is null, or empty after normalisation.
    MissingPrimaryKey,
    /// The primary key is longer than [`super::limits::INDEX_VALUE_BYTES_MAX`].
    PrimaryKeyTooLong,
    /// The primary key is JSON, an array or another shape that cannot stand in a URL.
    InvalidPrimaryKey,
    /// Another row of the same run has the same primary key; both are rejected.
    DuplicatePrimaryKey,
    /// Text that is not UTF-8.
    InvalidText,
    /// JSON with `\u0000`, a lone surrogate, or not JSON at all.
    InvalidJson,
    /// Over [`super::limits::RECORD_BYTES_MAX`].
    RecordTooLarge,
    /// Deeper than [`super::limits::DEPTH_MAX`] levels.
    RecordTooDeep,
    /// A template failed on this row.
    TemplateError,
    /// A template's output is not what its `as` demands (JSON or a number).
    TemplateOutput,
    /// An index value is longer than [`super::limits::INDEX_VALUE_BYTES_MAX`].
    IndexValueTooLong,
    /// An `each` index with more than [`super::limits::INDEX_ELEMENTS_MAX`] elements.
    TooManyIndexElements,
}

impl RejectReason {
    /// Every reason, in the order of the enum.
    pub const ALL: [Self; 12] = [
        Self::MissingPrimaryKey,
        Self::PrimaryKeyTooLong,
        Self::InvalidPrimaryKey,
        Self::DuplicatePrimaryKey,
        Self::InvalidText,
        Self::InvalidJson,
        Self::RecordTooLarge,
        Self::RecordTooDeep,
        Self::TemplateError,
        Self::TemplateOutput,
        Self::IndexValueTooLong,
        Self::TooManyIndexElements,
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::MissingPrimaryKey => "missing_primary_key",
            Self::PrimaryKeyTooLong => "primary_key_too_long",
            Self::InvalidPrimaryKey => "invalid_primary_key",
            Self::DuplicatePrimaryKey => "duplicate_primary_key",
            Self::InvalidText => "invalid_text",
            Self::InvalidJson => "invalid_json",
            Self::RecordTooLarge => "record_too_large",
            Self::RecordTooDeep => "record_too_deep",
            Self::TemplateError => "template_error",
            Self::TemplateOutput => "template_output",
            Self::IndexValueTooLong => "index_value_too_long",
            Self::TooManyIndexElements => "too_many_index_elements",
        }
    }

    /// The reason of a code, as an [`super::row::CellKind::Invalid`] cell carries it.
    pub fn from_code(code: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code().as_bytes() == code)
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A row that has no record: the reason and, where one is to blame, the field or index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Why.
    pub reason: RejectReason,
    /// The field, index or column at fault; never a value.
    pub field: Option<String>,
}

impl Rejection {
    /// A rejection that blames `field`.
    pub fn of(reason: RejectReason, field: &str) -> Self {
        Self { reason, field: Some(field.to_owned()) }
    }
}

impl From<RejectReason> for Rejection {
    fn from(reason: RejectReason) -> Self {
        Self { reason, field: None }
    }
}
