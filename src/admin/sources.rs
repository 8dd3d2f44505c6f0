//! Looking at a source before a model is written: whether it answers, its tables, their columns, rows of a query.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    time::Instant,
};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{Configuration, Error};
use crate::{
    domain::{
        RunError, json,
        row::{CellKind, Column, RowBatch},
    },
    settings::Environment,
    source::{self, FoundDriver, Query, Source},
};

/// Most models that are looked at when a source is checked: each makes a connection.
const MODELS_CHECKED_MAX: usize = 20;
/// Batches that may wait to be shown.
const BATCHES_WAITING_MAX: usize = 2;

/// The configured sources, by name.
#[derive(Debug, Clone)]
pub struct Sources(BTreeMap<String, Source>);

/// A source that answered.
#[derive(utoipa::ToSchema, Debug, Clone, Serialize, Deserialize)]
pub struct SourceCheck {
    /// What it says its version is.
    pub version: Option<String>,
    /// How long it took to connect and to ask, in milliseconds.
    pub latency_ms: u64,
    /// The models of it whose columns were asked for, by name.
    #[serde(default)]
    pub models: Vec<ModelCheck>,
}

/// A model whose columns its source was asked for.
#[derive(utoipa::ToSchema, Debug, Clone, Serialize, Deserialize)]
pub struct ModelCheck {
    /// Its name.
    pub model: String,
    /// How many columns it has; 0 when they are not known.
    pub columns: usize,
    /// Why they are not known: a missing right, for instance.
    pub error: Option<RunError>,
}

/// The drivers of ADBC that are found from `dir`, the configuration's directory, and those that are not.
pub fn drivers(dir: &Path, env: &Environment) -> Vec<FoundDriver> {
    source::drivers(dir, env)
}

/// Reads a source for the process that started this one, as its standard input says.
///
/// # Errors
/// The input is no job: a person has started it.
pub fn work_for_source() -> io::Result<()> {
    source::work()
}

impl Sources {
    /// The sources of a configuration.
    pub fn new(sources: BTreeMap<String, Source>) -> Self {
        Self(sources)
    }

    fn find(&self, name: &str) -> Result<&Source, Error> {
        self.0.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Error::UnknownSource { name: name.to_owned(), known }
        })
    }

    /// The sources of whose files one cannot be used, such as a certificate. Connects to nothing; blocks.
    pub fn file_faults(&self) -> impl Iterator<Item = (&str, Error)> {
        self.0.iter().filter_map(|(name, source)| Some((name.as_str(), source.check_files().err()?.into())))
    }

    /// Connects, makes a trivial request and asks for the version.
    ///
    /// # Errors
    /// [`Error::UnknownSource`], [`Error::Source`].
    pub async fn check(&self, name: &str) -> Result<SourceCheck, Error> {
        let source = self.find(name)?;
        let begin = Instant::now();
        source.check().await?;
        let latency_ms = begin.elapsed().as_millis() as u64;
        Ok(SourceCheck { version: source.version().await?, latency_ms, models: Vec::new() })
    }

    /// The tables whose name contains `pattern`, in any case; of a source of files, the files.
    ///
    /// # Errors
    /// [`Error::UnknownSource`], [`Error::Source`].
    pub async fn tables(&self, name: &str, pattern: &str) -> Result<Vec<String>, Error> {
        let mut tables = self.find(name)?.tables().await?;
        let pattern = pattern.to_lowercase();
        tables.retain(|table| table.to_lowercase().contains(&pattern));
        Ok(tables)
    }

    /// The columns of a query.
    ///
    /// # Errors
    /// [`Error::UnknownSource`], [`Error::Source`].
    pub async fn columns(&self, name: &str, query: &Query) -> Result<Vec<Column>, Error> {
        let source = self.find(name)?;
        source.check_query(query)?;
        Ok(source.describe(query).await?)
    }

    /// Reads at most `limit` rows of a query and hands each to `show` as a JSON object.
    ///
    /// # Errors
    /// [`Error::UnknownSource`], [`Error::Source`].
    pub async fn rows(
        &self,
        name: &str,
        query: &Query,
        limit: u64,
        show: impl FnMut(&[u8]),
    ) -> Result<(), Error> {
        let source = self.find(name)?;
        source.check_query(query)?;
        read_rows(source, query, limit, show).await.map(drop)
    }
}

impl Configuration {
    /// Checks a source as [`Sources::check`] does, and asks it for the columns of its first models, as far as the
    /// configuration holds their queries: whether its user may read them.
    ///
    /// # Errors
    /// As of [`Sources::check`].
    pub async fn check_source(&self, name: &str) -> Result<SourceCheck, Error> {
        let mut check = self.sources.check(name).await?;
        let of_source = self.models.iter().filter(|(_, model)| model.source_name == name);
        let queries = of_source.filter_map(|(name, model)| Some((name, model, model.model.configured()?)));
        for (model, configured, query) in queries.take(MODELS_CHECKED_MAX) {
            let model = model.clone();
            check.models.push(match configured.source.describe(query).await {
                Ok(columns) => ModelCheck { model, columns: columns.len(), error: None },
                Err(error) => {
                    let error = RunError { code: error.code().to_owned(), message: error.to_string() };
                    ModelCheck { model, columns: 0, error: Some(error) }
                }
            });
        }
        Ok(check)
    }

    /// Asks sources that no sync reads for their version, and sources for the columns of models that no sync has. Each
    /// comes with a description, or with the reason why it cannot be read.
    pub async fn check_unused(&self) -> Vec<(String, Result<String, Error>)> {
        let syncs = self.shown["syncs"].as_object().into_iter().flat_map(serde_json::Map::values);
        let used: BTreeSet<&str> = syncs.filter_map(|sync| sync["model"].as_str()).collect();
        let mut checked = Vec::new();
        for name in self.sources.0.keys() {
            let mut models = self.models.iter().filter(|(_, model)| model.source_name == *name);
            if !models.any(|(model, _)| used.contains(model.as_str())) {
                let found = self.sources.check(name).await.map(|check| check.version.unwrap_or_default());
                checked.push((format!("source {name}"), found));
            }
        }
        for (name, model) in self.models.iter().filter(|(name, _)| !used.contains(name.as_str())) {
            if let Some(query) = model.model.configured() {
                let columns = model.source.describe(query).await;
                let found = columns.map(|columns| format!("{} columns", columns.len()));
                checked.push((format!("model {name}"), found.map_err(Error::from)));
            }
        }
        checked
    }
}

/// Reads at most `limit` rows of a query and hands each to `show` as a JSON object. Returns the columns.
pub(super) async fn read_rows(
    source: &Source,
    query: &Query,
    limit: u64,
    mut show: impl FnMut(&[u8]),
) -> Result<Vec<Column>, Error> {
    let columns = source.describe(query).await?;
    let (sender, mut batches) = mpsc::channel::<RowBatch>(BATCHES_WAITING_MAX);
    let read = source.stream(query, sender, &columns, Some(limit));
    let show = async {
        let mut object = Vec::new();
        while let Some(batch) = batches.recv().await {
            for row in 0..batch.rows() {
                write_object(&columns, &batch, row, &mut object);
                show(&object);
            }
        }
    };
    let (read, ()) = tokio::join!(read, show);
    read?;
    Ok(columns)
}

fn write_object(columns: &[Column], batch: &RowBatch, row: usize, object: &mut Vec<u8>) {
    object.clear();
    object.push(b'{');
    for (at, column) in columns.iter().enumerate() {
        if at > 0 {
            object.push(b',');
        }
        json::write_string(object, column.name.as_bytes());
        object.push(b':');
        match batch.cell(row, at) {
            (CellKind::Null, _) => object.extend_from_slice(b"null"),
            (CellKind::Text, text) => json::write_string(object, text),
            // The reason stands where the value cannot, and is no text of the source.
            (CellKind::Invalid, reason) => {
                object.extend_from_slice(b"{\"rejected\":");
                json::write_string(object, reason);
                object.push(b'}');
            }
            (_, text) => object.extend_from_slice(text),
        }
    }
    object.push(b'}');
}
