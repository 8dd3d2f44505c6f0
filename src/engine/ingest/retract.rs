//! Retracting puts of duplicate keys from segments that were uploaded while the rows still streamed: the
//! segments that hold one are written again without it. Duplicate keys are rare, so this is too.

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

/// A segment that takes the place of an uploaded one.
pub(super) struct Rewritten {
    /// The number of the segment that goes.
    pub(super) replaces: usize,
    /// Its replacement; without rows when no row is left.
    pub(super) by: FinishedSegment,
}

/// Writes the segments that hold retracted puts again, without them. Blocks.
pub(super) fn retract_duplicates(
    plan: &RunPlan,
    streamed: &Streamed,
    uploaded: &Uploaded,
    reader: &mut SegmentReader,
) -> Result<Vec<Rewritten>, Error> {
    let Streamed { sequencer, table, codec, .. } = streamed;
    let mut rewritten = Vec::new();
    for retracted in sequencer.writer.retracted(table, &sequencer.new) {
        let Some(reference) = uploaded.get(&retracted.segment) else { continue };
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
        let rows = reference.rows - retracted.rows.len() as u64;
        let mut file = Vec::new();
        builder.finish(&mut file)?;
        // An object is never overwritten: the number follows those of all segments of the run.
        let number = sequencer.writer.origins().count() + rewritten.len();
        let by = FinishedSegment { number, file, rows, deletes: reference.deletes };
        rewritten.push(Rewritten { replaces: retracted.segment, by });
    }
    Ok(rewritten)
}
