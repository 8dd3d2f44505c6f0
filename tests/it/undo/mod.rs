//! Undoing: rollback, approve, resume, drop, pin and unpin.

mod audit;
mod killed;
mod listed;
mod paths;
mod runs;
mod story;
mod versions;
