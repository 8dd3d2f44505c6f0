//! When a sync is due: schedules, missed ticks, retries; and the loop that starts runs.

mod due;
mod schedule;
mod service;

pub use due::{History, next};
pub use schedule::Schedule;
pub use service::{OnEnded, ScheduledSync, Scheduler};
