//! Schedules as configured.

use std::{fmt, time::Duration};

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

/// In words, for people.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manual => f.write_str("never by itself; only an operator starts a run"),
            Self::Every(interval) => write!(f, "every {}", interval_in_words(*interval)),
            Self::Cron { expression, timezone } => match parse_cron(expression) {
                Ok(cron) => {
                    write!(f, "{} (cron {expression}, {timezone})", cron.describe().trim_end_matches('.'))
                }
                Err(_) => write!(f, "cron {expression}, {timezone}"),
            },
            Self::After(_) => f.write_str("after each invocation of dbt that has built its model"),
        }
    }
}

/// `5 minutes`, `1 hour 30 minutes`.
fn interval_in_words(interval: Duration) -> String {
    let seconds = interval.as_secs();
    let units = [
        (seconds / 86_400, "day"),
        (seconds / 3600 % 24, "hour"),
        (seconds / 60 % 60, "minute"),
        (seconds % 60, "second"),
    ];
    let parts = units.into_iter().filter(|(count, _)| *count > 0);
    let part = |(count, unit)| format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
    parts.map(part).collect::<Vec<_>>().join(" ")
}

/// Parses five fields, or six with seconds first.
pub(super) fn parse_cron(expression: &str) -> Result<Cron, CronError> {
    CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build().parse(expression)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_reported_in_words() {
        let every = |seconds| Schedule::Every(Duration::from_secs(seconds)).to_string();
        assert_eq!((every(300), every(1)), ("every 5 minutes".to_owned(), "every 1 second".to_owned()));
        assert_eq!(every(90_061), "every 1 day 1 hour 1 minute 1 second");
        let timezone = chrono_tz::Europe::Berlin;
        let nightly = Schedule::Cron { expression: "30 3 * * *".to_owned(), timezone }.to_string();
        assert_eq!(nightly, "At 03:30 (cron 30 3 * * *, Europe/Berlin)");
    }
}
