//! Whole-program tests.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod support;

mod read_contract;
mod read_listener;
mod read_paths;
