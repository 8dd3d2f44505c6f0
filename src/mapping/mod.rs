//! From a row to a record: fields, templates, keys and index values.

mod spec;

pub use spec::{FieldSpec, FieldValue, FieldsSpec, IndexSpec, MappingSpec, TemplateOutput};
