//! From batches of rows to changes: workers map and compare, one sequencer writes. Their threads have low
//! priority, so that reads of the same node stay fast during a sync.

use std::{
    sync::{Arc, Mutex, mpsc as std_mpsc},
    thread,
};

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;

use super::{
    diff::BaseTable,
    segment_writer::{SegmentWriter, UploadQueue, segment_header},
    sequencer::Sequencer,
    worker::{Mapped, Shared, Worker},
};
use crate::{
    domain::{record::Record, row::RowBatch},
    engine::{error::Error, plan::RunPlan, progress::Progress, spec::Compression},
    segment::{self, Codec, Dictionary, SAMPLE_BYTES_MAX, SAMPLES_MAX},
};

/// Batches that wait for a worker, half a megabyte each: a source may run ahead while the table of the
/// served records is built.
pub(super) const BATCHES_WAITING_MAX: usize = 96;
/// Results of workers that wait for the sequencer.
const RESULTS_WAITING_MAX: usize = 8;
/// Most workers of one run.
const WORKERS_MAX: usize = 8;

/// What rows are compared with and written as.
pub(super) struct Pipeline<'a> {
    pub(super) plan: &'a RunPlan,
    pub(super) base: &'a BaseTable,
    /// The codec of change segments; `None` writes a new base with a codec of its own.
    pub(super) codec: Option<Codec>,
    pub(super) data_as_of: DateTime<Utc>,
    pub(super) bytes_max: u64,
    pub(super) progress: Progress,
}

impl Pipeline<'_> {
    /// Takes all batches to their end. Blocks. Ends early, without error, when a source that failed
    /// closes `batches`: the caller has the source's error.
    pub(super) fn run(
        self,
        mut batches: mpsc::Receiver<RowBatch>,
        queue: UploadQueue,
    ) -> Result<(Sequencer, Codec), Error> {
        let Self { plan, base, data_as_of, .. } = self;
        let mut first = Vec::new();
        let codec = self.codec.unwrap_or_else(|| {
            first = first_batches(&mut batches);
            choose_codec(plan, data_as_of, &first)
        });
        let indexes = plan.mapping.indexes();
        let header = segment_header(&plan.spec.collection, indexes, plan.kind(), &codec);
        let writer = SegmentWriter::new(header, self.bytes_max, queue);
        let mut sequencer = Sequencer::new(writer, indexes.len(), self.progress);
        let shared = Shared { plan, base, codec: &codec, data_as_of };
        let queue = Mutex::new((first.into_iter(), batches));
        let (sender, receiver) = std_mpsc::sync_channel(RESULTS_WAITING_MAX);
        thread::scope(|scope| {
            for number in 0..threads() {
                let (queue, sender, shared) = (&queue, sender.clone(), &shared);
                let worker = move || work(shared, queue, &sender);
                match thread::Builder::new().spawn_scoped(scope, worker) {
                    Ok(_) => {}
                    Err(refused) if number == 0 => return Err(Error::ThreadRefused(refused)),
                    // The workers that started take all batches.
                    Err(_) => break,
                }
            }
            drop(sender);
            // An early end drops `receiver`, which ends the workers too.
            receiver.into_iter().try_for_each(|mapped| sequencer.add(mapped?))
        })?;
        Ok((sequencer, codec))
    }
}

/// The codec of a new base, chosen by its first records.
fn choose_codec(plan: &RunPlan, data_as_of: DateTime<Utc>, first: &[RowBatch]) -> Codec {
    if plan.spec.compression == Compression::None {
        return Codec::Plain;
    }
    let mut mapper = plan.mapping.mapper(data_as_of);
    let mut record = Record::default();
    let (mut samples, mut sizes) = (Vec::new(), Vec::new());
    for batch in first {
        for row in 0..batch.rows() {
            record.clear();
            if sizes.len() < SAMPLES_MAX && mapper.map(batch, row, &mut record).is_ok() {
                samples.extend_from_slice(&record.body);
                sizes.push(record.body.len());
            }
        }
    }
    train_codec(&samples, &sizes)
}

/// The codec for bodies like `samples`: compressed when a dictionary can be trained and makes them smaller.
pub(in crate::engine) fn train_codec(samples: &[u8], sizes: &[usize]) -> Codec {
    Dictionary::train(samples, sizes)
        .map(Arc::new)
        .filter(|dictionary| segment::pays(samples, sizes, dictionary))
        .map_or(Codec::Plain, Codec::Zstd)
}

/// Threads of one run: one a core.
pub(in crate::engine) fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from).clamp(1, WORKERS_MAX)
}

fn first_batches(batches: &mut mpsc::Receiver<RowBatch>) -> Vec<RowBatch> {
    let mut first = Vec::new();
    let (mut rows, mut bytes) = (0, 0);
    while rows < SAMPLES_MAX && bytes < SAMPLE_BYTES_MAX {
        let Some(batch) = batches.blocking_recv() else { break };
        rows += batch.rows();
        bytes += batch.bytes();
        first.push(batch);
    }
    first
}

type Queue = Mutex<(std::vec::IntoIter<RowBatch>, mpsc::Receiver<RowBatch>)>;

fn work(shared: &Shared<'_>, queue: &Queue, sender: &std_mpsc::SyncSender<Result<Mapped, Error>>) {
    let mut worker = match Worker::new(shared) {
        Ok(worker) => worker,
        // The sequencer is gone when it failed; its own error is reported.
        Err(error) => return drop(sender.send(Err(error))),
    };
    loop {
        let batch = {
            let Ok(mut queue) = queue.lock() else { return };
            let (first, batches) = &mut *queue;
            first.next().or_else(|| batches.blocking_recv())
        };
        let Some(batch) = batch else { return };
        if sender.send(worker.map(&batch)).is_err() {
            return;
        }
    }
}
