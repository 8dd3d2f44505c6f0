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

pub(super) use authorised::API_KEY;
pub(super) use body::{BODY_BYTES_MAX, FORM};
pub(super) use coding::Coding;
pub(super) use freshness::{MAX_AGE, ON_STALE, OnStale};
pub(super) use path::{BY_POST, BY_VALUE, RawPath};
pub(super) use record::{Asked, answer, answer_despite_body, answer_post};
pub(super) use shown::{DATA_AS_OF, DATA_STALE, DATA_VERSION};
pub use state::{ReadLimits, ReadState};
