//! A mapping as configured.

use serde::Serialize;

use crate::domain::{index::NormalForm, name::IndexName};

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
    /// The model's column.
    pub column: String,
    /// Index every element of a JSON array.
    pub each: bool,
    /// Normalisation, in order.
    pub normalize: Vec<NormalForm>,
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
