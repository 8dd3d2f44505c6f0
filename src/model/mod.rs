//! Models: what a sync reads.
//!
//! A model resolves to a query when a run begins, not when the configuration is read. A model that
//! changed is therefore a change of data, and the guards of the run apply to it.

mod settings;

use crate::source::{ColumnTypes, Query, Source};
pub(crate) use settings::{ModelConfig, Models, SECTION, read};

/// What a sync reads of its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Model {
    /// A query that the configuration holds: SQL text, the content of an SQL file, or a table.
    Query {
        /// What is read.
        query: Query,
        /// The types that the model declares.
        types: ColumnTypes,
    },
}

impl Model {
    /// The query that a run which begins now reads.
    pub fn resolve(&self) -> Query {
        match self {
            Self::Query { query, .. } => query.clone(),
        }
    }

    /// `source`, with the types that the model declares.
    pub fn source(&self, source: &Source) -> Source {
        match self {
            Self::Query { types, .. } => source.with_types(types),
        }
    }
}
