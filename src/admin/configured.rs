//! What is configured, as the admin API shows and uses it: sources, models, syncs, and the whole as TOML.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Notify, watch};

use super::{ConfigurationFile, Error, Exported, Sources, StoredState, listed, secret};
use crate::{
    domain::{CollectionName, Column, StoredName, StoredSection},
    model::{Model, Target},
    settings::Fault,
    source::{Query, Source},
};

/// A model that is configured: its source, with the types that the model declares, and what it reads.
#[derive(Debug, Clone)]
pub struct ConfiguredModel {
    /// The source's name.
    pub source_name: String,
    /// The source.
    pub source: Source,
    /// What the model reads.
    pub model: Model,
    /// The column of its primary key; `None` if dbt knows it.
    pub primary_key: Option<String>,
}

impl ConfiguredModel {
    /// The query that the model called `name` reads now.
    pub(super) async fn resolve(&self, name: &str) -> Result<Query, Error> {
        // A model of dbt that is named by a tag has the name of the sync that it is for.
        let sync = CollectionName::new(name)
            .map_err(|_| Error::UnknownSync { name: name.to_owned(), known: String::new() })?;
        Ok(self.model.resolve(Target { sync: &sync, primary_key: None, source: &self.source }).await?)
    }
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
    /// The same as it was written, as a file with variables in place of secrets.
    pub exported: Exported,
    /// The same as JSON, section by section.
    pub shown: Value,
    /// The stored entries, those with faults included.
    pub stored: BTreeMap<StoredName, StoredState>,
    /// The newest version of all stored entries that it has.
    pub stored_version: u64,
    /// The configuration file, over which stored entries are laid.
    pub file: Arc<dyn ConfigurationFile>,
}

/// Longest wait until this node has put a change of the stored configuration in force.
const APPLY_WAIT: Duration = Duration::from_secs(5);

/// The configuration in force. Cheap to clone; a replacement is seen by every clone.
#[derive(Debug, Clone)]
pub struct Configured {
    sender: Arc<watch::Sender<Arc<Configuration>>>,
    stored_changes: Arc<Notify>,
}

impl Configured {
    /// With this configuration in force.
    pub fn new(configuration: Configuration) -> Self {
        let sender = Arc::new(watch::Sender::new(Arc::new(configuration)));
        Self { sender, stored_changes: Arc::default() }
    }

    /// Puts another configuration in force.
    pub fn replace(&self, configuration: Configuration) {
        self.sender.send_replace(Arc::new(configuration));
    }

    /// The configuration in force.
    pub fn read(&self) -> Arc<Configuration> {
        Arc::clone(&self.sender.borrow())
    }

    /// Lets this node read the stored configuration now, and waits until `version` of it is in force. Whether it is;
    /// if not, the next poll tries again.
    pub async fn await_stored(&self, version: u64) -> bool {
        self.stored_changes.notify_one();
        let mut receiver = self.sender.subscribe();
        let applied = receiver.wait_for(|configuration| configuration.stored_version >= version);
        tokio::time::timeout(APPLY_WAIT, applied).await.is_ok()
    }

    /// Waits until the stored configuration was changed on this node.
    pub async fn stored_changed(&self) {
        self.stored_changes.notified().await;
    }
}

/// Where an entry of the configuration comes from, and may be changed.
#[derive(utoipa::ToSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ManagedBy {
    /// The configuration file.
    File,
    /// The admin API.
    Api,
}

/// A source, model or sync, as it may be shown.
#[derive(utoipa::ToSchema, Debug, Clone, Serialize)]
pub struct EntryView {
    /// Its name.
    pub name: String,
    /// Where it may be changed.
    pub managed_by: ManagedBy,
    /// Its keys; of a stored entry as they were written, of one of the file with its defaults.
    pub settings: Value,
    /// The version of a stored entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Why the stored entry is not in force.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

impl Configuration {
    /// The entries of a section, by name, those with faults included.
    pub fn section(&self, section: StoredSection) -> Vec<EntryView> {
        let shown = self.shown.get(section.as_str()).and_then(Value::as_object);
        let names = shown.into_iter().flatten().map(|(name, _)| name.clone());
        let stored = self.stored.keys().filter(|entry| entry.section == section);
        let names: BTreeSet<String> = names.chain(stored.map(|entry| entry.name.clone())).collect();
        names.into_iter().filter_map(|name| self.entry(&StoredName { section, name })).collect()
    }

    /// One entry, as [`Configuration::section`] has it.
    pub fn entry(&self, entry: &StoredName) -> Option<EntryView> {
        let (stored, name) = (self.stored.get(entry), entry.name.clone());
        let (managed_by, settings) = if self.file.declares(entry) {
            (ManagedBy::File, self.shown[entry.section.as_str()].get(&name)?.clone())
        } else {
            (ManagedBy::Api, stored?.view.settings.clone()?)
        };
        let version = stored.map(|stored| stored.view.version);
        let faults = stored.map(|stored| stored.faults.clone()).unwrap_or_default();
        Some(EntryView { name, managed_by, settings, version, faults })
    }

    /// The secrets of a stored entry in force that are URLs: each key with scheme, host, port and database, without user,
    /// password and parameters.
    pub fn addresses(&self, entry: &StoredName) -> Vec<(String, String)> {
        let stored = self.stored.get(entry).and_then(|stored| stored.view.settings.as_ref()?.as_object());
        let shown = &self.shown[entry.section.as_str()][&entry.name];
        let secrets = stored.into_iter().flatten().filter(|(_, value)| secret(value).is_some());
        let urls = secrets.filter_map(|(key, _)| Some((key.clone(), address(shown[key].as_str()?)?)));
        urls.collect()
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
        let model = self.model(name)?;
        let query = model.resolve(name).await?;
        super::sources::read_rows(&model.source, &query, limit, show).await
    }

    /// A model.
    ///
    /// # Errors
    /// [`Error::UnknownModel`].
    pub(super) fn model(&self, name: &str) -> Result<&ConfiguredModel, Error> {
        self.models.get(name).ok_or_else(|| {
            let known = listed(self.models.keys().map(String::as_str));
            Error::UnknownModel { name: name.to_owned(), known }
        })
    }
}

/// A URL without its user, password and parameters, but for the one that names a database.
fn address(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let (host, parameters) = host.split_once('?').unwrap_or((host, ""));
    let database = parameters.split('&').find(|parameter| parameter.starts_with("database="));
    let database = database.map(|database| format!("?{database}")).unwrap_or_default();
    Some(format!("{scheme}://{host}{database}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_url_has_neither_user_nor_password() {
        for (url, shown) in [
            ("postgres://u:***@h:5432/d?sslmode=require", Some("postgres://h:5432/d")),
            ("postgres://u:a@b?c/d@h/d", Some("postgres://h/d")),
            ("sqlserver://u:***@h:1433?encrypt=true&database=shop", Some("sqlserver://h:1433?database=shop")),
            ("postgres://h/d", Some("postgres://h/d")),
            ("***", None),
        ] {
            assert_eq!(address(url).as_deref(), shown, "{url}");
        }
    }
}
