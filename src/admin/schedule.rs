//! When a sync runs by itself, in words and as the next times.

use chrono::DateTime;
use chrono_tz::Tz;

use super::{Admin, error::Error};
use crate::{
    domain::{CollectionName, limits::CLOCK_SKEW_MAX},
    scheduler::{HISTORY_MAX, History, Schedule, ScheduledSync, upcoming},
};

/// When a sync runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleView {
    /// In words.
    pub words: String,
    /// The time zone of a cron expression.
    pub timezone: Option<String>,
    /// The next times, in that time zone. A pause or a dropped collection is not taken into account.
    pub next: Vec<DateTime<Tz>>,
}

impl Admin {
    /// The schedule of a sync, with the next `count` times.
    ///
    /// # Errors
    /// [`Error::UnknownSync`].
    pub async fn schedule(&self, name: &CollectionName, count: usize) -> Result<ScheduleView, Error> {
        self.schedule_of(&self.registry.find(name.as_str())?, count).await
    }

    pub(super) async fn schedule_of(
        &self,
        ScheduledSync { spec, schedule, .. }: &ScheduledSync,
        count: usize,
    ) -> Result<ScheduleView, Error> {
        let now = self.clock.now();
        let until = now + CLOCK_SKEW_MAX;
        let runs = self.metadata.runs_until(&spec.collection, until, HISTORY_MAX).await?;
        let zone = match schedule {
            Schedule::Cron { timezone, .. } => Some(*timezone),
            _ => None,
        };
        let history = History::of(&runs, until, false);
        let next = upcoming(schedule, &history, now).take(count);
        Ok(ScheduleView {
            words: schedule.to_string(),
            timezone: zone.map(|zone| zone.name().to_owned()),
            next: next.map(|at| at.with_timezone(&zone.unwrap_or(Tz::UTC))).collect(),
        })
    }
}
