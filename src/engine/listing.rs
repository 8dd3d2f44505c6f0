//! Naming the records that do not hold an index value they claim: at most a hundred values of an
//! index, looked up by where their claimants lie.

use std::collections::{BTreeMap, HashMap};

use tokio::runtime::Handle;

use super::{
    base::SegmentReader,
    diff::{Location, Origin},
    error::Error,
    job::Judged,
    plan::Plan,
    rejected::Rejected,
};
use crate::{disk::SegmentDirectory, domain::manifest::SegmentReference, store::Store};

/// Lists contested values' losers in `rejected`. `written` are the run's segments by number,
/// before struck puts are taken out of them. Blocks.
pub(super) fn list_conflicts(
    plan: &Plan,
    judged: &Judged,
    written: &BTreeMap<usize, SegmentReference>,
    (store, directory, runtime): (&Store, &SegmentDirectory, &Handle),
    rejected: &mut Rejected,
) -> Result<(), Error> {
    let mut keys: HashMap<u32, String> = HashMap::new();
    for (_, group) in &judged.contested {
        keys.extend(group.iter().map(|origin| (origin.to_bits(), String::new())));
    }
    if keys.is_empty() {
        return Ok(());
    }
    let mut reader = SegmentReader::new(store, directory, runtime);
    reader.know(&judged.codec);
    for (number, origins) in judged.sequencer.spool.origins() {
        let Some(reference) = written.get(&number) else { continue };
        if !origins.iter().any(|origin| keys.contains_key(&origin.to_bits())) {
            continue;
        }
        let segment = reader.open_reference(reference)?;
        for (row, origin) in (0_u32..).zip(origins) {
            if let Some(key) = keys.get_mut(&origin.to_bits()) {
                segment.key(row).clone_into(key);
            }
        }
    }
    if let Some(manifest) = plan.compared() {
        let mut missing: Vec<(Location, u32)> = keys
            .iter()
            .filter(|(_, key)| key.is_empty())
            .filter_map(|(&bits, _)| Some((judged.table.location(Origin::from_bits(bits).entry()?), bits)))
            .collect();
        missing.sort_unstable();
        for of_segment in missing.chunk_by(|a, b| a.0.segment == b.0.segment) {
            let segment = reader.open(manifest, of_segment[0].0.segment as usize)?;
            for (location, bits) in of_segment {
                keys.insert(*bits, segment.key(location.row).to_owned());
            }
        }
    }
    for (index, group) in &judged.contested {
        let mut claimants: Vec<&str> = group.iter().map(|origin| keys[&origin.to_bits()].as_str()).collect();
        claimants.sort_unstable();
        for loser in claimants.into_iter().skip(1) {
            rejected.list_conflict(plan.mapping.indexes()[*index].name.as_str(), loser);
        }
    }
    Ok(())
}
