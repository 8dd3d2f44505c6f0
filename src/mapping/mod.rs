//! From a row to a record: fields, templates, keys and index values.
//!
//! A [`Mapping`] is compiled once per run from the configuration and from the columns that the source describes.
//! The result is a flat program of steps (literal bytes, a column, a template), so that one loop makes a record
//! and allocates nothing. Every thread that maps rows has its own [`Mapper`].

mod clear;
mod compile;
mod fault;
mod indexes;
mod mapper;
mod omit;
mod program;
pub(crate) mod settings;
mod spec;
mod targets;
mod values;
mod warn;

#[cfg(test)]
mod tests;

pub use compile::{Mapping, validate};
pub use fault::MappingFault;
pub use mapper::Mapper;
pub use settings::FIELD_KEYS;
pub use spec::{FieldSpec, FieldValue, FieldsSpec, IndexSpec, MappingSpec, SharedSpec, TemplateOutput};
