//! Schedules: when a sync is due, missed ticks, retries, and the loops that start runs.

mod due;
mod schedule;
mod service;
mod settings;

pub use due::{History, next};
pub use schedule::Schedule;
pub use service::{OnEnded, ScheduledSync, Scheduler, SyncLoop};
pub use settings::SyncConfig;
