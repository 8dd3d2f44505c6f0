//! Larder: rows of a data warehouse, kept in memory in every region, served one record at a time.
//!
//! The modules are floors; a module imports strictly lower floors only. `ARCHITECTURE.md` has the
//! map and the walk of a row.

pub mod domain;
pub mod support;

pub mod segment;
pub mod settings;
pub mod store;
pub mod telemetry;

pub mod cache;
pub mod disk;
pub mod mapping;
pub mod metadata;
pub mod source;

pub mod auth;
pub mod catalog;

pub mod engine;
pub mod replica;

pub mod admin;
pub mod scheduler;

pub mod api;
pub mod app;
pub mod cli;
pub mod config;

// Above them all, in tests and for fuzzers
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
