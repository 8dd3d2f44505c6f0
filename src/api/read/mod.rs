//! The read path: one record, by one value of one index.
//!
//! Nothing here waits: no disk, no database, no store, no lock held over I/O. A record's answer is
//! made in one call, without a task or a box of its own; a look-up by POST waits for its body alone.

mod authorised;
mod body;
mod coding;
mod conditional;
mod content;
mod freshness;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod path;
mod record;
mod shown;
mod state;

pub(super) use path::RawPath;
pub(super) use record::{Asked, answer, answer_post};
pub use state::{ReadLimits, ReadState};
