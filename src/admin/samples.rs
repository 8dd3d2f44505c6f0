//! The first rows of models, cached for a short time, so that a preview that follows a form reads from the source once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{OwnedMutexGuard, mpsc};

use super::{Configuration, ConfiguredModel, Error, registry::compile};
use crate::{
    domain::{Column, Digest, Record, RejectedRow, row::RowBatch},
    model::Model,
    scheduler::ScheduledSync,
    support::clock::Clock,
};

/// Rows of a sample.
pub const SAMPLE_ROWS: u64 = 20;
/// A sample takes no more rows when it has so many bytes.
const SAMPLE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Samples that are kept; the oldest one makes room.
const SAMPLES_MAX: usize = 16;
/// How long a sample is kept: as long as somebody takes to write a field.
const KEPT_FOR: TimeDelta = TimeDelta::seconds(30);
/// Batches that may wait to be taken.
const BATCHES_WAITING_MAX: usize = 1;

/// The first rows of a model.
#[derive(Debug)]
pub struct Sample {
    /// The columns of the model.
    pub columns: Vec<Column>,
    batches: Vec<RowBatch>,
}

/// What a sync makes of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedRow {
    /// Its number; 0 is the first row.
    pub at: usize,
    /// Rows of the sample.
    pub rows: usize,
    /// The record as JSON, or why the row is rejected; `None` if there is no row.
    pub outcome: Option<Result<String, RejectedRow>>,
    /// What works in the mapping, but probably not as meant.
    pub warnings: Vec<String>,
}

/// What a sample is of.
#[derive(Debug, PartialEq)]
struct Key {
    name: String,
    source: Digest,
    model: Model,
}

#[derive(Debug)]
struct Kept {
    key: Key,
    read_at: DateTime<Utc>,
    sample: Arc<Sample>,
}

/// Samples of models. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Samples {
    clock: Clock,
    kept: Arc<Mutex<Vec<Kept>>>,
    turns: Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>,
}

impl Samples {
    /// None yet.
    pub fn new(clock: Clock) -> Self {
        Self { clock, kept: Arc::default(), turns: Arc::default() }
    }

    /// Waits until nothing else is read of a source for `holder`, which is a session or key.
    pub async fn turn(&self, holder: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that nobody waits for or has.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(holder.to_owned()).or_default())
        };
        turn.lock_owned().await
    }

    /// The first rows of a model: those that were read a short time ago, or else of its source.
    ///
    /// # Errors
    /// [`Error::UnknownModel`], [`Error::Source`], and those of a model of dbt, Looker or Sigma.
    pub async fn read(&self, configuration: &Configuration, model: &str) -> Result<Arc<Sample>, Error> {
        let configured = configuration.model(model)?;
        let key = Key {
            name: model.to_owned(),
            source: configured.source.digest(),
            model: configured.model.clone(),
        };
        if let Some(sample) = self.find(&key) {
            return Ok(sample);
        }
        let sample = Arc::new(Sample::read(configured, model).await?);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.key != key);
        if kept.len() >= SAMPLES_MAX {
            kept.remove(0);
        }
        kept.push(Kept { key, read_at: self.clock.now(), sample: Arc::clone(&sample) });
        Ok(sample)
    }

    fn find(&self, key: &Key) -> Option<Arc<Sample>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        kept.retain(|kept| (now - kept.read_at).abs() < KEPT_FOR);
        kept.iter().find(|kept| kept.key == *key).map(|kept| Arc::clone(&kept.sample))
    }
}

impl Sample {
    async fn read(configured: &ConfiguredModel, name: &str) -> Result<Self, Error> {
        let query = configured.resolve(name).await?;
        let columns = configured.source.describe(&query).await?;
        let (sender, mut arriving) = mpsc::channel::<RowBatch>(BATCHES_WAITING_MAX);
        let read = configured.source.stream(&query, sender, &columns, Some(SAMPLE_ROWS));
        let take = async {
            let (mut batches, mut bytes) = (Vec::new(), 0);
            while bytes < SAMPLE_BYTES_MAX
                && let Some(batch) = arriving.recv().await
            {
                bytes += batch.bytes();
                batches.push(batch);
            }
            // Closed, so that the source sends no more.
            drop(arriving);
            batches
        };
        let (read, batches) = tokio::join!(read, take);
        read?;
        Ok(Self { columns, batches })
    }

    /// What `sync` makes of the row `at`, or of the last one.
    pub(super) fn map(
        &self,
        sync: &ScheduledSync,
        at: usize,
        now: DateTime<Utc>,
    ) -> Result<MappedRow, Error> {
        let mapping = compile(&sync.spec, &self.columns)?;
        let rows = self.batches.iter().map(RowBatch::rows).sum::<usize>();
        let at = at.min(rows.saturating_sub(1));
        let mut in_batch = at;
        let batch = self.batches.iter().find(|batch| {
            let is_within = in_batch < batch.rows();
            in_batch -= if is_within { 0 } else { batch.rows() };
            is_within
        });
        let outcome = batch.map(|batch| {
            let mut record = Record::default();
            match mapping.mapper(now).map(batch, in_batch, &mut record) {
                Ok(()) => Ok(String::from_utf8_lossy(&record.body).into_owned()),
                Err(rejection) => Err(RejectedRow {
                    reason: rejection.reason.to_string(),
                    field: rejection.field,
                    primary_key: Some(record.key).filter(|key| !key.is_empty()),
                }),
            }
        });
        Ok(MappedRow { at, rows, outcome, warnings: mapping.warnings() })
    }
}
