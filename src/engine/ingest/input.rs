//! The input of a run, resolved when the run begins.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::engine::{error::Error, plan::RunPlan, spec::SyncSpec};
use crate::{
    domain::row::{Column, RowBatch},
    source::{Query, Source},
    support::{background, shutdown::Shutdown},
};

/// What a run reads.
#[derive(Clone)]
pub(in crate::engine) enum Input {
    /// All rows of a query in one snapshot. A served record without a row has therefore left the model.
    Snapshot { source: Source, query: Query },
}

impl Input {
    /// The input of a run that begins now.
    pub(in crate::engine) async fn resolve(spec: &SyncSpec, source: &Source) -> Result<Self, Error> {
        let query = spec.resolve(source).await?;
        Ok(Self::Snapshot { source: spec.model.source(source), query })
    }

    /// What is read, as people see it.
    pub(in crate::engine) fn text(&self) -> String {
        let Self::Snapshot { query, .. } = self;
        query.to_string()
    }

    /// The columns of its rows. No row is read.
    pub(in crate::engine) async fn describe(&self) -> Result<Vec<Column>, Error> {
        let Self::Snapshot { source, query } = self;
        Ok(source.describe(query).await?)
    }

    async fn stream(&self, batches: mpsc::Sender<RowBatch>, columns: &[Column]) -> Result<(), Error> {
        let Self::Snapshot { source, query } = self;
        Ok(source.stream(query, batches, columns, None).await?)
    }

    /// Sends all rows to `batches`, then reports the end on `ended`. Dropping the future ends the query.
    ///
    /// A thread of its own reads, with an async runtime of its own: socket and decoder stay on one core,
    /// and no thread is woken for every few kilobytes. Measured: a quarter of the CPU of an unchanged sync.
    pub(super) async fn read(
        self,
        plan: Arc<RunPlan>,
        batches: mpsc::Sender<RowBatch>,
        ended: oneshot::Sender<()>,
    ) -> Result<(), Error> {
        let cancel = Shutdown::new();
        let _cancels_when_dropped = cancel.clone().drop_guard();
        let read = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let read = runtime.map_err(Error::ThreadRefused)?.block_on(async {
                tokio::select! {
                    read = self.stream(batches, &plan.columns) => read,
                    () = cancel.cancelled() => Err(Error::Cancelled),
                }
            });
            if read.is_ok() {
                // The receiver is gone when the ingesting thread failed first; its own error is reported.
                let _ = ended.send(());
            }
            read
        };
        let result = background::spawn_thread("larder-source", read).map_err(Error::ThreadRefused)?;
        result.await.unwrap_or(Err(Error::WorkerDied))
    }
}
