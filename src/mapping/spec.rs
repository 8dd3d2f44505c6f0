//! A mapping as configured.

use serde::Serialize;

use crate::domain::{hash::ValueHasher, index::NormalForm, name::IndexName};

/// How rows of a model become records.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MappingSpec {
    /// The model's primary key column.
    pub primary_key: String,
    /// The first is the primary one, on the primary key column.
    pub indexes: Vec<IndexSpec>,
    /// The fields of a record.
    pub fields: FieldsSpec,
    /// Whether numbers of columns are written as strings.
    pub numbers_as_strings: bool,
    /// Whether fields that are null are left out.
    pub omit_nulls: bool,
}

/// One index as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IndexSpec {
    /// Its name in URLs.
    pub name: IndexName,
    /// The model's column; of a compound index, its columns with commas between them.
    pub column: String,
    /// The columns of a compound index.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Index every element of a JSON array.
    pub each: bool,
    /// Normalisation, in order.
    pub normalize: Vec<NormalForm>,
    /// Stores the hash of each value instead of the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<ValueHasher>,
    /// Which record holds a value that several have.
    #[serde(skip_serializing_if = "SharedSpec::is_default")]
    pub shared: SharedSpec,
}

impl IndexSpec {
    /// An index on one column, whose values are stored as they are.
    pub fn plain(name: IndexName, column: impl Into<String>) -> Self {
        Self {
            name,
            column: column.into(),
            columns: Vec::new(),
            each: false,
            normalize: Vec::new(),
            hash: None,
            shared: SharedSpec::default(),
        }
    }
}

/// Which record holds a value of a secondary index that several have, as configured.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub enum SharedSpec {
    /// The one with the lowest primary key.
    #[default]
    LowestKey,
    /// None.
    Reject,
    /// The one that is highest in this column.
    Newest(String),
}

impl SharedSpec {
    fn is_default(&self) -> bool {
        *self == Self::LowestKey
    }
}

/// Which fields a record has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum FieldsSpec {
    /// Every column of the model, in its order, under its own name.
    All,
    /// These fields, in this order.
    Chosen(Vec<FieldSpec>),
}

/// One field of a record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldSpec {
    /// Its path in the record: `name`, or `address.city` in a nested object. A dot always nests.
    pub target: String,
    /// Where its value comes from.
    pub value: FieldValue,
}

/// Where a field's value comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum FieldValue {
    /// A column, in its own type or as a string (`as = "string"`).
    Column {
        /// The model's column.
        column: String,
        /// Whether numbers and booleans are written as strings.
        as_string: bool,
    },
    /// The same JSON value in every record.
    Constant(serde_json::Value),
    /// A Liquid template over the row's columns.
    Template {
        /// The template.
        text: String,
        /// The type of its output.
        output: TemplateOutput,
    },
}

/// The type of a template's output (`as`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum TemplateOutput {
    /// A string.
    #[default]
    String,
    /// A number; empty output is null, anything else rejects the row.
    Number,
    /// One JSON value; empty output is null, anything else rejects the row.
    Json,
}
