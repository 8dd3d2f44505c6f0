//! Schedules as configured.

use std::time::Duration;

/// When a sync runs by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// Never; only an operator starts a run.
    Manual,
    /// At this interval, from the start of the last run.
    Every(Duration),
    /// By a cron expression in a time zone.
    Cron {
        /// Five fields, or six with seconds first.
        expression: String,
        /// An IANA time zone.
        timezone: chrono_tz::Tz,
    },
}
