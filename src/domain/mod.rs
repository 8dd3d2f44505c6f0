//! Nouns, pure: names, ids, rows, documents. No clock, no randomness, no files, no async.

pub(crate) mod bounded;
pub mod catalog;
pub mod digest;
pub mod duration;
pub mod error;
pub mod id;
pub mod index;
pub mod json;
pub mod keyset;
pub mod label;
pub mod limits;
pub mod manifest;
pub mod name;
pub(crate) mod object;
pub mod record;
pub mod reject;
pub mod row;
pub mod run;
