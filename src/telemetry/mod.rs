//! Logs and metrics: how a node tells what it does, without telling whose data it holds.

mod settings;

pub use settings::{LogFormat, Settings};
