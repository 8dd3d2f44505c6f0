//! The primary keys of records that lose an index value, read from the segments that hold their claimants.

use std::{cmp::Reverse, collections::HashMap};

use super::{
    diff::{Location, Origin},
    stream::Streamed,
    upload::Uploaded,
};
use crate::{
    domain::index::{IndexDefinition, SharedValues},
    engine::{base::SegmentReader, error::Error, plan::RunPlan},
    segment::Segment,
};

/// The record that claims a value.
#[derive(Default)]
struct Claimant {
    key: String,
    /// Its values of the order indexes, by their number.
    orders: Vec<(u16, String)>,
}

impl Claimant {
    /// Reads row `row`, whose segment has the indexes `indexes`.
    fn read(&mut self, segment: &Segment, row: u32, indexes: &[IndexDefinition], plan: &RunPlan) {
        segment.key(row).clone_into(&mut self.key);
        self.orders.clear();
        for (number, order) in (0_u16..).zip(plan.mapping.indexes()).filter(|(_, index)| index.is_order) {
            let at = indexes.iter().position(|index| index.name == order.name).filter(|&at| at > 0);
            let value = at.and_then(|at| segment.values(row, at).next());
            self.orders.extend(value.map(|value| (number, value.to_owned())));
        }
    }

    fn order(&self, number: Option<usize>) -> Option<&str> {
        let number = number?;
        self.orders.iter().find(|(order, _)| usize::from(*order) == number).map(|(_, value)| value.as_str())
    }
}

/// Lists the losers of contested values in `streamed.sequencer.rejected`. `uploaded` still holds the puts that
/// will be retracted. Blocks.
pub(super) fn list_conflicts(
    plan: &RunPlan,
    streamed: &mut Streamed,
    uploaded: &Uploaded,
    reader: &mut SegmentReader,
) -> Result<(), Error> {
    let claimants = read_claimants(plan, streamed, uploaded, reader)?;
    let indexes = plan.mapping.indexes();
    for contested in &streamed.contested {
        let index = &indexes[contested.index];
        let (winners, order) = match &index.shared {
            SharedValues::LowestKey => (1, None),
            SharedValues::Reject => (0, None),
            SharedValues::Newest(name) => (1, indexes.iter().position(|index| index.name == *name)),
        };
        let mut of_value: Vec<&Claimant> =
            contested.claimants.iter().map(|origin| &claimants[&origin.to_bits()]).collect();
        of_value.sort_unstable_by_key(|claimant| (Reverse(claimant.order(order)), claimant.key.as_str()));
        for loser in of_value.into_iter().skip(winners) {
            streamed.sequencer.rejected.list_conflict(index.name.as_str(), &loser.key);
        }
    }
    Ok(())
}

/// All claimants, by the bits of their origin.
fn read_claimants(
    plan: &RunPlan,
    streamed: &Streamed,
    uploaded: &Uploaded,
    reader: &mut SegmentReader,
) -> Result<HashMap<u32, Claimant>, Error> {
    let origins = streamed.contested.iter().flat_map(|contested| &contested.claimants);
    let mut claimants: HashMap<u32, Claimant> =
        origins.map(|origin| (origin.to_bits(), Claimant::default())).collect();
    if claimants.is_empty() {
        return Ok(claimants);
    }
    for (number, origins) in streamed.sequencer.writer.origins() {
        let Some(reference) = uploaded.get(&number) else { continue };
        if !origins.iter().any(|origin| claimants.contains_key(&origin.to_bits())) {
            continue;
        }
        let segment = reader.open(reference)?;
        for (row, origin) in (0_u32..).zip(origins) {
            if let Some(claimant) = claimants.get_mut(&origin.to_bits()) {
                claimant.read(&segment, row, plan.mapping.indexes(), plan);
            }
        }
    }
    let Some(manifest) = plan.compared() else { return Ok(claimants) };
    // The others are served already and did not change.
    let mut served: Vec<(Location, u32)> = claimants
        .iter()
        .filter(|(_, claimant)| claimant.key.is_empty())
        .filter_map(|(&bits, _)| Some((streamed.table.location(Origin::from_bits(bits).entry()?), bits)))
        .collect();
    served.sort_unstable();
    for of_segment in served.chunk_by(|a, b| a.0.segment == b.0.segment) {
        let segment = reader.open(&manifest.segments[of_segment[0].0.segment as usize])?;
        for (location, bits) in of_segment {
            claimants.entry(*bits).or_default().read(&segment, location.row, &manifest.indexes, plan);
        }
    }
    Ok(claimants)
}
