//! The admin listener: who may do what, and every route of its API.

mod access;
mod changes;
mod commands;
mod events;
mod exported;
pub(crate) mod fixture;
mod fuzzed;
mod reading;
mod runs;
mod stored;
