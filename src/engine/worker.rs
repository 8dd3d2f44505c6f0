//! A worker: maps the rows of a batch, compares them with the base, compresses what changed.
//! Several run at once; what must be seen by one thread alone is left to the sequencer.

use std::ops::Range;

use chrono::{DateTime, Utc};

use super::{
    conflicts::claim_hash,
    diff::{BaseTable, Visit},
    error::Error,
    rejected::Rejected,
};
use crate::{
    domain::{
        record::{IndexValues, Record, RecordFlags},
        reject::Rejection,
        row::RowBatch,
    },
    mapping::{Mapper, Mapping},
    segment::{self, Codec, Encoder},
};

/// What a row became, when the sequencer must know.
pub(super) enum Outcome {
    /// A new or changed record.
    Put,
    /// A row without a record whose key is not served: it may yet turn out to have a twin.
    Rejected(Rejection),
}

/// One row of [`Mapped`]; texts lie in the batch's buffers, each from the end of the one before.
pub(super) struct Item {
    pub(super) key_hash: u128,
    pub(super) fingerprint: u128,
    /// The base entry of the key, when it is served.
    pub(super) entry: Option<u32>,
    pub(super) outcome: Outcome,
    key_end: u32,
    body_end: u32,
    values_end: u32,
}

/// A record's claim to an index value, known by its hash.
#[derive(Clone, Copy)]
pub(super) struct Claim {
    pub(super) index: u16,
    pub(super) hash: u64,
    pub(super) claimant: Claimant,
}

/// Who claims: a served record, or an item of the same batch.
#[derive(Clone, Copy)]
pub(super) enum Claimant {
    Entry(u32),
    Item(u32),
}

/// What a worker made of one batch.
#[derive(Default)]
pub(super) struct Mapped {
    pub(super) rows: u64,
    pub(super) nulled: u64,
    pub(super) rejected: Rejected,
    pub(super) claims: Vec<Claim>,
    pub(super) items: Vec<Item>,
    keys: String,
    bodies: Vec<u8>,
    values: Vec<(u16, u32)>,
    value_text: String,
}

/// Where in the buffers of a [`Mapped`] an item begins.
#[derive(Default, Clone, Copy)]
pub(super) struct Cursor {
    key: usize,
    body: usize,
    value: usize,
    value_text: usize,
}

impl Mapped {
    /// The texts of the item at `cursor`, which moves behind it. `values` is refilled.
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

    fn push(&mut self, key: &str, hashes: (u128, u128), entry: Option<u32>, outcome: Outcome) {
        self.keys.push_str(key);
        self.items.push(Item {
            key_hash: hashes.0,
            fingerprint: hashes.1,
            entry,
            outcome,
            key_end: self.keys.len() as u32,
            body_end: self.bodies.len() as u32,
            values_end: self.values.len() as u32,
        });
    }
}

/// What all workers of a run share.
pub(super) struct Shared<'a> {
    pub(super) mapping: &'a Mapping,
    pub(super) base: &'a BaseTable,
    pub(super) codec: &'a Codec,
    pub(super) data_as_of: DateTime<Utc>,
    pub(super) fingerprint_seed: u64,
    /// Every row becomes a put, changed or not: the run writes a new base.
    pub(super) rebuild: bool,
}

/// One row with a key, mapped and hashed, not yet compared.
struct Candidate {
    key_hash: u128,
    fingerprint: u128,
    rejection: Option<Rejection>,
    end: Ends,
}

/// Where the texts of a row end in a worker's buffers.
#[derive(Default, Clone, Copy)]
struct Ends {
    key: usize,
    body: usize,
    value: usize,
}

/// One thread's worker, with its buffers.
///
/// A batch is taken in passes: map and hash all rows, look all keys up, then judge. The look-ups
/// miss the caches, and side by side they wait together.
pub(super) struct Worker<'a> {
    shared: &'a Shared<'a>,
    mapper: Mapper,
    encoder: Encoder,
    record: Record,
    keys: String,
    bodies: Vec<u8>,
    /// Index number and value of each index value, the value's place in `value_text`.
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
            mapper: shared.mapping.mapper(shared.data_as_of),
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
        self.entries.extend(self.candidates.iter().map(|candidate| base.find(candidate.key_hash)));
        let mut start = Ends::default();
        for number in 0..self.candidates.len() {
            self.judge(number, start, &mut out)?;
            start = self.candidates[number].end;
        }
        Ok(out)
    }

    fn map_row(&mut self, batch: &RowBatch, row: usize, out: &mut Mapped) {
        self.record.clear();
        let rejection = self.mapper.map(batch, row, &mut self.record).err();
        let record = &self.record;
        if record.key.is_empty() {
            if let Some(rejection) = rejection {
                out.rejected.add(rejection, None);
            }
            return;
        }
        let fingerprint = if rejection.is_some() {
            0
        } else {
            let (seed, flags) = (self.shared.fingerprint_seed, RecordFlags::default());
            self.bodies.extend_from_slice(&record.body);
            segment::fingerprint(seed, &record.body, &record.key, &record.values, flags)
        };
        self.keys.push_str(&record.key);
        for (index, value) in record.values.iter() {
            let from = self.value_text.len();
            self.value_text.push_str(value);
            self.values.push((index, from..self.value_text.len()));
        }
        let key_hash = segment::key_hash(&record.key);
        let end = Ends { key: self.keys.len(), body: self.bodies.len(), value: self.values.len() };
        self.candidates.push(Candidate { key_hash, fingerprint, rejection, end });
    }

    /// Judges one candidate, whose texts begin at `start`.
    fn judge(&mut self, number: usize, start: Ends, out: &mut Mapped) -> Result<(), Error> {
        let candidate = &mut self.candidates[number];
        let end = candidate.end;
        let (entry, key) = (self.entries[number], &self.keys[start.key..end.key]);
        let values = self.values[start.value..end.value].iter();
        let values = values.map(|(index, text)| (*index, &self.value_text[text.clone()]));
        if let Some(entry) = entry {
            match self.shared.base.visit(entry, candidate.rejection.is_some()) {
                Visit::First => {}
                Visit::Twin { first_was_rejected } => {
                    out.rejected.add_twins(2 - u64::from(first_was_rejected), key);
                    return Ok(());
                }
                Visit::LaterTwin => {
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
                out.push(key, (candidate.key_hash, 0), None, Outcome::Rejected(rejection));
                return Ok(());
            }
        }
        let claimant = entry.map_or(Claimant::Item(out.items.len() as u32), Claimant::Entry);
        for (index, value) in values.clone() {
            out.claims.push(Claim { index, hash: claim_hash(value), claimant });
        }
        let fingerprint = candidate.fingerprint;
        if let Some(entry) = entry.filter(|&entry| self.shared.base.is_unchanged(entry, fingerprint)) {
            if !self.shared.rebuild {
                return Ok(());
            }
            self.shared.base.mark_same(entry);
        }
        self.encoder.encode(&self.bodies[start.body..end.body], &mut self.stored)?;
        out.bodies.extend_from_slice(&self.stored);
        for (index, value) in values {
            out.value_text.push_str(value);
            out.values.push((index, out.value_text.len() as u32));
        }
        out.push(key, (candidate.key_hash, fingerprint), entry, Outcome::Put);
        Ok(())
    }
}
