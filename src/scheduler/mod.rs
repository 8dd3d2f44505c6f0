//! Schedules: when a sync is due, missed ticks, retries, and the loops that start runs.

mod due;
mod schedule;
mod service;
mod settings;

pub use due::{History, next, upcoming};
pub use schedule::Schedule;
pub use service::{HISTORY_MAX, OnEnded, ScheduledSync, Scheduler, SyncLoop};
pub use settings::SyncConfig;
