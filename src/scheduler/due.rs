//! When a sync is due: pure, from its schedule and what is known of its last run.

use std::time::Duration;

use chrono::{DateTime, Utc};
use croner::parser::{CronParser, Seconds, Year};

use super::schedule::Schedule;

/// First delay before a failed run is tried again; it doubles.
const RETRY_FIRST: Duration = Duration::from_secs(10);
/// Longest such delay for a schedule that names no interval.
const RETRY_LONGEST: Duration = Duration::from_hours(1);

/// What is known of a sync's runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct History {
    /// Start of the last run, whoever ran it.
    pub last_started: Option<DateTime<Utc>>,
    /// End of the last run.
    pub last_finished: Option<DateTime<Utc>>,
    /// Failed runs in a row that may be tried again; 0 after any other end.
    pub failures: u32,
}

/// When the next run is due; `None` when only an operator starts one. A moment in the past means
/// now: missed ticks run once. A sync that never ran is due at once.
pub fn next(schedule: &Schedule, history: &History) -> Option<DateTime<Utc>> {
    let Some(last_started) = history.last_started else {
        return (*schedule != Schedule::Manual).then_some(DateTime::UNIX_EPOCH);
    };
    let regular = match schedule {
        Schedule::Manual => return None,
        Schedule::Every(interval) => add(last_started, *interval),
        Schedule::Cron { expression, timezone } => {
            // As configuration checked it.
            let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
            let cron = parser.parse(expression).ok()?;
            let local = last_started.with_timezone(timezone);
            cron.find_next_occurrence(&local, false).ok()?.with_timezone(&Utc)
        }
    };
    let retry = (history.failures > 0).then(|| {
        let longest = match schedule {
            Schedule::Every(interval) => (*interval).max(RETRY_FIRST),
            _ => RETRY_LONGEST,
        };
        let doubled = RETRY_FIRST.saturating_mul(1 << (history.failures - 1).min(20));
        add(history.last_finished.unwrap_or(last_started), doubled.min(longest))
    });
    // A failed run's own tick waits for the retry when that comes later, and never longer.
    Some(match (retry, schedule) {
        (None, _) => regular,
        (Some(retry), Schedule::Every(_)) => retry,
        (Some(retry), _) => retry.min(regular),
    })
}

fn add(moment: DateTime<Utc>, duration: Duration) -> DateTime<Utc> {
    chrono::TimeDelta::from_std(duration)
        .ok()
        .and_then(|delta| moment.checked_add_signed(delta))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn ran(started: &str, finished: &str, failures: u32) -> History {
        History { last_started: Some(at(started)), last_finished: Some(at(finished)), failures }
    }

    fn cron(expression: &str, timezone: chrono_tz::Tz) -> Schedule {
        Schedule::Cron { expression: expression.to_owned(), timezone }
    }

    #[test]
    fn every_counts_from_the_start_of_the_last_run() {
        let every = Schedule::Every(Duration::from_mins(5));
        assert_eq!(next(&every, &History::default()), Some(DateTime::UNIX_EPOCH));
        let history = ran("2026-01-01T00:00:00Z", "2026-01-01T00:04:00Z", 0);
        assert_eq!(next(&every, &history), Some(at("2026-01-01T00:05:00Z")));
    }

    #[test]
    fn manual_is_never_due() {
        assert_eq!(next(&Schedule::Manual, &History::default()), None);
        assert_eq!(next(&Schedule::Manual, &ran("2026-01-01T00:00:00Z", "2026-01-01T00:04:00Z", 3)), None);
    }

    #[test]
    fn cron_follows_its_time_zone_through_a_change_of_clocks() {
        let schedule = cron("30 9 * * *", chrono_tz::Europe::Berlin);
        let history = ran("2026-03-28T08:30:00Z", "2026-03-28T08:31:00Z", 0);
        // On 2026-03-29 clocks go forward: half past nine is 07:30 UTC.
        assert_eq!(next(&schedule, &history), Some(at("2026-03-29T07:30:00Z")));
    }

    #[test]
    fn missed_ticks_are_one_run() {
        let schedule = cron("*/5 * * * *", chrono_tz::UTC);
        let history = ran("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", 0);
        // However late it is now, the next tick after the last start is what is due.
        assert_eq!(next(&schedule, &history), Some(at("2026-01-01T00:05:00Z")));
    }

    #[test]
    fn failures_are_retried_with_doubling_delays_up_to_the_interval() {
        let every = Schedule::Every(Duration::from_mins(1));
        for (failures, expected) in [(1, 10), (2, 20), (3, 40), (4, 60), (30, 60)] {
            let history = ran("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", failures);
            let expected = at("2026-01-01T00:01:00Z") + chrono::TimeDelta::seconds(expected);
            assert_eq!(next(&every, &history), Some(expected), "{failures}");
        }
        let nightly = cron("0 3 * * *", chrono_tz::UTC);
        let history = ran("2026-01-01T03:00:00Z", "2026-01-01T03:00:05Z", 1);
        assert_eq!(next(&nightly, &history), Some(at("2026-01-01T03:00:15Z")));
    }
}
