//! Ingest: input → records → changes → segments in the store.
//!
//! A thread of its own reads the input ([`input`]). Workers, one a core, map rows to records and compare
//! them with the served ones ([`worker`], [`diff`]). The sequencer, one thread, sees every new key, finds
//! duplicate keys and writes segments ([`sequencer`], [`segment_writer`]), which a task uploads as soon as
//! they are full ([`upload`]). After the last row the records that no row replaces are written
//! ([`remaining`]), and puts of duplicate keys are retracted ([`retract`]).

mod base_table;
mod conflict_keys;
mod conflicts;
mod diff;
mod input;
mod pipeline;
mod rejected;
mod remaining;
mod retract;
mod segment_writer;
mod sequencer;
mod stream;
mod table_file;
mod upload;
mod worker;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, oneshot};

pub(super) use self::{
    base_table::read_table,
    diff::{BaseTable, Location, Origin},
    input::Input,
    pipeline::{threads, train_codec},
    segment_writer::{SegmentWriter, UploadQueue, row_print, segment_header},
    upload::Uploader,
};
use self::{
    conflict_keys::list_conflicts, pipeline::BATCHES_WAITING_MAX, retract::retract_duplicates,
    stream::Streamed, upload::Uploaded,
};
use super::{Engine, base::SegmentReader, error::Error, increment::Marks, plan::RunPlan, progress::Progress};
use crate::{
    domain::{
        id::RunId,
        manifest::SegmentReference,
        run::{RejectedRow, RunCounts},
    },
    support::background,
};

/// What to ingest, and how.
pub(super) struct Ingest {
    pub(super) input: Input,
    pub(super) plan: Arc<RunPlan>,
    pub(super) run_id: RunId,
    pub(super) data_as_of: DateTime<Utc>,
    pub(super) progress: Progress,
    /// Count and compare only; write nothing.
    pub(super) dry_run: bool,
}

/// The result of an ingest.
pub(super) struct Ingested {
    pub(super) counts: RunCounts,
    /// The new segments, in order.
    pub(super) segments: Vec<SegmentReference>,
    pub(super) rejected: Vec<RejectedRow>,
    /// What the rows say about the cursor of increments.
    pub(super) marks: Marks,
    /// Of a dry run: a sum over all rows that it would write.
    pub(super) sum: Option<u128>,
}

impl Engine {
    /// Reads the input to its end, compares it with the base and uploads what differs. No reader sees
    /// anything of it.
    pub(super) async fn ingest(&self, ingest: Ingest) -> Result<Ingested, Error> {
        let plan = ingest.plan.clone();
        let uploader = Uploader::new(self, ingest.run_id, plan.kind(), &plan.spec.collection, plan.version);
        let (mut streamed, mut uploaded) = self.stream(ingest, &uploader).await?;
        let (counts, sum) = (streamed.counts, streamed.sum);
        let marks = std::mem::take(&mut streamed.sequencer.marks);
        let mut reader = SegmentReader::new(self);
        let streamed_segments = uploaded.clone();
        let (sender, segments) = mpsc::channel(1);
        let retract = move || {
            reader.add_dictionary(&streamed.base_codec);
            reader.add_dictionary(&streamed.codec);
            list_conflicts(&plan, &mut streamed, &streamed_segments, &mut reader)?;
            let replacements =
                retract_duplicates(&plan, &streamed, &streamed_segments, &mut reader, &sender)?;
            Ok((replacements, streamed.sequencer.rejected.into_rows()))
        };
        let retracted = background::spawn_thread("larder-retract", retract).map_err(Error::ThreadRefused)?;
        let (retracted, rewritten) = tokio::join!(retracted, uploader.run(segments));
        let ((replacements, rejected), mut rewritten) = first_cause(retracted, rewritten)?;
        for (replaced, by) in replacements {
            uploaded.remove(&replaced);
            match by.and_then(|by| rewritten.remove(&by)) {
                Some(reference) => drop(uploaded.insert(replaced, reference)),
                None => uploader.discard(replaced).await,
            }
        }
        Ok(Ingested { counts, segments: uploaded.into_values().collect(), rejected, marks, sum })
    }

    /// Runs the source, the ingesting thread and the upload side by side. Of several errors the cause of the
    /// others is returned.
    async fn stream(&self, ingest: Ingest, uploader: &Uploader) -> Result<(Streamed, Uploaded), Error> {
        let (batch_sender, batches) = mpsc::channel(BATCHES_WAITING_MAX);
        let (segment_sender, segments) = mpsc::channel(1);
        let (end_sender, ended) = oneshot::channel();
        let queue = if ingest.dry_run {
            drop(segment_sender);
            UploadQueue::Discard
        } else {
            UploadQueue::Upload(segment_sender)
        };
        let (input, comparison) = stream::Comparison::new(self, ingest);
        let work = move || comparison.run(batches, queue, ended);
        let streamed = background::spawn_thread("larder-sync", work).map_err(Error::ThreadRefused)?;
        let read = input.read(batch_sender, end_sender);
        let (read, streamed, uploaded) = tokio::join!(read, streamed, uploader.run(segments));
        read?;
        first_cause(streamed, uploaded)
    }
}

/// The results of a thread that queues segments and of the uploader. Of two errors the cause of the other one is
/// returned.
fn first_cause<T, E>(
    written: Result<Result<T, Error>, E>,
    uploaded: Result<Uploaded, Error>,
) -> Result<(T, Uploaded), Error> {
    match written {
        Ok(Ok(written)) => Ok((written, uploaded?)),
        Ok(Err(Error::UploadStopped)) => Err(uploaded.err().unwrap_or(Error::UploadStopped)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::WorkerDied),
    }
}
