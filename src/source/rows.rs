//! Where decoded rows go: batches of bounded size, sent to a bounded queue.

use tokio::{
    sync::mpsc::{self, Sender},
    task::spawn_blocking,
};

use super::{
    error::{Error, connection_lost},
    types::Conversion,
};
use crate::domain::RowBatch;

/// Collects rows and sends each batch when it is full.
#[derive(Debug)]
pub(super) struct RowSender {
    queue: Sender<RowBatch>,
    columns: usize,
    conversion: Option<Conversion>,
    /// The batch that is being filled.
    pub(super) batch: RowBatch,
}

/// The receiver was dropped: no more rows are wanted.
#[derive(Debug)]
pub(super) struct Closed;

impl RowSender {
    pub(super) fn new(queue: Sender<RowBatch>, columns: usize) -> Self {
        Self { queue, columns, conversion: None, batch: RowBatch::new(columns) }
    }

    /// Converts the rows of each batch before it is sent.
    pub(super) fn with_conversion(self, conversion: Option<Conversion>) -> Self {
        Self { conversion, ..self }
    }

    /// Whether the batch should be sent before another row is added.
    pub(super) fn is_full(&self) -> bool {
        self.batch.is_full()
    }

    /// Sends the rows collected so far; waits while the queue is full.
    pub(super) async fn send(&mut self) -> Result<(), Closed> {
        if self.batch.rows() == 0 {
            return Ok(());
        }
        let batch = self.take_batch();
        self.queue.send(batch).await.map_err(|_| Closed)
    }

    /// As [`Self::send`], on a thread that may block.
    pub(super) fn send_blocking(&mut self) -> Result<(), Closed> {
        if self.batch.rows() == 0 {
            return Ok(());
        }
        let batch = self.take_batch();
        self.queue.blocking_send(batch).map_err(|_| Closed)
    }

    /// Runs `read` on a thread that may block and passes on the rows that it sends. When this future
    /// is dropped, the next batch that `read` sends is [`Closed`].
    pub(super) async fn read_blocking(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let (queue, mut batches) = mpsc::channel(1);
        let mut rows = Self::new(queue, self.columns);
        let reading = spawn_blocking(move || {
            read(&mut rows)?;
            let _ = rows.send_blocking();
            Ok(())
        });
        while let Some(batch) = batches.recv().await {
            self.batch = batch;
            if self.send().await.is_err() {
                return Ok(());
            }
        }
        reading.await.unwrap_or_else(|_| Err(connection_lost("the reading thread ended")))
    }

    fn take_batch(&mut self) -> RowBatch {
        let batch = std::mem::replace(&mut self.batch, RowBatch::new(self.columns));
        match &mut self.conversion {
            Some(conversion) => conversion.convert(&batch),
            None => batch,
        }
    }
}
