//! Reading the source on a thread of its own, with an async runtime of its own: socket and decoder
//! stay on one core, nobody is woken across threads for every few kilobytes, and the thread is as
//! nice as the others of a run. Measured: a quarter of the CPU of an unchanged sync.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{error::Error, plan::Plan};
use crate::{
    domain::row::RowBatch,
    source::Source,
    support::{background::spawn_thread, shutdown::Shutdown},
};

/// Reads the model to its end, into `batches`; then sends on `ended`. Dropping the future ends
/// the query.
pub(super) async fn read(
    source: Source,
    plan: Arc<Plan>,
    batches: mpsc::Sender<RowBatch>,
    ended: oneshot::Sender<()>,
) -> Result<(), Error> {
    let cancel = Shutdown::new();
    let _cancels_when_dropped = cancel.clone().drop_guard();
    let (done, result) = oneshot::channel();
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let read = match runtime {
            Ok(runtime) => runtime.block_on(async {
                tokio::select! {
                    read = source.stream(&plan.spec.query, batches, &plan.columns, None) => read.map_err(Error::from),
                    () = cancel.cancelled() => Err(Error::Cancelled),
                }
            }),
            Err(source) => Err(Error::ThreadRefused { source }),
        };
        if read.is_ok() {
            // The run's thread may have failed first and be gone; its own error tells.
            let _ = ended.send(());
        }
        let _ = done.send(read);
    };
    spawn_thread("larder-source", work).map_err(|source| Error::ThreadRefused { source })?;
    result.await.unwrap_or(Err(Error::WorkerDied))
}
