//! Logs and metrics: how a node tells what it does, without telling whose data it holds.

mod logging;
pub mod metrics;
mod settings;

pub use logging::{Error, init, show_warnings, subscriber};
pub use metrics::Metrics;
pub use settings::{LogFormat, Settings};
