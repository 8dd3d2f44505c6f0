//! Where decoded rows go: batches of bounded size, sent to a bounded queue.

use tokio::sync::mpsc::Sender;

use crate::domain::{
    limits::{BATCH_BYTES, BATCH_ROWS},
    row::RowBatch,
};

/// Collects rows and sends each batch when it is full.
#[derive(Debug)]
pub(super) struct RowSender {
    queue: Sender<RowBatch>,
    columns: usize,
    /// The batch that is being filled.
    pub(super) batch: RowBatch,
}

/// The receiver is gone; nobody wants more rows.
#[derive(Debug)]
pub(super) struct Closed;

impl RowSender {
    pub(super) fn new(queue: Sender<RowBatch>, columns: usize) -> Self {
        Self { queue, columns, batch: RowBatch::new(columns) }
    }

    /// Whether the batch should be sent before another row is added.
    pub(super) fn is_full(&self) -> bool {
        self.batch.bytes() >= BATCH_BYTES || self.batch.rows() >= BATCH_ROWS
    }

    /// Sends the rows collected so far; waits while the queue is full.
    pub(super) async fn send(&mut self) -> Result<(), Closed> {
        if self.batch.rows() == 0 {
            return Ok(());
        }
        let batch = std::mem::replace(&mut self.batch, RowBatch::new(self.columns));
        self.queue.send(batch).await.map_err(|_| Closed)
    }
}
