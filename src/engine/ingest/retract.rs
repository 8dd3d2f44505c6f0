//! Retracting puts of duplicate keys from segments that were uploaded while the rows still streamed: the
//! segments that hold one are written again without it. Duplicate keys are rare, so this is too.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use super::{
    segment_writer::{FinishedSegment, segment_header},
    stream::Streamed,
    upload::Uploaded,
};
use crate::{
    domain::record::IndexValues,
    engine::{base::SegmentReader, error::Error, plan::RunPlan},
    segment::{Entry, SegmentBuilder},
};

/// The segments that took the place of uploaded ones, by the number of the one that goes; `None` when no row is
/// left.
pub(super) type Replacements = BTreeMap<usize, Option<usize>>;

/// Writes the segments that hold retracted puts again, without them, and queues each at once. Blocks.
pub(super) fn retract_duplicates(
    plan: &RunPlan,
    streamed: &Streamed,
    uploaded: &Uploaded,
    reader: &mut SegmentReader,
    queue: &mpsc::Sender<FinishedSegment>,
) -> Result<Replacements, Error> {
    let Streamed { sequencer, table, codec, .. } = streamed;
    let mut replacements = Replacements::new();
    // An object is never overwritten: the numbers follow those of all segments of the run.
    let mut numbers = sequencer.writer.origins().count()..;
    for retracted in sequencer.writer.retracted(table, &sequencer.new) {
        let Some(reference) = uploaded.get(&retracted.segment) else { continue };
        let rows = reference.rows - retracted.rows.len() as u64;
        let number = numbers.next().filter(|_| rows > 0);
        replacements.insert(retracted.segment, number);
        let Some(number) = number else { continue };
        let segment = reader.open(reference)?;
        let indexes = plan.mapping.indexes();
        let mut builder =
            SegmentBuilder::new(segment_header(&plan.spec.collection, indexes, plan.kind(), codec));
        let mut values = IndexValues::default();
        for row in (0..segment.rows()).filter(|row| retracted.rows.binary_search(row).is_err()) {
            segment.all_values(row, &mut values);
            builder.push(Entry {
                key: segment.key(row),
                fingerprint: segment.fingerprint(row),
                flags: segment.flags(row),
                body: segment.stored_body(row),
                values: &values,
            })?;
        }
        let mut file = Vec::new();
        builder.finish(&mut file)?;
        let (deletes, replaces) = (reference.deletes, Some(retracted.segment));
        let by = FinishedSegment { number, file, rows, deletes, replaces };
        queue.blocking_send(by).map_err(|_| Error::UploadStopped)?;
    }
    Ok(replacements)
}
