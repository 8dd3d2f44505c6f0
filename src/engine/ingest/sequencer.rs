//! The sequencer: the one thread that sees all new keys and writes segments.

use super::{
    conflicts::{Claims, claim_hash},
    diff::{BaseTable, NewTable, Origin, Visit},
    rejected::Rejected,
    segment_writer::SegmentWriter,
    worker::{Claimant, Cursor, Item, Mapped, RowOutcome},
};
use crate::{
    domain::{
        index::IndexDefinition,
        record::{IndexValues, RecordFlags},
    },
    engine::{error::Error, increment::Marks, progress::Progress},
    segment::Entry,
};

/// What the rows of a run changed so far.
pub(super) struct Sequencer {
    pub(super) writer: SegmentWriter,
    pub(super) new: NewTable,
    pub(super) rejected: Rejected,
    /// By index number; the primary index, 0, has none.
    pub(super) claims: Vec<Claims>,
    pub(super) rows: u64,
    pub(super) nulled: u64,
    pub(super) marks: Marks,
    progress: Progress,
    values: IndexValues,
    numbers: Vec<Origin>,
}

impl Sequencer {
    pub(super) fn new(writer: SegmentWriter, indexes: usize, progress: Progress) -> Self {
        Self {
            writer,
            new: NewTable::default(),
            rejected: Rejected::default(),
            claims: std::iter::repeat_with(Claims::default).take(indexes).collect(),
            rows: 0,
            nulled: 0,
            marks: Marks::default(),
            progress,
            values: IndexValues::default(),
            numbers: Vec::new(),
        }
    }

    /// Adds the result of a worker for one batch.
    pub(super) fn add(&mut self, mut mapped: Mapped) -> Result<(), Error> {
        self.rows += mapped.rows;
        self.nulled += mapped.nulled;
        self.marks.merge(std::mem::take(&mut mapped.marks));
        self.progress.add(mapped.rows, mapped.items.len() as u64);
        self.rejected.merge(std::mem::take(&mut mapped.rejected));
        self.numbers.clear();
        let mut cursor = Cursor::default();
        for item in &mapped.items {
            let mut values = std::mem::take(&mut self.values);
            let (key, body) = mapped.next(item, &mut cursor, &mut values);
            let added = self.add_item(item, key, body, &values);
            self.values = values;
            self.numbers.push(added?);
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

    fn add_item(
        &mut self,
        item: &Item,
        key: &str,
        body: &[u8],
        values: &IndexValues,
    ) -> Result<Origin, Error> {
        let is_rejected = matches!(item.outcome, RowOutcome::Rejected(_));
        let origin = match item.entry {
            Some(entry) => Origin::served(entry),
            None => match self.visit_new(item.hashes.key, is_rejected, key) {
                (origin, true) => origin,
                (origin, false) => return Ok(origin),
            },
        };
        match &item.outcome {
            RowOutcome::Rejected(rejection) => self.rejected.add(rejection.clone(), Some(key)),
            RowOutcome::Put => {
                let (fingerprint, flags) = (item.hashes.fingerprint, RecordFlags::default());
                self.writer.push(&Entry { key, fingerprint, flags, body: Some(body), values }, origin)?;
            }
        }
        Ok(origin)
    }

    /// Removes the claims of duplicate keys, after the last row.
    pub(super) fn retract_duplicate_claims(&mut self, base: &BaseTable) {
        self.claims.iter_mut().for_each(|claims| claims.retract(base, &self.new));
    }

    /// Adds the claims of a served record that no put of this run replaces.
    pub(super) fn claim_served(&mut self, entry: u32, values: &IndexValues, indexes: &[IndexDefinition]) {
        for (index, value) in values.iter().filter(|(index, _)| !indexes[usize::from(*index)].is_order) {
            self.claims[usize::from(index)].add(claim_hash(value), Origin::served(entry));
        }
    }

    /// Marks a key that is not served as seen, and returns whether this is its first row.
    fn visit_new(&mut self, key_hash: u128, is_rejected: bool, key: &str) -> (Origin, bool) {
        let (number, visit) = self.new.visit(key_hash, is_rejected);
        match visit {
            Visit::First => {}
            Visit::Duplicate { first_was_rejected } => {
                self.rejected.add_duplicates(2 - u64::from(first_was_rejected), key);
            }
            Visit::LaterDuplicate => self.rejected.count += 1,
        }
        (Origin::new_key(number), visit == Visit::First)
    }
}
