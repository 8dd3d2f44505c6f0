//! The streaming part of a run: source → workers → sequencer, on threads of their own, niced, so
//! that a node that serves reads beside a sync goes on serving them.

use std::{
    sync::{Arc, Mutex, mpsc as std_mpsc},
    thread,
};

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;

use super::{
    diff::BaseTable,
    error::Error,
    progress::Progress,
    sequencer::Sequencer,
    spec::Compression,
    spool::{Outbox, Spool},
    worker::{Mapped, Shared, Worker},
};
use crate::{
    domain::{manifest::SegmentKind, name::CollectionName, record::Record, row::RowBatch},
    mapping::Mapping,
    segment::{self, Codec, Dictionary, IndexColumn, SAMPLE_BYTES_MAX, SAMPLES_MAX, SegmentHeader},
};

/// Batches that wait for a worker, half a megabyte each: a source may run ahead while the table of
/// what is served is built.
pub(super) const BATCHES_WAITING_MAX: usize = 96;
/// Results of workers that wait for the sequencer.
const RESULTS_WAITING_MAX: usize = 8;

/// What the stream is compared with and written as.
pub(super) struct Task<'a> {
    pub(super) collection: &'a CollectionName,
    pub(super) mapping: &'a Mapping,
    pub(super) base: &'a BaseTable,
    /// The codec of change segments; `None` writes a new base with a codec of its own.
    pub(super) codec: Option<Codec>,
    pub(super) compression: Compression,
    pub(super) data_as_of: DateTime<Utc>,
    pub(super) fingerprint_seed: u64,
    pub(super) spool_bytes_max: u64,
    pub(super) progress: Progress,
}

impl Task<'_> {
    /// Takes all batches to their end. Blocks; ends early, without error, when `batches` is
    /// closed by a source that failed: the caller asks the source.
    pub(super) fn run(
        &self,
        mut batches: mpsc::Receiver<RowBatch>,
        outbox: Outbox,
    ) -> Result<(Sequencer, Codec), Error> {
        let mut first = Vec::new();
        let codec = if let Some(codec) = &self.codec {
            codec.clone()
        } else {
            first = first_batches(&mut batches);
            self.choose_codec(&first)
        };
        let rebuild = self.codec.is_none();
        let spool = Spool::new(self.header(&codec, rebuild), self.spool_bytes_max, outbox);
        let indexes = self.mapping.indexes().len();
        let mut sequencer = Sequencer::new(spool, indexes, self.progress.clone());
        let shared = Shared {
            mapping: self.mapping,
            base: self.base,
            codec: &codec,
            data_as_of: self.data_as_of,
            fingerprint_seed: self.fingerprint_seed,
            rebuild,
        };
        let queue = Mutex::new((first.into_iter(), batches));
        let (sender, receiver) = std_mpsc::sync_channel(RESULTS_WAITING_MAX);
        thread::scope(|scope| {
            for number in 0..workers() {
                let (queue, sender, shared) = (&queue, sender.clone(), &shared);
                let worker = move || work(shared, queue, &sender);
                match thread::Builder::new().spawn_scoped(scope, worker) {
                    Ok(_) => {}
                    Err(source) if number == 0 => return Err(Error::ThreadRefused { source }),
                    // The workers that started take all batches.
                    Err(_) => break,
                }
            }
            drop(sender);
            // An early end drops `receiver`, which ends the workers too.
            receiver.into_iter().try_for_each(|mapped| sequencer.take(mapped?))
        })?;
        Ok((sequencer, codec))
    }

    fn header(&self, codec: &Codec, rebuild: bool) -> SegmentHeader {
        segment_header(
            self.collection,
            self.mapping,
            if rebuild { SegmentKind::Base } else { SegmentKind::Changes },
            codec,
        )
    }

    fn choose_codec(&self, first: &[RowBatch]) -> Codec {
        if self.compression == Compression::None {
            return Codec::Plain;
        }
        let mut mapper = self.mapping.mapper(self.data_as_of);
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
        codec_for(&samples, &sizes)
    }
}

/// The header of a collection's segments.
pub(super) fn segment_header(
    collection: &CollectionName,
    mapping: &Mapping,
    kind: SegmentKind,
    codec: &Codec,
) -> SegmentHeader {
    SegmentHeader {
        collection: collection.clone(),
        kind,
        secondary: mapping
            .indexes()
            .iter()
            .skip(1)
            .map(|index| IndexColumn { name: index.name.clone(), each: index.each })
            .collect(),
        codec: codec.clone(),
        embed_dictionary: kind == SegmentKind::Base,
    }
}

/// The codec for bodies like `samples`: compressed when a dictionary can be trained and pays.
pub(super) fn codec_for(samples: &[u8], sizes: &[usize]) -> Codec {
    Dictionary::train(samples, sizes)
        .map(Arc::new)
        .filter(|dictionary| segment::pays(samples, sizes, dictionary))
        .map_or(Codec::Plain, Codec::Zstd)
}

fn workers() -> usize {
    thread::available_parallelism().map_or(1, usize::from).clamp(1, 8)
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
        // A sequencer that is gone has an error of its own to show.
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
