//! Logs and metrics of a node. Neither ever contains data of a record, an index value or a key.

mod logging;
pub mod metrics;
mod settings;

pub use logging::{Error, init, show_warnings, subscriber};
pub use metrics::Metrics;
pub use settings::{LogFormat, Settings};
