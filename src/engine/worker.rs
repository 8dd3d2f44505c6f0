//! A worker: maps the rows of a batch, compares them with the base, compresses what changed.
//! Several run at once; what must be seen by one thread alone is left to the sequencer.

use chrono::{DateTime, Utc};

use super::{
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

/// One thread's worker, with its buffers.
pub(super) struct Worker<'a> {
    shared: &'a Shared<'a>,
    mapper: Mapper,
    encoder: Encoder,
    record: Record,
    stored: Vec<u8>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(shared: &'a Shared<'a>) -> Result<Self, Error> {
        Ok(Self {
            shared,
            mapper: shared.mapping.mapper(shared.data_as_of),
            encoder: Encoder::new(shared.codec)?,
            record: Record::default(),
            stored: Vec::new(),
        })
    }

    /// Maps every row of `batch`.
    pub(super) fn map(&mut self, batch: &RowBatch) -> Result<Mapped, Error> {
        let rows = batch.rows();
        let mut out = Mapped { rows: rows as u64, nulled: batch.nulled(), ..Mapped::default() };
        for row in 0..rows {
            self.record.clear();
            let mapped = self.mapper.map(batch, row, &mut self.record);
            if self.record.key.is_empty() {
                if let Err(rejection) = mapped {
                    out.rejected.add(rejection, None);
                }
                continue;
            }
            self.compare(mapped, &mut out)?;
        }
        Ok(out)
    }

    fn compare(&mut self, mapped: Result<(), Rejection>, out: &mut Mapped) -> Result<(), Error> {
        let key_hash = segment::key_hash(&self.record.key);
        let entry = self.shared.base.find(key_hash);
        let rejected = mapped.is_err();
        if let Some(entry) = entry {
            match self.shared.base.visit(entry, rejected) {
                Visit::First => {}
                Visit::Twin { first_was_rejected } => {
                    out.rejected.add_twins(2 - u64::from(first_was_rejected), &self.record.key);
                    return Ok(());
                }
                Visit::LaterTwin => {
                    out.rejected.count += 1;
                    return Ok(());
                }
            }
        }
        match (mapped, entry) {
            (Ok(()), entry) => self.put(key_hash, entry, out)?,
            (Err(rejection), Some(_)) => out.rejected.add(rejection, Some(&self.record.key)),
            (Err(rejection), None) => {
                out.push(&self.record.key, (key_hash, 0), None, Outcome::Rejected(rejection));
            }
        }
        Ok(())
    }

    fn put(&mut self, key_hash: u128, entry: Option<u32>, out: &mut Mapped) -> Result<(), Error> {
        let record = &self.record;
        let claimant = entry.map_or(Claimant::Item(out.items.len() as u32), Claimant::Entry);
        for (index, value) in record.values.iter() {
            out.claims.push(Claim { index, hash: segment::key_hash(value) as u64, claimant });
        }
        let fingerprint = segment::fingerprint(
            self.shared.fingerprint_seed,
            &record.body,
            &record.key,
            &record.values,
            RecordFlags::default(),
        );
        if let Some(entry) = entry.filter(|&entry| self.shared.base.is_unchanged(entry, fingerprint)) {
            if !self.shared.rebuild {
                return Ok(());
            }
            self.shared.base.mark_same(entry);
        }
        self.encoder.encode(&record.body, &mut self.stored)?;
        out.bodies.extend_from_slice(&self.stored);
        for (index, value) in record.values.iter() {
            out.value_text.push_str(value);
            out.values.push((index, out.value_text.len() as u32));
        }
        out.push(&record.key, (key_hash, fingerprint), entry, Outcome::Put);
        Ok(())
    }
}
