//! Guards: a run whose result looks wrong is held, before anything is visible.

use std::fmt;

use super::spec::GuardSettings;
use crate::domain::run::RunError;

/// Runs that take away or reject no more than this many are never held for it: small collections
/// change by large shares every day.
const RECORDS_FLOOR: u64 = 10;

/// What the guards look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Facts {
    /// Records served before the run, those that had left the model before it not counted.
    pub(super) served: u64,
    /// Records that leave the model in this run.
    pub(super) removed: u64,
    /// Rows read.
    pub(super) rows: u64,
    /// Rows rejected.
    pub(super) rejected: u64,
    /// Whether the field set differs from the published one while the configuration does not.
    pub(super) fields_changed: bool,
}

/// Why a run is held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Hold {
    /// More than `max_removed` of the records would go.
    MaxRemoved {
        /// Records that would go.
        removed: u64,
        /// Records served.
        served: u64,
        /// The share that may.
        limit: f64,
    },
    /// No row came while records are served.
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
        /// The share that may be.
        limit: f64,
    },
    /// The model's columns changed.
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

    /// As metadata keeps it.
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
            Self::Empty { served } => write!(f, "the model gave no row while {served} records are served"),
            Self::MaxRejected { rejected, rows, limit } => write!(
                f,
                "{rejected} of {rows} rows were rejected, more than max_rejected = {}%",
                percent(*limit)
            ),
            Self::FieldsChanged => {
                f.write_str("the fields of the model changed although the configuration did not")
            }
        }
    }
}

fn percent(share: f64) -> f64 {
    (share * 10_000.0).round() / 100.0
}

/// Looks at a run; the first reason to hold it, if there is one.
pub(super) fn look(facts: &Facts, settings: &GuardSettings) -> Option<Hold> {
    let Facts { served, removed, rows, rejected, fields_changed } = *facts;
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
    fn guards_hold_what_looks_wrong_and_nothing_else() {
        let settings = GuardSettings { max_removed: 0.3, max_rejected: 0.1 };
        let facts = |served, removed, rows, rejected| Facts {
            served,
            removed,
            rows,
            rejected,
            fields_changed: false,
        };
        for (facts, expected) in [
            (facts(0, 0, 100, 0), None),
            (facts(100, 30, 70, 0), None),
            (facts(100, 31, 69, 0), Some("max_removed")),
            (facts(10, 10, 0, 0), None),
            (facts(11, 11, 0, 0), Some("no_rows")),
            (facts(0, 0, 0, 0), None),
            (facts(12, 10, 2, 0), None),
            (facts(1000, 0, 1000, 100), None),
            (facts(1000, 0, 1000, 101), Some("max_rejected")),
            (facts(0, 0, 20, 11), Some("max_rejected")),
            (facts(0, 0, 20, 10), None),
            (Facts { fields_changed: true, ..facts(5, 0, 5, 0) }, Some("fields_changed")),
        ] {
            assert_eq!(look(&facts, &settings).map(|hold| hold.code()), expected, "{facts:?}");
        }
    }

    #[test]
    fn messages_name_the_limit() {
        let hold = Hold::MaxRemoved { removed: 31, served: 100, limit: 0.3 };
        assert_eq!(hold.to_string(), "31 of 100 records would be removed, more than max_removed = 30%");
    }
}
