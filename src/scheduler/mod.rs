//! When a sync is due.

mod schedule;

pub use schedule::Schedule;
