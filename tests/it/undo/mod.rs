//! Undoing: rollback, approve, resume, drop, pin and unpin.

mod paths;
mod runs;
mod story;
mod versions;
