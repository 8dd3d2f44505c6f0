//! Larder: rows of a data warehouse, kept in memory in every region, served one record at a time.
//!
//! The modules are floors; a module imports strictly lower floors only. `ARCHITECTURE.md` has the
//! map and the walk of a row.

// Floor 0
pub mod domain;
pub mod support;
// Floor 1
pub mod segment;
pub mod telemetry;
// Floor 2
pub mod cache;
pub mod mapping;
pub mod metadata;
pub mod publication;
pub mod source;
// Floor 3
pub mod auth;
pub mod engine;
pub mod replica;
// Floor 4
pub mod control;
pub mod scheduler;
// Floor 5
pub mod api;
// Floor 6
pub mod config;
// Floor 7
pub mod app;
// Floor 8
pub mod cli;

// Above them all, in tests and for fuzzers
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
