//! The rejected rows of a run: all are counted, a bounded number is listed.

use std::collections::BTreeMap;

use crate::domain::{
    reject::{RejectReason, Rejection},
    run::{INDEX_CONFLICT, REJECTED_PER_REASON_MAX, REJECTED_PER_RUN_MAX, RejectedRow},
};

/// Rejected rows, and the losers of contested index values.
#[derive(Debug, Default)]
pub(super) struct Rejected {
    /// Rejected rows.
    pub(super) count: u64,
    listed: Vec<RejectedRow>,
    per_reason: BTreeMap<String, usize>,
}

impl Rejected {
    /// Counts a row and lists it, up to the limits.
    pub(super) fn add(&mut self, rejection: Rejection, primary_key: Option<&str>) {
        self.count += 1;
        self.list(rejection.reason.code(), rejection.field, primary_key);
    }

    /// Counts `rows` rows of a duplicate key and lists the key once.
    pub(super) fn add_duplicates(&mut self, rows: u64, primary_key: &str) {
        self.count += rows;
        self.list(RejectReason::DuplicatePrimaryKey.code(), None, Some(primary_key));
    }

    /// Lists a record that loses an index value. It is not rejected and not counted.
    pub(super) fn list_conflict(&mut self, index: &str, primary_key: &str) {
        self.list(INDEX_CONFLICT, Some(index.to_owned()), Some(primary_key));
    }

    fn list(&mut self, reason: &str, field: Option<String>, primary_key: Option<&str>) {
        let of_reason = self.per_reason.entry(reason.to_owned()).or_default();
        if *of_reason < REJECTED_PER_REASON_MAX && self.listed.len() < REJECTED_PER_RUN_MAX {
            *of_reason += 1;
            let reason = reason.to_owned();
            self.listed.push(RejectedRow { reason, field, primary_key: primary_key.map(str::to_owned) });
        }
    }

    /// Adds the rows that another thread rejected.
    pub(super) fn merge(&mut self, other: Self) {
        self.count += other.count;
        for row in other.listed {
            self.list(&row.reason, row.field, row.primary_key.as_deref());
        }
    }

    /// The listed rows.
    pub(super) fn into_rows(self) -> Vec<RejectedRow> {
        self.listed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rows_are_counted_and_few_are_listed() {
        let mut rejected = Rejected::default();
        for _ in 0..150 {
            rejected.add(Rejection::of(RejectReason::InvalidJson, "f"), Some("1"));
        }
        rejected.add_duplicates(2, "7");
        rejected.list_conflict("email", "9");
        let mut sum = Rejected::default();
        sum.merge(rejected);
        assert_eq!(sum.count, 152);
        assert_eq!(sum.into_rows().len(), REJECTED_PER_REASON_MAX + 2);
    }

    #[test]
    fn few_rows_of_a_run_are_listed_whatever_their_reasons() {
        let mut rejected = Rejected::default();
        for reason in 0..2 * REJECTED_PER_RUN_MAX {
            rejected.list(&reason.to_string(), None, None);
        }
        assert_eq!(rejected.into_rows().len(), REJECTED_PER_RUN_MAX);
    }
}
