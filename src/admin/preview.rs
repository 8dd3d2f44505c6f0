//! Records as they would be served, straight from the source.

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;

use super::{check::check_sync, error::Error};
use crate::{
    domain::{record::Record, reject::Rejection},
    engine::SyncSpec,
    source::Source,
};

/// Batches that wait for the reader.
const BATCHES_WAITING_MAX: usize = 2;

/// Reads up to `limit` rows and hands each to `show`: its record, or why it has none.
pub async fn preview(
    spec: &SyncSpec,
    source: &Source,
    data_as_of: DateTime<Utc>,
    limit: u64,
    mut show: impl FnMut(&Record, Result<(), Rejection>),
) -> Result<(), Error> {
    let checked = check_sync(spec, source).await?;
    let (sender, mut batches) = mpsc::channel(BATCHES_WAITING_MAX);
    let mut mapper = checked.mapping.mapper(data_as_of);
    let mut record = Record::default();
    let read = source.stream(&spec.query, sender, &checked.columns, Some(limit));
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
    Ok(read?)
}
