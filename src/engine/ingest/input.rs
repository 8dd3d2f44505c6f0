//! The input of a run, resolved when the run begins.

use tokio::sync::{mpsc, oneshot};

use crate::engine::{
    error::Error,
    increment::{IncrementPlan, check_alike},
    spec::SyncSpec,
};
use crate::{
    domain::row::{Column, RowBatch},
    source::{Query, Source},
    support::{background, shutdown::Shutdown},
};

/// What a run reads: all rows of a query in one snapshot.
#[derive(Clone)]
pub(in crate::engine) struct Input {
    pub(in crate::engine) source: Source,
    pub(in crate::engine) query: Query,
    /// The columns of the rows.
    pub(in crate::engine) columns: Vec<Column>,
}

impl Input {
    /// The input of a run that begins now: the whole model. Its columns are not known yet.
    pub(in crate::engine) async fn resolve(spec: &SyncSpec, source: &Source) -> Result<Self, Error> {
        let query = spec.resolve(source).await?;
        Ok(Self { source: spec.model.source(source), query, columns: Vec::new() })
    }

    /// What is read, as people see it.
    pub(in crate::engine) fn text(&self) -> String {
        self.source.text(&self.query)
    }

    /// The columns of its rows. No row is read.
    pub(in crate::engine) async fn describe(&self) -> Result<Vec<Column>, Error> {
        Ok(self.source.describe(&self.query).await?)
    }

    /// The increment of `plan`, when it reads one, in place of the whole model.
    ///
    /// # Errors
    /// Those of a query of changes, also when it has not the columns of the model.
    pub(in crate::engine) async fn narrowed(self, plan: &IncrementPlan) -> Result<Self, Error> {
        let Some(query) = plan.query(&self.query, &self.columns) else { return Ok(self) };
        let Self { source, columns: of_model, .. } = self;
        let described = source.describe(&query).await;
        let columns = described
            .map_err(|error| if plan.reads_changes() { error.of_part("changes_sql") } else { error })?;
        check_alike(&of_model, &columns)?;
        Ok(Self { source, query, columns })
    }

    /// Sends all rows to `batches`, then reports the end on `ended`. Dropping the future ends the query.
    ///
    /// A thread of its own reads, with an async runtime of its own: socket and decoder stay on one core,
    /// and no thread is woken for every few kilobytes. Measured: a quarter of the CPU of an unchanged sync.
    pub(super) async fn read(
        self,
        batches: mpsc::Sender<RowBatch>,
        ended: oneshot::Sender<()>,
    ) -> Result<(), Error> {
        let cancel = Shutdown::new();
        let _cancels_when_dropped = cancel.clone().drop_guard();
        let read = move || {
            let Self { source, query, columns } = self;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let read = runtime.map_err(Error::ThreadRefused)?.block_on(async {
                tokio::select! {
                    read = source.stream(&query, batches, &columns, None) => read.map_err(Error::from),
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
