//! The ingesting thread of a run: builds the table of the served records, takes the stream of rows, and
//! writes the records that no row replaces.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, oneshot};

use super::{
    Ingest,
    base_table::read_table,
    conflicts::Contested,
    diff::BaseTable,
    input::Input,
    pipeline::Pipeline,
    remaining::{RemainingRecords, count_changes},
    segment_writer::UploadQueue,
    sequencer::Sequencer,
};
use crate::{
    domain::{index::SharedValues, row::RowBatch, run::RunCounts},
    engine::{Engine, base::SegmentReader, error::Error, plan::RunPlan, progress::Progress},
    segment::Codec,
};

/// Compares the rows of a run with its base.
pub(super) struct Comparison {
    pub(super) plan: Arc<RunPlan>,
    reader: SegmentReader,
    data_as_of: DateTime<Utc>,
    progress: Progress,
    bytes_max: u64,
    dry_run: bool,
}

/// What a stream of rows changes, before puts of duplicate keys are retracted.
pub(super) struct Streamed {
    pub(super) sequencer: Sequencer,
    pub(super) table: BaseTable,
    /// The codec of the segments that the rows were compared with, and that of the new ones.
    pub(super) base_codec: Codec,
    pub(super) codec: Codec,
    pub(super) counts: RunCounts,
    pub(super) contested: Vec<Contested>,
    /// See [`super::Ingested::sum`].
    pub(super) sum: Option<u128>,
}

impl Comparison {
    pub(super) fn new(engine: &Engine, ingest: Ingest) -> (Input, Self) {
        let Ingest { input, plan, data_as_of, progress, dry_run, .. } = ingest;
        let (reader, bytes_max) = (SegmentReader::new(engine), engine.settings.spool_bytes_max);
        (input, Self { plan, reader, data_as_of, progress, bytes_max, dry_run })
    }

    /// Processes all batches. Blocks. `ended` reports that the input was complete: a stream that was cut off must
    /// not be mistaken for a short one.
    pub(super) fn run(
        mut self,
        batches: mpsc::Receiver<RowBatch>,
        queue: UploadQueue,
        ended: oneshot::Receiver<()>,
    ) -> Result<Streamed, Error> {
        let plan = &*self.plan;
        let (table, base_codec) = match plan.compared() {
            Some(manifest) => read_table(&mut self.reader, manifest)?,
            None => (BaseTable::with_capacity(0), Codec::Plain),
        };
        let pipeline = Pipeline {
            plan,
            base: &table,
            codec: (!plan.rebuild).then(|| base_codec.clone()),
            data_as_of: self.data_as_of,
            bytes_max: self.bytes_max,
            progress: self.progress,
        };
        let (mut sequencer, codec) = pipeline.run(batches, queue)?;
        ended.blocking_recv().map_err(|_| Error::Cancelled)?;

        let mut counts = count_changes(&sequencer, &table, plan);
        sequencer.retract_duplicate_claims(&table);
        if let Some(manifest) = plan.compared() {
            RemainingRecords { manifest, plan, codec: &codec, base: &table }
                .write(&mut self.reader, &mut sequencer)?;
        }
        let mut contested = Vec::new();
        let indexes = plan.mapping.indexes();
        for (index, claims) in std::mem::take(&mut sequencer.claims).into_iter().enumerate() {
            let conflicts = claims.find_conflicts(index, indexes[index].shared == SharedValues::Reject);
            counts.conflicts += conflicts.losers;
            contested.extend(conflicts.contested);
        }
        sequencer.writer.close()?;
        if self.dry_run {
            // Their keys are in segments that a dry run does not write.
            contested.clear();
        }
        let sum = sequencer.writer.sum(&table, &sequencer.new);
        Ok(Streamed { sequencer, table, base_codec, codec, counts, contested, sum })
    }
}
