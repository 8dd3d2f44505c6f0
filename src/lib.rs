//! Larder: rows of a data warehouse, kept in memory in every region, served one record at a time.
//!
//! The modules form layers, listed here from the lowest: a module imports strictly lower layers only.
//! `ARCHITECTURE.md` has the map, and the way of a row and of a request.

pub mod domain;
pub mod support;

pub mod liquid;
pub mod postgres;
pub mod secrets;
pub mod segment;
pub mod settings;
pub mod status;
pub mod store;

pub mod cache;
pub mod disk;
pub mod mapping;
pub mod metadata;
pub mod source;
pub mod telemetry;

pub mod auth;
pub mod catalog;
pub mod model;

pub mod engine;
pub mod replica;

pub mod scheduler;

pub mod admin;

pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod console;

// Above all others; for tests and fuzzers only
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
