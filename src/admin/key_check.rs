//! Whether a column of a model can be its primary key.

use serde::Serialize;

use super::{Configuration, Error};
use crate::source::KeyCounts;

/// The outcome of a check. It has no value of the column.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyCheck {
    /// The column.
    pub column: String,
    /// Rows of the model.
    pub rows: u64,
    /// Rows without a value.
    pub nulls: u64,
    /// Values that more than one row has.
    pub repeated: u64,
    /// Whether all rows were counted. Of a source without SQL the first million are.
    pub is_complete: bool,
}

impl Configuration {
    /// The column of the primary key of a model; `None` if only dbt knows it.
    ///
    /// # Errors
    /// [`Error::UnknownModel`].
    pub fn primary_key(&self, model: &str) -> Result<Option<&str>, Error> {
        Ok(self.model(model)?.primary_key.as_deref())
    }

    /// Counts the values of a column of a model.
    ///
    /// # Errors
    /// [`Error::UnknownModel`], [`Error::Source`], and those of a model of dbt, Looker or Sigma.
    pub async fn check_key(&self, model: &str, column: &str) -> Result<KeyCheck, Error> {
        let configured = self.model(model)?;
        let query = configured.resolve(model).await?;
        let counts = configured.source.key_counts(&query, column).await?;
        let KeyCounts { rows, nulls, repeated, is_complete } = counts;
        Ok(KeyCheck { column: column.to_owned(), rows, nulls, repeated, is_complete })
    }
}
