//! The records that no put of a run replaces: their row left the model, or was rejected.

use super::{
    diff::{BaseTable, Origin, Remaining},
    sequencer::Sequencer,
};
use crate::{
    domain::{
        index::IndexDefinition,
        manifest::Manifest,
        record::{IndexValues, RecordFlags},
        run::RunCounts,
    },
    engine::{base::SegmentReader, error::Error, plan::RunPlan, spec::OnDelete},
    mapping::Mapping,
    segment::{self, Codec, Decoder, Encoder, Entry, Segment},
};

/// Counts the changes of a run whose last row was read. Conflicts are counted later.
pub(super) fn count_changes(sequencer: &Sequencer, base: &BaseTable, plan: &RunPlan) -> RunCounts {
    let mut counts = RunCounts {
        rows: sequencer.rows,
        nulled: sequencer.nulled,
        rejected: sequencer.rejected.count,
        ..RunCounts::default()
    };
    for origin in sequencer.writer.kept(base, &sequencer.new) {
        match origin.entry() {
            None => counts.added += 1,
            Some(entry) => counts.changed += u64::from(!base.is_same(entry)),
        }
    }
    let mut without_row = 0;
    for record in base.unseen() {
        if has_left(plan, record) {
            counts.removed += u64::from(!record.is_retained);
            without_row += 1;
        } else {
            counts.unread += 1;
            counts.left += u64::from(record.is_retained);
        }
    }
    for record in base.kept_on_rejection() {
        counts.carried += 1;
        counts.left += u64::from(record.is_retained);
    }
    let retained = if plan.spec.on_delete == OnDelete::Delete { 0 } else { without_row };
    counts.left += retained;
    counts.records = base.len() as u64 + counts.added + retained - without_row;
    counts
}

/// Whether a record without a row in the run has left the model. After an increment only a deleted one has.
fn has_left(plan: &RunPlan, record: Remaining) -> bool {
    record.is_deleted || plan.reads_whole_model()
}

/// What a run does with a remaining record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Delete,
    /// It is stored as it should be. Only its claims to index values are added.
    Leave,
    Keep,
    Clear,
    /// Its row was rejected: it goes unchanged into the new base.
    Copy,
}

/// Writes the records that no put of the run replaces.
pub(super) struct RemainingRecords<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) plan: &'a RunPlan,
    pub(super) codec: &'a Codec,
    pub(super) base: &'a BaseTable,
}

impl RemainingRecords<'_> {
    /// Writes deletes and kept, cleared and copied records, and adds the index values of all that stay to
    /// the claims of the rows.
    pub(super) fn write(&self, reader: &mut SegmentReader, sequencer: &mut Sequencer) -> Result<(), Error> {
        let mut writer = RecordWriter {
            records: self,
            encoder: Encoder::new(self.codec)?,
            decoder: Decoder::new(),
            numbers: index_numbers(self.manifest, &self.plan.mapping),
            body: Vec::new(),
            cleared: Vec::new(),
            stored: Vec::new(),
            values: IndexValues::default(),
        };
        let actions = self.actions();
        for of_segment in actions.chunk_by(|a, b| a.0.location.segment == b.0.location.segment) {
            let reference = &self.manifest.segments[of_segment[0].0.location.segment as usize];
            let segment = reader.open(reference)?;
            for &(record, action) in of_segment {
                writer.write(&segment, record, action, sequencer)?;
            }
        }
        Ok(())
    }

    /// Every remaining record of which something is to be written or claimed, in the order of storage.
    fn actions(&self) -> Vec<(Remaining, Action)> {
        let on_rejection = if self.plan.rebuild { Action::Copy } else { Action::Leave };
        let unseen = self.base.unseen().filter_map(|record| Some((record, self.action(record)?)));
        let rejected = self.base.kept_on_rejection().map(|record| (record, on_rejection));
        let mut actions: Vec<_> = unseen.chain(rejected).collect();
        if self.plan.mapping.indexes().len() == 1 {
            // Without secondary indexes there are no claims: segments of such records need not be read.
            actions.retain(|(_, action)| *action != Action::Leave);
        }
        actions.sort_unstable_by_key(|(record, _)| record.location);
        actions
    }

    /// The action for a record without a row; `None` when the new base just omits it.
    fn action(&self, record: Remaining) -> Option<Action> {
        if !has_left(self.plan, record) {
            return Some(Action::Leave);
        }
        match (self.plan.spec.on_delete, self.plan.rebuild) {
            (OnDelete::Delete, true) => None,
            (OnDelete::Delete, false) => Some(Action::Delete),
            (OnDelete::Keep, false) if record.is_retained => Some(Action::Leave),
            (OnDelete::Keep, _) => Some(Action::Keep),
            (OnDelete::Clear, _) => Some(Action::Clear),
        }
    }
}

/// The number of each index of the manifest in the new mapping; `None` for the primary index and for one that no
/// longer exists or has other values now: a value must not be stored where its hash belongs.
fn index_numbers(manifest: &Manifest, mapping: &Mapping) -> Vec<Option<u16>> {
    let position = |old: &IndexDefinition| {
        let has_its_values = |index: &IndexDefinition| {
            index.name == old.name
                && index.hash == old.hash
                && index.parts.len() == old.parts.len()
                && index.is_order == old.is_order
        };
        mapping.indexes().iter().position(has_its_values)
    };
    manifest.indexes.iter().map(|index| position(index).filter(|&at| at > 0).map(|at| at as u16)).collect()
}

struct RecordWriter<'a> {
    records: &'a RemainingRecords<'a>,
    encoder: Encoder,
    decoder: Decoder,
    numbers: Vec<Option<u16>>,
    body: Vec<u8>,
    cleared: Vec<u8>,
    stored: Vec<u8>,
    values: IndexValues,
}

impl RecordWriter<'_> {
    fn write(
        &mut self,
        segment: &Segment,
        record: Remaining,
        action: Action,
        sequencer: &mut Sequencer,
    ) -> Result<(), Error> {
        let row = record.location.row;
        let key = segment.key(row);
        self.values.clear();
        if action == Action::Delete {
            let flags = RecordFlags::default();
            let delete = Entry { key, fingerprint: 0, flags, body: None, values: &self.values };
            return sequencer.writer.push(&delete, Origin::FINAL);
        }
        self.read_values(segment, row);
        let RemainingRecords { manifest, plan, .. } = self.records;
        sequencer.claim_served(record.entry, &self.values, plan.mapping.indexes());
        if action == Action::Leave {
            return Ok(());
        }
        self.decoder.decode(segment, row, &mut self.body)?;
        if action == Action::Clear {
            self.cleared.clear();
            plan.mapping.clear_fields(&self.body, &mut self.cleared);
            std::mem::swap(&mut self.body, &mut self.cleared);
        }
        let flags = if action == Action::Copy { segment.flags(row) } else { RecordFlags::LEFT };
        let seed = manifest.fingerprint_seed;
        let fingerprint = segment::fingerprint(seed, &self.body, key, &self.values, flags);
        if fingerprint == segment.fingerprint(row) && !plan.rebuild {
            return Ok(());
        }
        self.encoder.encode(&self.body, &mut self.stored)?;
        let put = Entry { key, fingerprint, flags, body: Some(&self.stored), values: &self.values };
        sequencer.writer.push(&put, Origin::FINAL)
    }

    /// Reads the record's values of the indexes that still exist, in the order of the new mapping.
    fn read_values(&mut self, segment: &Segment, row: u32) {
        let mut moved: Vec<(u16, u16)> =
            (0_u16..).zip(&self.numbers).filter_map(|(old, new)| new.map(|new| (new, old))).collect();
        moved.sort_unstable();
        for (new, old) in moved {
            if old > 0 {
                segment.values(row, usize::from(old)).for_each(|value| self.values.push(new, value));
            }
        }
    }
}
