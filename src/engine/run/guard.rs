//! Guards: a run whose result looks wrong is held before anything is visible.

use std::fmt;

use crate::{
    domain::run::{RunCounts, RunError},
    engine::spec::GuardSettings,
};

/// A run that removes or rejects at most this many is not held for it: small collections change by large
/// shares every day.
const RECORDS_FLOOR: u64 = 10;

/// Why a run is held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Hold {
    /// The run would remove more than `max_removed` of the records.
    MaxRemoved {
        /// Records that the run would remove.
        removed: u64,
        /// Records served before the run.
        served: u64,
        /// The configured limit, in 0..=1.
        limit: f64,
    },
    /// The model has no row while records are served.
    Empty {
        /// Records served.
        served: u64,
    },
    /// The first run of a sync read no row.
    FirstEmpty,
    /// More than `max_rejected` of the rows were rejected.
    MaxRejected {
        /// Rows rejected.
        rejected: u64,
        /// Rows read.
        rows: u64,
        /// The configured limit, in 0..=1.
        limit: f64,
    },
    /// The fields of records changed although the mapping did not.
    FieldsChanged,
}

impl Hold {
    /// Stable code, a section of `docs/errors.md`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::MaxRemoved { .. } => "max_removed",
            Self::Empty { .. } | Self::FirstEmpty => "no_rows",
            Self::MaxRejected { .. } => "max_rejected",
            Self::FieldsChanged => "fields_changed",
        }
    }

    /// As metadata stores it.
    pub(super) fn as_error(&self) -> RunError {
        RunError { code: self.code().to_owned(), message: self.to_string() }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxRemoved { removed, served, limit } => write!(
                f,
                "{removed} of {served} records would be removed, more than max_removed = {}%",
                percent(*limit)
            ),
            Self::Empty { served } => write!(f, "the model has no rows while {served} records are served"),
            Self::FirstEmpty => f.write_str(
                "the model has no rows in the sync's first run, most often because of a wrong query or row-level \
                 security; allow_empty = true allows it",
            ),
            Self::MaxRejected { rejected, rows, limit } => write!(
                f,
                "{rejected} of {rows} rows were rejected, more than max_rejected = {}%",
                percent(*limit)
            ),
            Self::FieldsChanged => {
                f.write_str("the fields of the model changed although the mapping did not")
            }
        }
    }
}

fn percent(share: f64) -> f64 {
    (share * 10_000.0).round() / 100.0
}

/// What the base of a run serves, as its manifest counts it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ServedBefore {
    /// Whether there is a base at all.
    pub(super) is_served: bool,
    /// All records.
    pub(super) records: u64,
    /// Records among them whose row had left the model before.
    pub(super) retained: u64,
}

/// The first reason to hold a run, if there is one.
///
/// Two losses are evaluated: rows that left the model, as a share of the records that had a row; and the records
/// that the collection would have less, as a share of all. The second one needs no common primary key: it also
/// covers a run that compares with nothing, and retained records that a changed `on_delete` deletes.
pub(super) fn evaluate(
    settings: &GuardSettings,
    counts: &RunCounts,
    before: ServedBefore,
    fields_changed: bool,
) -> Option<Hold> {
    let RunCounts { rows, rejected, .. } = *counts;
    if rows == 0 && !before.is_served && !settings.allow_empty {
        return Some(Hold::FirstEmpty);
    }
    let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
    let left = (counts.removed, before.records.saturating_sub(before.retained));
    let lost = (before.records.saturating_sub(counts.records), before.records);
    let mut losses = [left, lost].into_iter().filter(|(removed, _)| *removed > RECORDS_FLOOR);
    // An increment without rows is nothing unusual.
    if rows == 0
        && counts.unread == 0
        && let Some((_, served)) = losses.clone().next()
    {
        return Some(Hold::Empty { served });
    }
    if let Some((removed, served)) =
        losses.find(|&(removed, served)| share(removed, served) > settings.max_removed)
    {
        return Some(Hold::MaxRemoved { removed, served, limit: settings.max_removed });
    }
    // Of a first run without any record, it does not matter how few rows there are.
    let is_first_lost = !before.is_served && rejected == rows;
    if (rejected > RECORDS_FLOOR || is_first_lost) && share(rejected, rows) > settings.max_rejected {
        return Some(Hold::MaxRejected { rejected, rows, limit: settings.max_rejected });
    }
    fields_changed.then_some(Hold::FieldsChanged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_above_a_limit_are_held_and_others_are_not() {
        let settings = GuardSettings { max_removed: 0.3, max_rejected: 0.1, allow_empty: false };
        for (records, removed, rows, rejected, expected) in [
            (0, 0, 100, 0, None),
            (100, 30, 70, 0, None),
            (100, 31, 69, 0, Some("max_removed")),
            (10, 10, 0, 0, None),
            (11, 11, 0, 0, Some("no_rows")),
            (0, 0, 0, 0, None),
            (12, 10, 2, 0, None),
            (1000, 0, 1000, 100, None),
            (1000, 0, 1000, 101, Some("max_rejected")),
            (0, 0, 20, 11, Some("max_rejected")),
            (0, 0, 20, 10, None),
        ] {
            let after = records - removed;
            let counts = RunCounts { rows, removed, rejected, records: after, ..RunCounts::default() };
            let before = ServedBefore { is_served: true, records, retained: 0 };
            let code =
                |fields_changed| evaluate(&settings, &counts, before, fields_changed).map(|hold| hold.code());
            assert_eq!(code(false), expected, "{before:?} {counts:?}");
            assert_eq!(code(true), expected.or(Some("fields_changed")), "{before:?} {counts:?}");
        }
    }

    #[test]
    fn losses_are_shares_of_the_base_whatever_the_run_was_compared_with() {
        let settings = GuardSettings { max_removed: 0.3, max_rejected: 0.1, allow_empty: false };
        for ((records, retained), removed, rows, after, expected) in [
            // Compared with nothing, as after a change of the primary key: nothing counts as removed.
            ((1000, 0), 0, 0, 0, Some("no_rows")),
            ((1000, 0), 0, 699, 699, Some("max_removed")),
            ((1000, 0), 0, 700, 700, None),
            ((1000, 900), 0, 100, 100, Some("max_removed")),
            // A record that is retained already does not count as one that could leave.
            ((1000, 900), 31, 69, 1000, Some("max_removed")),
            ((1000, 900), 30, 70, 1000, None),
            // `on_delete` was changed to delete: retained records go.
            ((1000, 400), 0, 600, 600, Some("max_removed")),
            ((1000, 300), 0, 700, 700, None),
            // New rows take the place of those that left.
            ((1000, 0), 400, 1000, 1000, Some("max_removed")),
            // Few rows leave, many retained records go.
            ((410, 400), 9, 1, 1, Some("max_removed")),
        ] {
            let counts = RunCounts { rows, removed, records: after, ..RunCounts::default() };
            let before = ServedBefore { is_served: true, records, retained };
            let hold = evaluate(&settings, &counts, before, false);
            assert_eq!(hold.map(|hold| hold.code()), expected, "{records} {retained} {counts:?}");
        }
    }

    #[test]
    fn first_run_without_rows_is_held_unless_that_is_allowed() {
        for (allow_empty, rows, is_served, expected) in [
            (false, 0, false, Some("no_rows")),
            (true, 0, false, None),
            (false, 1, false, None),
            (false, 0, true, None),
        ] {
            let settings = GuardSettings { max_removed: 0.3, max_rejected: 0.1, allow_empty };
            let counts = RunCounts { rows, ..RunCounts::default() };
            let before = ServedBefore { is_served, ..ServedBefore::default() };
            let hold = evaluate(&settings, &counts, before, false);
            assert_eq!(hold.map(|hold| hold.code()), expected, "{allow_empty} {rows} {is_served}");
        }
        for (rejected, is_served, max_rejected, expected) in [
            (5, false, 0.1, Some("max_rejected")),
            (4, false, 0.1, None),
            (5, true, 0.1, None),
            (5, false, 1.0, None),
        ] {
            let settings = GuardSettings { max_removed: 0.3, max_rejected, allow_empty: false };
            let counts = RunCounts { rows: 5, rejected, ..RunCounts::default() };
            let before = ServedBefore { is_served, ..ServedBefore::default() };
            let hold = evaluate(&settings, &counts, before, false);
            assert_eq!(hold.map(|hold| hold.code()), expected, "{rejected} {is_served} {max_rejected}");
        }
    }

    #[test]
    fn messages_name_the_limit() {
        let hold = Hold::MaxRemoved { removed: 31, served: 100, limit: 0.3 };
        assert_eq!(hold.to_string(), "31 of 100 records would be removed, more than max_removed = 30%");
    }
}
