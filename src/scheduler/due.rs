//! When a sync is due: a pure function of its schedule and its last runs.

use std::time::Duration;

use super::schedule::{Schedule, parse_cron};
use crate::{
    domain::{RunRecord, RunStatus},
    engine::Trigger,
};
use chrono::{DateTime, Utc};

/// First delay before a failed run is tried again; it doubles.
const RETRY_FIRST: Duration = Duration::from_secs(10);
/// Longest such delay for a schedule without an interval.
const RETRY_LONGEST: Duration = Duration::from_hours(1);
/// Longest delay before a held run's model is compared again. Every comparison counts as a held run, and the
/// example alert looks back an hour.
const HELD_LONGEST: Duration = Duration::from_mins(30);

/// A summary of a sync's last runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct History {
    /// Start of the last run, on any process.
    pub last_started: Option<DateTime<Utc>>,
    /// Start of the last run with a result: announced, unchanged or held.
    pub last_good_started: Option<DateTime<Utc>>,
    /// End of the last run.
    pub last_finished: Option<DateTime<Utc>>,
    /// Consecutive runs without a result, up to the last one: failed, killed, cancelled.
    pub failures: u32,
    /// Whether a guard holds the last run; then, how often the model was compared again since.
    pub held: Option<u32>,
    /// Whether a retry is useless until the configuration changes.
    pub is_hopeless: bool,
}

impl History {
    /// Summarizes the last runs of a sync that began by `until`, newest first. An end after it is not known: it
    /// was written by another clock.
    pub fn of(runs: &[RunRecord], until: DateTime<Utc>, is_hopeless: bool) -> Self {
        use RunStatus::{Held, StillHeld};
        // A run in progress has no result yet; its lease prevents a second one. A rollback reads no row.
        let is_ended_run =
            |run: &&RunRecord| !run.status.is_open() && run.trigger != Trigger::Rollback.as_str();
        let runs: Vec<&RunRecord> = runs.iter().filter(is_ended_run).collect();
        let good = runs.iter().position(|run| run.status.is_result());
        let is_held = runs.first().is_some_and(|run| matches!(run.status, Held | StillHeld));
        let repeats = runs.iter().take_while(|run| run.status == StillHeld).count() as u32;
        Self {
            last_started: runs.first().map(|run| run.started_at),
            last_good_started: good.map(|at| runs[at].started_at),
            last_finished: runs.first().and_then(|run| run.finished_at).filter(|end| *end <= until),
            failures: good.unwrap_or(runs.len()) as u32,
            held: is_held.then_some(repeats),
            is_hopeless,
        }
    }
}

/// When the next run is due; `None` when only an operator starts one. A moment in the past means
/// now: missed ticks run once. A sync that never ran is due at once. Of a schedule after invocations, `history` is that of
/// the runs after the newest invocation, and `None` means that the next run is one after another invocation.
pub fn next(schedule: &Schedule, history: &History) -> Option<DateTime<Utc>> {
    let Some(last_started) = history.last_started else {
        return (*schedule != Schedule::Manual).then_some(DateTime::UNIX_EPOCH);
    };
    let ended = history.last_finished.unwrap_or(last_started);
    let doubled = |times: u32, longest| RETRY_FIRST.saturating_mul(1 << times.min(20)).min(longest);
    if history.failures == 0 {
        let regular = tick(schedule, history.last_good_started.unwrap_or(last_started))?;
        let repeat = history.held.map(|repeats| add(ended, doubled(repeats, HELD_LONGEST)));
        return Some(repeat.map_or(regular, |repeat| repeat.max(regular)));
    }
    if *schedule == Schedule::Manual {
        return None;
    }
    let regular = tick(schedule, last_started);
    let retry = (!history.is_hopeless).then(|| {
        let longest = match schedule {
            Schedule::Every(interval) => (*interval).max(RETRY_FIRST),
            _ => RETRY_LONGEST,
        };
        add(ended, doubled(history.failures - 1, longest))
    });
    // A run without a result did not use up its tick, so another run makes up for it.
    match (retry, schedule) {
        (None, _) => regular,
        (Some(retry), Schedule::Every(_)) => Some(retry),
        (Some(retry), _) => Some(regular.map_or(retry, |regular| retry.min(regular))),
    }
}

/// The next times at which runs are due, if each of them has a result at once; the first is not before `now`. None of a
/// schedule after invocations: nobody knows when the next one is.
pub fn upcoming(
    schedule: &Schedule,
    history: &History,
    now: DateTime<Utc>,
) -> impl Iterator<Item = DateTime<Utc>> {
    let is_known = !matches!(schedule, Schedule::After(_));
    let first = next(schedule, history).filter(|_| is_known).map(|due| due.max(now));
    std::iter::successors(first, |last| tick(schedule, *last))
}

/// The first tick after `moment`.
fn tick(schedule: &Schedule, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match schedule {
        Schedule::Manual | Schedule::After(_) => None,
        Schedule::Every(interval) => Some(add(moment, *interval)),
        Schedule::Cron { expression, timezone } => {
            // The configuration has checked the expression.
            let cron = parse_cron(expression).ok()?;
            let local = moment.with_timezone(timezone);
            Some(cron.find_next_occurrence(&local, false).ok()?.with_timezone(&Utc))
        }
    }
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
    use RunStatus::{Failed, Held, StillHeld, Unchanged};

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn ran(started: &str, finished: &str, failures: u32) -> History {
        let good = (failures == 0).then(|| at(started));
        History {
            last_started: Some(at(started)),
            last_good_started: good,
            last_finished: Some(at(finished)),
            failures,
            held: None,
            is_hopeless: false,
        }
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
    fn upcoming_runs_begin_now_at_the_earliest_and_follow_the_schedule() {
        let listed = |schedule: &Schedule, history: &History, now: &str| {
            let times = upcoming(schedule, history, at(now)).take(3);
            times.map(|at| at.format("%dT%H:%M").to_string()).collect::<Vec<_>>()
        };
        let (every, never_ran) = (Schedule::Every(Duration::from_mins(5)), History::default());
        assert_eq!(listed(&every, &never_ran, "2026-01-01T10:00:00Z"), ["01T10:00", "01T10:05", "01T10:10"]);
        let history = ran("2026-01-01T10:00:00Z", "2026-01-01T10:00:05Z", 0);
        assert_eq!(listed(&every, &history, "2026-01-01T10:01:00Z"), ["01T10:05", "01T10:10", "01T10:15"]);
        let nightly = cron("30 3 * * *", chrono_tz::Europe::Berlin);
        let history = ran("2026-01-01T02:30:00Z", "2026-01-01T02:31:00Z", 0);
        assert_eq!(listed(&nightly, &history, "2026-01-01T10:00:00Z"), ["02T02:30", "03T02:30", "04T02:30"]);
        assert_eq!(listed(&Schedule::Manual, &history, "2026-01-01T10:00:00Z"), [""; 0]);
    }

    #[test]
    fn a_manual_sync_is_never_due() {
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
    fn missed_ticks_become_one_run() {
        let schedule = cron("*/5 * * * *", chrono_tz::UTC);
        let history = ran("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", 0);
        // At any later time the first tick after the last start is due.
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

    #[test]
    fn held_run_is_compared_again_with_doubling_delays_but_not_before_its_tick() {
        let every = Schedule::Every(Duration::from_mins(1));
        let nightly = cron("0 3 * * *", chrono_tz::UTC);
        for (repeats, delay_s) in [(0, 40), (2, 40), (3, 80), (5, 320), (8, 1800), (40, 1800)] {
            let ended = "2026-01-01T00:00:20Z";
            let history = History { held: Some(repeats), ..ran("2026-01-01T00:00:00Z", ended, 0) };
            let expected = at(ended) + chrono::TimeDelta::seconds(delay_s);
            assert_eq!(next(&every, &history), Some(expected), "{repeats}");
            assert_eq!(next(&nightly, &history), Some(at("2026-01-01T03:00:00Z")), "{repeats}");
        }
    }

    #[test]
    fn a_run_without_a_result_does_not_use_up_its_tick() {
        let nightly = cron("0 3 * * *", chrono_tz::UTC);
        let run = |started: &str, status| RunRecord {
            id: crate::domain::id::RunId::from_uuid(uuid::Uuid::nil()),
            sync: crate::domain::name::CollectionName::new("c").unwrap(),
            status,
            trigger: "schedule".to_owned(),
            started_at: at(started),
            finished_at: Some(at(started) + chrono::TimeDelta::seconds(5)),
            data_as_of: None,
            version: None,
            counts: crate::domain::run::RunCounts::default(),
            error: None,
        };
        for status in [RunStatus::Interrupted, RunStatus::Cancelled, RunStatus::Failed] {
            let runs =
                [run("2026-01-02T03:00:00Z", status), run("2026-01-01T03:00:00Z", RunStatus::Announced)];
            let history = History::of(&runs, at("2026-01-02T04:00:00Z"), false);
            assert_eq!(next(&nightly, &history), Some(at("2026-01-02T03:00:15Z")), "{status}");
            // The clock was set back while the run was under way.
            let history = History::of(&runs, at("2026-01-02T03:00:01Z"), false);
            assert_eq!(next(&nightly, &history), Some(at("2026-01-02T03:00:10Z")), "{status}");
            // A failure that only another configuration can mend waits for the next tick.
            let history = History::of(&runs, at("2026-01-02T04:00:00Z"), true);
            assert_eq!(next(&nightly, &history), Some(at("2026-01-03T03:00:00Z")), "{status}");
        }
        for (statuses, held, failures) in [
            (&[Held][..], Some(0), 0),
            (&[StillHeld, StillHeld, Held], Some(2), 0),
            (&[Failed, StillHeld, Held], None, 1),
            (&[Unchanged, StillHeld], None, 0),
        ] {
            let runs: Vec<_> = statuses.iter().map(|&status| run("2026-01-02T03:00:00Z", status)).collect();
            let history = History::of(&runs, at("2026-01-02T04:00:00Z"), false);
            assert_eq!((history.held, history.failures), (held, failures), "{statuses:?}");
        }
        let runs = [run("2026-01-02T03:00:00Z", RunStatus::Unchanged)];
        let history = History::of(&runs, at("2026-01-02T04:00:00Z"), false);
        assert_eq!(next(&nightly, &history), Some(at("2026-01-03T03:00:00Z")));
    }
}
