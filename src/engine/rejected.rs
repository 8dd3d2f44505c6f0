//! The rejected rows of a run: all are counted, a bounded number is kept.

use std::collections::BTreeMap;

use crate::domain::{
    reject::{RejectReason, Rejection},
    run::{REJECTED_PER_REASON_MAX, REJECTED_PER_RUN_MAX, RejectedRow},
};

/// Rejected rows: counted all, kept while there is room for their reason.
#[derive(Debug, Default)]
pub(super) struct Rejected {
    /// How many there are.
    pub(super) count: u64,
    kept: Vec<RejectedRow>,
    per_reason: BTreeMap<String, usize>,
}

impl Rejected {
    /// Counts a row and keeps it when there is room.
    pub(super) fn add(&mut self, rejection: Rejection, primary_key: Option<&str>) {
        self.count += 1;
        self.keep(rejection.reason.code(), rejection.field, primary_key);
    }

    /// Counts the rows of a twin: `rows` of them, listed once.
    pub(super) fn add_twins(&mut self, rows: u64, primary_key: &str) {
        self.count += rows;
        self.keep(RejectReason::DuplicatePrimaryKey.code(), None, Some(primary_key));
    }

    /// Lists a record that does not hold an index value that it claims; it is not rejected.
    pub(super) fn list_conflict(&mut self, index: &str, primary_key: &str) {
        self.keep("index_conflict", Some(index.to_owned()), Some(primary_key));
    }

    fn keep(&mut self, reason: &str, field: Option<String>, primary_key: Option<&str>) {
        let of_reason = self.per_reason.entry(reason.to_owned()).or_default();
        if *of_reason < REJECTED_PER_REASON_MAX && self.kept.len() < REJECTED_PER_RUN_MAX {
            *of_reason += 1;
            let reason = reason.to_owned();
            self.kept.push(RejectedRow { reason, field, primary_key: primary_key.map(str::to_owned) });
        }
    }

    /// Adds what another thread gathered.
    pub(super) fn merge(&mut self, other: Self) {
        self.count += other.count;
        for row in other.kept {
            self.keep(&row.reason, row.field, row.primary_key.as_deref());
        }
    }

    /// The rows kept.
    pub(super) fn rows(&self) -> &[RejectedRow] {
        &self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_few_are_kept() {
        let mut rejected = Rejected::default();
        for _ in 0..150 {
            rejected.add(Rejection::of(RejectReason::InvalidJson, "f"), Some("1"));
        }
        rejected.add_twins(2, "7");
        rejected.list_conflict("email", "9");
        let mut sum = Rejected::default();
        sum.merge(rejected);
        assert_eq!(sum.count, 152);
        assert_eq!(sum.rows().len(), REJECTED_PER_REASON_MAX + 2);
    }
}
