//! A worker: maps the rows of a batch, compares them with the base, compresses changed bodies.
//! Several run at once. The sequencer does what one thread alone must do.

use std::ops::Range;

use chrono::{DateTime, Utc};

use super::{
    conflicts::claim_hash,
    diff::{BaseTable, Visit},
    rejected::Rejected,
};
use crate::{
    domain::{
        record::{IndexValues, Record, RecordFlags},
        reject::Rejection,
        row::RowBatch,
    },
    engine::{error::Error, increment::Marks, plan::RunPlan},
    mapping::Mapper,
    segment::{self, Codec, Encoder},
};

/// The outcome of a row that the sequencer must see.
pub(super) enum RowOutcome {
    /// A new or changed record.
    Put,
    /// A row without a record whose key is not served. The key may still turn out to be a duplicate.
    Rejected(Rejection),
}

/// The hashes of a record.
#[derive(Clone, Copy)]
pub(super) struct RecordHashes {
    pub(super) key: u128,
    /// 0 for a rejected row.
    pub(super) fingerprint: u128,
}

/// One row of [`Mapped`]. Its texts begin in the buffers where those of the item before end.
pub(super) struct Item {
    pub(super) hashes: RecordHashes,
    /// The base entry of the key, when it is served.
    pub(super) entry: Option<u32>,
    pub(super) outcome: RowOutcome,
    key_end: u32,
    body_end: u32,
    values_end: u32,
}

/// A record's claim to an index value, which its hash stands for.
#[derive(Clone, Copy)]
pub(super) struct Claim {
    pub(super) index: u16,
    pub(super) hash: u64,
    pub(super) claimant: Claimant,
}

/// The claimant: a served record, or an item of the same batch.
#[derive(Clone, Copy)]
pub(super) enum Claimant {
    Entry(u32),
    Item(u32),
}

/// The result of a worker for one batch.
#[derive(Default)]
pub(super) struct Mapped {
    pub(super) rows: u64,
    pub(super) nulled: u64,
    pub(super) rejected: Rejected,
    pub(super) marks: Marks,
    pub(super) claims: Vec<Claim>,
    pub(super) items: Vec<Item>,
    keys: String,
    bodies: Vec<u8>,
    values: Vec<(u16, u32)>,
    value_text: String,
}

/// Where an item begins in the buffers of a [`Mapped`].
#[derive(Default, Clone, Copy)]
pub(super) struct Cursor {
    key: usize,
    body: usize,
    value: usize,
    value_text: usize,
}

impl Mapped {
    /// The key and body of the item at `cursor`, which moves to the next item. `values` is refilled.
    pub(super) fn next<'a>(
        &'a self,
        item: &Item,
        cursor: &mut Cursor,
        values: &mut IndexValues,
    ) -> (&'a str, &'a [u8]) {
        let key = &self.keys[cursor.key..item.key_end as usize];
        let body = &self.bodies[cursor.body..item.body_end as usize];
        values.clear();
        for &(index, end) in &self.values[cursor.value..item.values_end as usize] {
            values.push(index, &self.value_text[cursor.value_text..end as usize]);
            cursor.value_text = end as usize;
        }
        cursor.key = item.key_end as usize;
        cursor.body = item.body_end as usize;
        cursor.value = item.values_end as usize;
        (key, body)
    }

    fn push(&mut self, key: &str, hashes: RecordHashes, entry: Option<u32>, outcome: RowOutcome) {
        self.keys.push_str(key);
        self.items.push(Item {
            hashes,
            entry,
            outcome,
            key_end: self.keys.len() as u32,
            body_end: self.bodies.len() as u32,
            values_end: self.values.len() as u32,
        });
    }
}

/// What the workers of a run share.
pub(super) struct Shared<'a> {
    pub(super) plan: &'a RunPlan,
    pub(super) base: &'a BaseTable,
    pub(super) codec: &'a Codec,
    pub(super) data_as_of: DateTime<Utc>,
}

/// One row with a key, mapped and hashed, not yet compared.
struct Candidate {
    hashes: RecordHashes,
    rejection: Option<Rejection>,
    end: TextEnds,
}

/// Where the texts of a row end in a worker's buffers.
#[derive(Default, Clone, Copy)]
struct TextEnds {
    key: usize,
    body: usize,
    value: usize,
}

/// The worker of one thread, with its buffers.
///
/// It takes a batch in passes: map and hash all rows, look up all keys, then compare. Look-ups miss the
/// processor's caches; side by side their waits overlap.
pub(super) struct Worker<'a> {
    shared: &'a Shared<'a>,
    mapper: Mapper,
    encoder: Encoder,
    record: Record,
    keys: String,
    bodies: Vec<u8>,
    /// The index number of each index value and its range in `value_text`.
    values: Vec<(u16, Range<usize>)>,
    value_text: String,
    candidates: Vec<Candidate>,
    entries: Vec<Option<u32>>,
    stored: Vec<u8>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(shared: &'a Shared<'a>) -> Result<Self, Error> {
        Ok(Self {
            shared,
            mapper: shared.plan.mapping.mapper(shared.data_as_of),
            encoder: Encoder::new(shared.codec)?,
            record: Record::default(),
            keys: String::new(),
            bodies: Vec::new(),
            values: Vec::new(),
            value_text: String::new(),
            candidates: Vec::new(),
            entries: Vec::new(),
            stored: Vec::new(),
        })
    }

    /// Maps and compares every row of `batch`.
    pub(super) fn map(&mut self, batch: &RowBatch) -> Result<Mapped, Error> {
        let rows = batch.rows();
        let mut out = Mapped { rows: rows as u64, nulled: batch.nulled(), ..Mapped::default() };
        self.keys.clear();
        self.bodies.clear();
        self.values.clear();
        self.value_text.clear();
        self.candidates.clear();
        for row in 0..rows {
            self.map_row(batch, row, &mut out);
        }
        self.entries.clear();
        let base = self.shared.base;
        self.entries.extend(self.candidates.iter().map(|candidate| base.find(candidate.hashes.key)));
        let mut start = TextEnds::default();
        for number in 0..self.candidates.len() {
            self.compare(number, start, &mut out)?;
            start = self.candidates[number].end;
        }
        Ok(out)
    }

    fn map_row(&mut self, batch: &RowBatch, row: usize, out: &mut Mapped) {
        self.record.clear();
        let Shared { plan, base, .. } = self.shared;
        let is_deleted = plan.increment.as_ref().is_some_and(|plan| plan.read(batch, row, &mut out.marks));
        let rejection = self.mapper.map(batch, row, &mut self.record).err();
        let record = &self.record;
        if record.key.is_empty() {
            if let Some(rejection) = rejection {
                out.rejected.add(rejection, None);
            }
            return;
        }
        if is_deleted {
            if let Some(entry) = base.find(segment::key_hash(&record.key)) {
                base.mark_deleted(entry);
            }
            return;
        }
        let fingerprint = if rejection.is_some() {
            0
        } else {
            let (seed, flags) = (plan.fingerprint_seed, RecordFlags::default());
            self.bodies.extend_from_slice(&record.body);
            segment::fingerprint(seed, &record.body, &record.key, &record.values, flags)
        };
        self.keys.push_str(&record.key);
        for (index, value) in record.values.iter() {
            let from = self.value_text.len();
            self.value_text.push_str(value);
            self.values.push((index, from..self.value_text.len()));
        }
        let hashes = RecordHashes { key: segment::key_hash(&record.key), fingerprint };
        let end = TextEnds { key: self.keys.len(), body: self.bodies.len(), value: self.values.len() };
        self.candidates.push(Candidate { hashes, rejection, end });
    }

    /// Compares one candidate, whose texts begin at `start`, with the base.
    fn compare(&mut self, number: usize, start: TextEnds, out: &mut Mapped) -> Result<(), Error> {
        let candidate = &mut self.candidates[number];
        let (end, hashes) = (candidate.end, candidate.hashes);
        let (entry, key) = (self.entries[number], &self.keys[start.key..end.key]);
        let values = self.values[start.value..end.value].iter();
        let values = values.map(|(index, text)| (*index, &self.value_text[text.clone()]));
        if let Some(entry) = entry {
            match self.shared.base.visit(entry, candidate.rejection.is_some()) {
                Visit::First => {}
                Visit::Duplicate { first_was_rejected } => {
                    out.rejected.add_duplicates(2 - u64::from(first_was_rejected), key);
                    return Ok(());
                }
                Visit::LaterDuplicate => {
                    out.rejected.count += 1;
                    return Ok(());
                }
            }
        }
        match (candidate.rejection.take(), entry) {
            (None, _) => {}
            (Some(rejection), Some(_)) => {
                out.rejected.add(rejection, Some(key));
                return Ok(());
            }
            (Some(rejection), None) => {
                out.push(key, hashes, None, RowOutcome::Rejected(rejection));
                return Ok(());
            }
        }
        let claimant = entry.map_or(Claimant::Item(out.items.len() as u32), Claimant::Entry);
        let indexes = self.shared.plan.mapping.indexes();
        for (index, value) in values.clone().filter(|(index, _)| !indexes[usize::from(*index)].is_order) {
            out.claims.push(Claim { index, hash: claim_hash(value), claimant });
        }
        let base = self.shared.base;
        if let Some(entry) = entry.filter(|&entry| base.is_unchanged(entry, hashes.fingerprint)) {
            if !self.shared.plan.rebuild {
                return Ok(());
            }
            base.mark_same(entry);
        }
        self.encoder.encode(&self.bodies[start.body..end.body], &mut self.stored)?;
        out.bodies.extend_from_slice(&self.stored);
        for (index, value) in values {
            out.value_text.push_str(value);
            out.values.push((index, out.value_text.len() as u32));
        }
        out.push(key, hashes, entry, RowOutcome::Put);
        Ok(())
    }
}
