//! The read path: records by values of an index, with the records that they refer to.
//!
//! It touches memory only: no disk, no database, no store, no lock held over I/O. A record's answer is
//! made in one call, without a task or a box of its own; a look-up by POST waits only for its body.

mod answer;
mod answer_body;
mod authorised;
mod batch;
mod body;
mod codes;
mod coding;
mod compose;
mod conditional;
mod cors;
mod freshness;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod handler;
mod join;
mod parameters;
mod path;
mod project;
mod rates;
mod record;
mod state;
mod values;
mod version_view;

pub(super) use codes::Code;
pub(super) use handler::{RecordRequest, answer, answer_despite_body, answer_here, answer_post};
pub(super) use path::RawPath;
pub use state::{ReadLimits, ReadState};
#[cfg(test)] // the description of the listener names them
pub(super) use {
    authorised::API_KEY,
    batch::{ANSWER_BYTES_MAX, BODY_BYTES_MAX as BATCH_BYTES_MAX, VALUES_MAX},
    body::{BODY_BYTES_MAX, FORM},
    coding::Coding,
    freshness::{MAX_AGE, ON_STALE, OnStale},
    parameters::{FIELDS, INCLUDE},
    version_view::{DATA_AS_OF, DATA_STALE, DATA_VERSION},
};
