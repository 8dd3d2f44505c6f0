//! Checking a sync against its source, without running it.

use super::error::Error;
use crate::{domain::row::Column, engine::SyncSpec, mapping::Mapping, source::Source};

/// What a sync's model looks like.
pub struct Checked {
    /// The model's columns.
    pub columns: Vec<Column>,
    /// The mapping, compiled for them.
    pub mapping: Mapping,
}

/// Asks the source for the model's columns and compiles the mapping for them.
pub async fn check_sync(spec: &SyncSpec, source: &Source) -> Result<Checked, Error> {
    let columns = source.describe(&spec.query).await?;
    match Mapping::compile(&spec.mapping, &columns) {
        Ok(mapping) => Ok(Checked { columns, mapping }),
        Err(faults) => Err(Error::Mapping { sync: spec.collection.clone(), faults }),
    }
}
