//! Taking struck puts out of segments that were published while the stream went on: the segments
//! that hold one are written again without it. Twins are rare, so this is too.

use std::collections::BTreeMap;

use tokio::runtime::Handle;

use super::{
    base::SegmentReader, error::Error, job::Judged, plan::Plan, spool::Draft, stream::segment_header,
};
use crate::{
    disk::SegmentDirectory,
    domain::{manifest::SegmentReference, record::IndexValues},
    segment::{Entry, SegmentBuilder},
    store::Store,
};

/// The segments to write again, by the number of the one that each replaces. A segment of which
/// nothing is left has no rows. Blocks.
pub(super) fn rewrite_struck(
    plan: &Plan,
    judged: &Judged,
    written: &BTreeMap<usize, SegmentReference>,
    (store, directory, runtime): (&Store, &SegmentDirectory, &Handle),
) -> Result<Vec<(usize, Draft)>, Error> {
    let spool = &judged.sequencer.spool;
    let mut reader = SegmentReader::new(store, directory, runtime);
    reader.know(&judged.codec);
    let mut drafts = Vec::new();
    for (number, struck) in spool.struck(&judged.table, &judged.sequencer.new) {
        let Some(reference) = written.get(&number) else { continue };
        let segment = reader.open_reference(reference)?;
        let header = segment_header(&plan.spec.collection, &plan.mapping, plan.kind(), &judged.codec);
        let mut builder = SegmentBuilder::new(header);
        let mut values = IndexValues::default();
        for row in (0..segment.rows()).filter(|row| struck.binary_search(row).is_err()) {
            segment.all_values(row, &mut values);
            builder.push(Entry {
                key: segment.key(row),
                fingerprint: segment.fingerprint(row),
                flags: segment.flags(row),
                body: segment.stored_body(row),
                values: &values,
            })?;
        }
        let rows = reference.rows - struck.len() as u64;
        let mut file = Vec::new();
        builder.finish(&mut file)?;
        // Numbered behind all that the run has written: an object is never overwritten.
        let next = spool.origins().count() + drafts.len();
        drafts.push((number, Draft { number: next, file, rows, deletes: reference.deletes }));
    }
    Ok(drafts)
}
