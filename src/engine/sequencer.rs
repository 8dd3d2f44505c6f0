//! The sequencer: the one thread that sees all new keys and writes the spool.

use super::{
    conflicts::{Claims, claim_hash},
    diff::{BaseTable, NewTable, Origin, Visit},
    error::Error,
    progress::Progress,
    rejected::Rejected,
    spool::Spool,
    worker::{Claimant, Cursor, Item, Mapped, Outcome},
};
use crate::{
    domain::record::{IndexValues, RecordFlags},
    segment::Entry,
};

/// What a stream of rows came to, before it is judged.
pub(super) struct Sequencer {
    pub(super) spool: Spool,
    pub(super) new: NewTable,
    pub(super) rejected: Rejected,
    /// By index number; the primary index, 0, has none.
    pub(super) claims: Vec<Claims>,
    pub(super) rows: u64,
    pub(super) nulled: u64,
    progress: Progress,
    values: IndexValues,
    numbers: Vec<Origin>,
}

impl Sequencer {
    pub(super) fn new(spool: Spool, indexes: usize, progress: Progress) -> Self {
        Self {
            spool,
            new: NewTable::default(),
            rejected: Rejected::default(),
            claims: std::iter::repeat_with(Claims::default).take(indexes).collect(),
            rows: 0,
            nulled: 0,
            progress,
            values: IndexValues::default(),
            numbers: Vec::new(),
        }
    }

    /// Takes what a worker made of a batch.
    pub(super) fn take(&mut self, mut mapped: Mapped) -> Result<(), Error> {
        self.rows += mapped.rows;
        self.nulled += mapped.nulled;
        self.progress.add(mapped.rows, mapped.items.len() as u64);
        self.rejected.merge(std::mem::take(&mut mapped.rejected));
        self.numbers.clear();
        let mut cursor = Cursor::default();
        for item in &mapped.items {
            let mut values = std::mem::take(&mut self.values);
            let (key, body) = mapped.next(item, &mut cursor, &mut values);
            let taken = self.take_item(item, key, body, &values);
            self.values = values;
            self.numbers.push(taken?);
        }
        for claim in &mapped.claims {
            let origin = match claim.claimant {
                Claimant::Entry(entry) => Origin::served(entry),
                Claimant::Item(item) => self.numbers[item as usize],
            };
            self.claims[usize::from(claim.index)].add(claim.hash, origin);
        }
        Ok(())
    }

    fn take_item(
        &mut self,
        item: &Item,
        key: &str,
        body: &[u8],
        values: &IndexValues,
    ) -> Result<Origin, Error> {
        let is_rejected = matches!(item.outcome, Outcome::Rejected(_));
        let origin = match item.entry {
            Some(entry) => Origin::served(entry),
            None => match self.meet(item.key_hash, is_rejected, key) {
                (origin, true) => origin,
                (origin, false) => return Ok(origin),
            },
        };
        match &item.outcome {
            Outcome::Rejected(rejection) => self.rejected.add(rejection.clone(), Some(key)),
            Outcome::Put => {
                let (fingerprint, flags) = (item.fingerprint, RecordFlags::default());
                self.spool.push(&Entry { key, fingerprint, flags, body: Some(body), values }, origin)?;
            }
        }
        Ok(origin)
    }

    /// Takes out the claims of twins, once all rows were seen.
    pub(super) fn strike_claims(&mut self, base: &BaseTable) {
        self.claims.iter_mut().for_each(|claims| claims.strike(base, &self.new));
    }

    /// Adds the claims of a served record that stays without a row of its own.
    pub(super) fn claim_served(&mut self, entry: u32, values: &IndexValues) {
        for (index, value) in values.iter() {
            self.claims[usize::from(index)].add(claim_hash(value), Origin::served(entry));
        }
    }

    /// Notes a key that is not served; whether this is its first row. Twins are counted here.
    fn meet(&mut self, key_hash: u128, is_rejected: bool, key: &str) -> (Origin, bool) {
        let (number, visit) = self.new.visit(key_hash, is_rejected);
        match visit {
            Visit::First => {}
            Visit::Twin { first_was_rejected } => {
                self.rejected.add_twins(2 - u64::from(first_was_rejected), key);
            }
            Visit::LaterTwin => self.rejected.count += 1,
        }
        (Origin::new_key(number), visit == Visit::First)
    }
}
