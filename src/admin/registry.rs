//! The syncs of a publisher, each with its source and schedule: the one place where they are looked up.

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, watch};

use super::{error::Error, listed};
use crate::{
    domain::{CollectionName, Column, Record, RegionName, Rejection, keyset::Scope, name::IndexName},
    engine::SyncSpec,
    mapping::Mapping,
    scheduler::ScheduledSync,
    source::Query,
};

/// Batches of a preview that wait to be mapped.
const BATCHES_WAITING_MAX: usize = 2;

/// The configured syncs. Cheap to clone; a replacement is seen by every clone and by the scheduler.
#[derive(Clone)]
pub struct Registry(Arc<watch::Sender<Arc<Vec<ScheduledSync>>>>);

/// A sync whose mapping fits the columns of its model.
pub struct CheckedSync {
    /// The query that the model resolves to.
    pub query: Query,
    /// The model's columns.
    pub columns: Vec<Column>,
    /// The mapping, compiled for them.
    pub mapping: Mapping,
}

impl Registry {
    /// A registry of `syncs`.
    pub fn new(syncs: Vec<ScheduledSync>) -> Self {
        Self(Arc::new(watch::Sender::new(Arc::new(syncs))))
    }

    /// Replaces all syncs; runs under way end as they began.
    pub fn replace(&self, syncs: Vec<ScheduledSync>) {
        self.0.send_replace(Arc::new(syncs));
    }

    /// The syncs, and every replacement of them.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Vec<ScheduledSync>>> {
        self.0.subscribe()
    }

    /// The names of all syncs.
    pub fn names(&self) -> BTreeSet<CollectionName> {
        self.0.borrow().iter().map(|sync| sync.spec.collection.clone()).collect()
    }

    /// The regions that syncs name.
    pub fn regions(&self) -> BTreeSet<RegionName> {
        let syncs = self.0.borrow();
        syncs.iter().filter_map(|sync| sync.spec.serving.regions.clone()).flatten().collect()
    }

    /// Whether a sync of this name is configured.
    pub fn has(&self, name: &CollectionName) -> bool {
        self.0.borrow().iter().any(|sync| sync.spec.collection == *name)
    }

    /// Whether a sync whose collection `scope` opens has an index of this name.
    pub fn has_index(&self, scope: &Scope, name: &IndexName) -> bool {
        let syncs = self.0.borrow();
        let mut open = syncs.iter().filter(|sync| scope.opens(sync.spec.collection.as_str()));
        open.any(|sync| sync.spec.mapping.indexes.iter().any(|index| index.name == *name))
    }

    /// The sync of this name.
    ///
    /// # Errors
    /// [`Error::UnknownSync`].
    pub fn find(&self, name: &str) -> Result<ScheduledSync, Error> {
        let syncs = self.0.borrow();
        let found = syncs.iter().find(|sync| sync.spec.collection.as_str() == name);
        found.cloned().ok_or_else(|| {
            let known = listed(syncs.iter().map(|sync| sync.spec.collection.as_str()));
            Error::UnknownSync { name: name.to_owned(), known }
        })
    }

    /// Asks the source of a sync for the columns of its model and of its increments, and compiles the mapping for them. Rows
    /// are read only to see what a cursor's column has.
    ///
    /// # Errors
    /// [`Error::UnknownSync`], [`Error::Mapping`], [`Error::Source`].
    pub async fn check(&self, name: &str) -> Result<CheckedSync, Error> {
        let sync = self.find(name)?;
        let checked = check(&sync).await?;
        if let Some(increment) = &sync.spec.increment {
            let source = sync.spec.model.source(&sync.source);
            increment.check_queries(&source, &checked.query, &checked.columns).await?;
        }
        Ok(checked)
    }

    /// Reads up to `limit` rows of a sync from its source and hands each to `show`: its record, or why it
    /// has none. Nothing is stored.
    ///
    /// # Errors
    /// As [`Registry::check`].
    pub async fn preview(
        &self,
        name: &str,
        data_as_of: DateTime<Utc>,
        limit: u64,
        mut show: impl FnMut(&Record, Result<(), Rejection>),
    ) -> Result<Vec<String>, Error> {
        let sync = self.find(name)?;
        let checked = check(&sync).await?;
        let (sender, mut batches) = mpsc::channel(BATCHES_WAITING_MAX);
        let mut mapper = checked.mapping.mapper(data_as_of);
        let mut record = Record::default();
        let source = sync.spec.model.source(&sync.source);
        let read = source.stream(&checked.query, sender, &checked.columns, Some(limit));
        let map = async {
            while let Some(batch) = batches.recv().await {
                for row in 0..batch.rows() {
                    record.clear();
                    let outcome = mapper.map(&batch, row, &mut record);
                    show(&record, outcome);
                }
            }
        };
        let (read, ()) = tokio::join!(read, map);
        read?;
        Ok(checked.mapping.warnings())
    }
}

async fn check(sync: &ScheduledSync) -> Result<CheckedSync, Error> {
    let ScheduledSync { spec, source, .. } = sync;
    let query = spec.resolve(source).await?;
    let columns = spec.model.source(source).describe(&query).await?;
    let mapping = compile(spec, &columns)?;
    Ok(CheckedSync { query, columns, mapping })
}

/// The mapping of a sync for these columns of its model.
///
/// # Errors
/// [`Error::Mapping`], and those of an increment that does not fit.
pub(super) fn compile(spec: &SyncSpec, columns: &[Column]) -> Result<Mapping, Error> {
    if let Some(increment) = &spec.increment {
        increment.check(columns)?;
    }
    let faulty = |faults| Error::Mapping { sync: spec.collection.clone(), faults };
    Mapping::compile(&spec.mapping, columns).map_err(faulty)
}
