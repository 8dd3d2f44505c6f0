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
        /// Records served.
        served: u64,
        /// The configured limit, in 0..=1.
        limit: f64,
    },
    /// The model has no row while records are served.
    Empty {
        /// Records served.
        served: u64,
    },
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
            Self::Empty { .. } => "no_rows",
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

/// The first reason to hold a run, if there is one. `served` counts the records before the run, without those
/// whose row had left the model before.
pub(super) fn evaluate(
    settings: &GuardSettings,
    counts: &RunCounts,
    served: u64,
    fields_changed: bool,
) -> Option<Hold> {
    let RunCounts { rows, removed, rejected, .. } = *counts;
    let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
    if rows == 0 && removed > RECORDS_FLOOR {
        return Some(Hold::Empty { served });
    }
    if removed > RECORDS_FLOOR && share(removed, served) > settings.max_removed {
        return Some(Hold::MaxRemoved { removed, served, limit: settings.max_removed });
    }
    if rejected > RECORDS_FLOOR && share(rejected, rows) > settings.max_rejected {
        return Some(Hold::MaxRejected { rejected, rows, limit: settings.max_rejected });
    }
    fields_changed.then_some(Hold::FieldsChanged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_above_a_limit_are_held_and_others_are_not() {
        let settings = GuardSettings { max_removed: 0.3, max_rejected: 0.1 };
        for (served, removed, rows, rejected, expected) in [
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
            let counts = RunCounts { rows, removed, rejected, ..RunCounts::default() };
            let code =
                |fields_changed| evaluate(&settings, &counts, served, fields_changed).map(|hold| hold.code());
            assert_eq!(code(false), expected, "{served} {counts:?}");
            assert_eq!(code(true), expected.or(Some("fields_changed")), "{served} {counts:?}");
        }
    }

    #[test]
    fn messages_name_the_limit() {
        let hold = Hold::MaxRemoved { removed: 31, served: 100, limit: 0.3 };
        assert_eq!(hold.to_string(), "31 of 100 records would be removed, more than max_removed = 30%");
    }
}
