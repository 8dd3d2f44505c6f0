//! Schedules as configured.

use std::time::Duration;

use croner::{
    Cron,
    errors::CronError,
    parser::{CronParser, Seconds, Year},
};

use crate::model::DbtProject;

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
    /// After each invocation of dbt that has built the sync's model.
    After(DbtProject),
}

/// Parses five fields, or six with seconds first.
pub(super) fn parse_cron(expression: &str) -> Result<Cron, CronError> {
    CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build().parse(expression)
}
