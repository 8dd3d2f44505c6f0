//! After the last row: what the run comes to, and the records that no row of it replaces.

use super::{
    base::SegmentReader,
    diff::{BaseTable, Origin, Standing},
    error::Error,
    guard::Facts,
    sequencer::Sequencer,
    spec::OnDelete,
};
use crate::{
    domain::{
        manifest::Manifest,
        record::{IndexValues, RecordFlags},
        run::RunCounts,
    },
    mapping::Mapping,
    segment::{self, Codec, Decoder, Encoder, Entry, Segment},
};

/// Counts what a run comes to, and the facts that its guards look at.
pub(super) fn judge(
    sequencer: &Sequencer,
    base: &BaseTable,
    on_delete: OnDelete,
    fields_changed: bool,
) -> (RunCounts, Facts) {
    let mut counts = RunCounts {
        rows: sequencer.rows,
        nulled: sequencer.nulled,
        rejected: sequencer.rejected.count,
        ..RunCounts::default()
    };
    for origin in sequencer.spool.kept(base, &sequencer.new) {
        match origin.entry() {
            None => counts.added += 1,
            Some(entry) => counts.changed += u64::from(!base.is_same(entry)),
        }
    }
    let mut gone = 0;
    for record in base.unseen() {
        counts.removed += u64::from(!record.left);
        gone += 1;
    }
    for record in base.carried() {
        counts.carried += 1;
        counts.left += u64::from(record.left);
    }
    let stay = if on_delete == OnDelete::Delete { 0 } else { gone };
    counts.left += stay;
    counts.records = base.len() as u64 + counts.added + stay - gone;
    let facts = Facts {
        served: base.len() as u64 - base.left(),
        removed: counts.removed,
        rows: counts.rows,
        rejected: counts.rejected,
        fields_changed,
    };
    (counts, facts)
}

/// What becomes of a record that no row of this run replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Delete,
    /// It stands already as it is to be; only its claims of index values are noted.
    Stay,
    Keep,
    Clear,
    /// Its row was rejected: as it is, into the new base.
    Carry,
}

/// Writes what becomes of the records that no row replaces.
pub(super) struct Closing<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) mapping: &'a Mapping,
    pub(super) on_delete: OnDelete,
    pub(super) codec: &'a Codec,
    /// The run writes a new base.
    pub(super) rebuild: bool,
}

impl Closing<'_> {
    /// Appends deletes, kept, cleared and carried records to the spool, and the claims of all that
    /// stay to those of the rows.
    pub(super) fn append(
        &self,
        base: &BaseTable,
        reader: &mut SegmentReader<'_>,
        sequencer: &mut Sequencer,
    ) -> Result<(), Error> {
        let mut fates: Vec<(Standing, Fate)> =
            base.unseen().filter_map(|record| Some((record, self.fate(record)?))).collect();
        let carry = if self.rebuild { Fate::Carry } else { Fate::Stay };
        fates.extend(base.carried().map(|record| (record, carry)));
        if self.mapping.indexes().len() == 1 {
            // Nothing but the primary key, which nobody contests: no segment is read in vain.
            fates.retain(|(_, fate)| *fate != Fate::Stay);
        }
        fates.sort_unstable_by_key(|(record, _)| record.location);
        let mut writer = Writer {
            closing: self,
            encoder: Encoder::new(self.codec)?,
            decoder: Decoder::new(),
            numbers: index_numbers(self.manifest, self.mapping),
            body: Vec::new(),
            cleared: Vec::new(),
            stored: Vec::new(),
            values: IndexValues::default(),
        };
        for of_segment in fates.chunk_by(|a, b| a.0.location.segment == b.0.location.segment) {
            let segment = reader.open(self.manifest, of_segment[0].0.location.segment as usize)?;
            for &(record, fate) in of_segment {
                writer.write(&segment, record, fate, sequencer)?;
            }
        }
        Ok(())
    }

    fn fate(&self, record: Standing) -> Option<Fate> {
        match (self.on_delete, self.rebuild) {
            (OnDelete::Delete, true) => None,
            (OnDelete::Delete, false) => Some(Fate::Delete),
            (OnDelete::Keep, false) if record.left => Some(Fate::Stay),
            (OnDelete::Keep, _) => Some(Fate::Keep),
            (OnDelete::Clear, _) => Some(Fate::Clear),
        }
    }
}

/// For each index of the manifest its number in the new mapping; `None` when it is gone.
fn index_numbers(manifest: &Manifest, mapping: &Mapping) -> Vec<Option<u16>> {
    let position = |name| mapping.indexes().iter().position(|index| &index.name == name);
    manifest
        .indexes
        .iter()
        .map(|index| position(&index.name).filter(|&at| at > 0).map(|at| at as u16))
        .collect()
}

struct Writer<'a> {
    closing: &'a Closing<'a>,
    encoder: Encoder,
    decoder: Decoder,
    numbers: Vec<Option<u16>>,
    body: Vec<u8>,
    cleared: Vec<u8>,
    stored: Vec<u8>,
    values: IndexValues,
}

impl Writer<'_> {
    fn write(
        &mut self,
        segment: &Segment,
        record: Standing,
        fate: Fate,
        sequencer: &mut Sequencer,
    ) -> Result<(), Error> {
        let row = record.location.row;
        let key = segment.key(row);
        self.values.clear();
        if fate == Fate::Delete {
            let flags = RecordFlags::default();
            let delete = Entry { key, fingerprint: 0, flags, body: None, values: &self.values };
            return sequencer.spool.push(&delete, Origin::SETTLED);
        }
        self.take_values(segment, row);
        sequencer.claim_served(record.entry, &self.values);
        if fate == Fate::Stay {
            return Ok(());
        }
        self.decoder.decode(segment, row, &mut self.body)?;
        if fate == Fate::Clear {
            self.cleared.clear();
            self.closing.mapping.clear_fields(&self.body, &mut self.cleared);
            std::mem::swap(&mut self.body, &mut self.cleared);
        }
        let flags = if fate == Fate::Carry { segment.flags(row) } else { RecordFlags::LEFT };
        let seed = self.closing.manifest.fingerprint_seed;
        let fingerprint = segment::fingerprint(seed, &self.body, key, &self.values, flags);
        if fingerprint == segment.fingerprint(row) && !self.closing.rebuild {
            return Ok(());
        }
        self.encoder.encode(&self.body, &mut self.stored)?;
        let put = Entry { key, fingerprint, flags, body: Some(&self.stored), values: &self.values };
        sequencer.spool.push(&put, Origin::SETTLED)
    }

    /// The values that the record has under indexes that still exist, in the new order.
    fn take_values(&mut self, segment: &Segment, row: u32) {
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
