//! The primary keys of records that lose an index value, read from the segments that hold their claimants.

use std::collections::HashMap;

use super::{
    diff::{Location, Origin},
    stream::Streamed,
    upload::Uploaded,
};
use crate::engine::{base::SegmentReader, error::Error, plan::RunPlan};

/// Lists the losers of contested values in `streamed.sequencer.rejected`. `uploaded` still holds the puts that
/// will be retracted. Blocks.
pub(super) fn list_conflicts(
    plan: &RunPlan,
    streamed: &mut Streamed,
    uploaded: &Uploaded,
    reader: &mut SegmentReader,
) -> Result<(), Error> {
    let keys = claimant_keys(plan, streamed, uploaded, reader)?;
    for contested in &streamed.contested {
        let mut claimants: Vec<&str> =
            contested.claimants.iter().map(|origin| keys[&origin.to_bits()].as_str()).collect();
        claimants.sort_unstable();
        let index = plan.mapping.indexes()[contested.index].name.as_str();
        for loser in claimants.into_iter().skip(1) {
            streamed.sequencer.rejected.list_conflict(index, loser);
        }
    }
    Ok(())
}

/// The primary keys of all claimants, by the bits of their origin.
fn claimant_keys(
    plan: &RunPlan,
    streamed: &Streamed,
    uploaded: &Uploaded,
    reader: &mut SegmentReader,
) -> Result<HashMap<u32, String>, Error> {
    let claimants = streamed.contested.iter().flat_map(|contested| &contested.claimants);
    let mut keys: HashMap<u32, String> = claimants.map(|origin| (origin.to_bits(), String::new())).collect();
    if keys.is_empty() {
        return Ok(keys);
    }
    for (number, origins) in streamed.sequencer.writer.origins() {
        let Some(reference) = uploaded.get(&number) else { continue };
        if !origins.iter().any(|origin| keys.contains_key(&origin.to_bits())) {
            continue;
        }
        let segment = reader.open(reference)?;
        for (row, origin) in (0_u32..).zip(origins) {
            if let Some(key) = keys.get_mut(&origin.to_bits()) {
                segment.key(row).clone_into(key);
            }
        }
    }
    let Some(manifest) = plan.compared() else { return Ok(keys) };
    // The others are served already and did not change.
    let mut served: Vec<(Location, u32)> = keys
        .iter()
        .filter(|(_, key)| key.is_empty())
        .filter_map(|(&bits, _)| Some((streamed.table.location(Origin::from_bits(bits).entry()?), bits)))
        .collect();
    served.sort_unstable();
    for of_segment in served.chunk_by(|a, b| a.0.segment == b.0.segment) {
        let segment = reader.open(&manifest.segments[of_segment[0].0.segment as usize])?;
        for (location, bits) in of_segment {
            keys.insert(*bits, segment.key(location.row).to_owned());
        }
    }
    Ok(keys)
}
