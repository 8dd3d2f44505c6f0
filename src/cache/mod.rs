//! Records in memory: hash indexes over segments. Look-ups are answered from here.
//!
//! A [`Collection`] holds its segments as they were read and, per index, a `DashMap` from a 64-bit
//! hash of the value to the 8-byte location of a record. A reader locks one shard
//! for one probe and nothing else. One writer at a time applies changes in place. No guard of a map leaves
//! this module.

mod apply;
mod build;
mod collection;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod index;
mod inspect;
mod location;
mod overflow;
mod plan;
mod relocate;
mod slots;
mod table;
#[cfg(test)]
mod tests;

pub use collection::{Collection, Lookup, Served};
pub use error::Error;
pub use inspect::{IndexValue, Inspection};
pub use relocate::Relocation;
pub use slots::{Cache, Slot};
