//! What is configured, as the admin API shows and uses it: sources, models, syncs, and the whole as TOML.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;
use tokio::sync::watch;

use super::{ConfigurationFile, Error, Sources, StoredState, listed};
use crate::{
    domain::{CollectionName, Column, StoredName},
    model::{Model, Target},
    source::Source,
};

/// A model that is configured: its source, with the types that the model declares, and what it reads.
#[derive(Debug, Clone)]
pub struct ConfiguredModel {
    /// The source.
    pub source: Source,
    /// What the model reads.
    pub model: Model,
}

/// A configuration.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// The sources.
    pub sources: Sources,
    /// The models by name.
    pub models: BTreeMap<String, ConfiguredModel>,
    /// The whole as TOML, its secrets masked.
    pub text: String,
    /// The same as JSON, section by section.
    pub shown: Value,
    /// The stored entries, those with faults included.
    pub stored: BTreeMap<StoredName, StoredState>,
    /// The configuration file, over which stored entries are laid.
    pub file: Arc<dyn ConfigurationFile>,
}

/// The configuration in force. Cheap to clone; a replacement is seen by every clone.
#[derive(Debug, Clone)]
pub struct Configured(Arc<watch::Sender<Arc<Configuration>>>);

impl Configured {
    /// With this configuration in force.
    pub fn new(configuration: Configuration) -> Self {
        Self(Arc::new(watch::Sender::new(Arc::new(configuration))))
    }

    /// Puts another configuration in force.
    pub fn replace(&self, configuration: Configuration) {
        self.0.send_replace(Arc::new(configuration));
    }

    /// The configuration in force.
    pub fn read(&self) -> Arc<Configuration> {
        Arc::clone(&self.0.borrow())
    }
}

impl Configuration {
    /// The things of a section, such as `sources`, by name, with their keys as they may be shown.
    pub fn section(&self, section: &str) -> Vec<(String, Value)> {
        let things = self.shown.get(section).and_then(Value::as_object);
        let mut things: Vec<(String, Value)> =
            things.into_iter().flatten().map(|(name, keys)| (name.clone(), keys.clone())).collect();
        things.sort_by(|(a, _), (b, _)| a.cmp(b));
        things
    }

    /// Reads at most `limit` rows of a model, before any mapping, and hands each to `show` as a JSON object. Returns its
    /// columns.
    ///
    /// # Errors
    /// [`Error::UnknownModel`], [`Error::Source`].
    pub async fn preview_model(
        &self,
        name: &str,
        limit: u64,
        show: impl FnMut(&[u8]),
    ) -> Result<Vec<Column>, Error> {
        let Some(ConfiguredModel { source, model }) = self.models.get(name) else {
            let known = listed(self.models.keys().map(String::as_str));
            return Err(Error::UnknownModel { name: name.to_owned(), known });
        };
        // A model of dbt that is named by a tag has the name of the sync that it is for.
        let sync = CollectionName::new(name)
            .map_err(|_| Error::UnknownSync { name: name.to_owned(), known: String::new() })?;
        let target = Target { sync: &sync, primary_key: None, source };
        let query = model.resolve(target).await?;
        super::sources::read_rows(source, &query, limit, show).await
    }
}
