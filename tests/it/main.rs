//! Whole-program tests.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod architecture;
mod commands;
mod docs;
mod fidelity;
mod liquid_story;
mod metadata;
mod model_story;
mod no_leaks;
mod packaging;
mod publication;
mod read_contract;
mod read_listener;
mod read_paths;
mod source_postgres;
mod source_sqlite;
mod support;
mod sync_story;
