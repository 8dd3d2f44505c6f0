//! Models: what a sync reads.
//!
//! A model resolves to a query when a run begins, not when the configuration is read. A model that
//! changed is therefore a change of data, and the guards of the run apply to it.

mod dbt;
mod error;
mod looker;
mod service;
mod settings;
mod sigma;

use self::{dbt::DbtModel, looker::Look, sigma::Element};
pub(crate) use self::{
    dbt::SECTION as DBT_SECTION,
    looker::SECTION as LOOKER_SECTION,
    settings::{ModelConfig, Models, SECTION, Services, named_service, read, read_sql_file},
    sigma::SECTION as SIGMA_SECTION,
};
pub use self::{
    dbt::{DbtProject, Invocation},
    error::Error,
};
use crate::{
    domain::CollectionName,
    source::{ColumnTypes, Query, Source},
};

/// What a sync reads of its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    origin: Origin,
    /// The types that the model declares.
    types: ColumnTypes,
}

/// Where the query of a model comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    /// The configuration: SQL text, the content of an SQL file, or a table.
    Query(Query),
    Dbt(DbtModel),
    Look(Look),
    Sigma(Element),
}

/// The sync that a model is resolved for.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Its name.
    pub sync: &'a CollectionName,
    /// The column of its primary key; `None` when it does not matter.
    pub primary_key: Option<&'a str>,
    /// The source that the query is for.
    pub source: &'a Source,
}

impl Model {
    /// The query that a run which begins now reads.
    ///
    /// # Errors
    /// A model of dbt, Looker or Sigma cannot be fetched, is gone, or is no query of the source.
    pub async fn resolve(&self, target: Target<'_>) -> Result<Query, Error> {
        match &self.origin {
            Origin::Query(query) => Ok(query.clone()),
            Origin::Dbt(model) => model.resolve(target).await.map(Query::Sql),
            Origin::Look(look) => look.resolve().await.map(Query::Sql),
            Origin::Sigma(element) => element.resolve().await.map(Query::Sql),
        }
    }

    /// `source`, with the types that the model declares.
    pub fn source(&self, source: &Source) -> Source {
        source.with_types(&self.types)
    }

    /// Whether `invocation` of `project` has built this model for `sync`. A model that dbt does not build needs an
    /// invocation without a failure.
    ///
    /// # Errors
    /// The manifest cannot be read, is older than the invocation, has no such model, or has no SQL of an ephemeral one.
    pub async fn is_built_by(
        &self,
        project: &DbtProject,
        invocation: &Invocation,
        sync: &CollectionName,
    ) -> Result<bool, Error> {
        match &self.origin {
            Origin::Dbt(model) if model.is_of(project) => model.is_built_by(invocation, sync).await,
            _ => Ok(invocation.has_no_failure()),
        }
    }

    /// The query, when the configuration holds it.
    pub(crate) fn configured(&self) -> Option<&Query> {
        match &self.origin {
            Origin::Query(query) => Some(query),
            _ => None,
        }
    }
}
