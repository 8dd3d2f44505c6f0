//! Metrics of a node, in OpenMetrics text.
//!
//! There is no global registry: two servers in one process count separately. Labels are names from the loaded
//! catalog and closed sets of codes. Nothing that a client sends becomes a label.

mod connections;
mod node;
mod reporting;
mod requests;
mod runs;
mod tasks;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use prometheus_client::{encoding::text, metrics::info::Info, registry::Registry};

use crate::status::NodeStatus;

pub use connections::ConnectionMetrics;
pub use requests::{OTHER, Outcome, RequestMetrics};

/// `Content-Type` of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Prefix of every metric name.
const PREFIX: &str = "larder";

/// All counters of one node. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    requests: requests::Requests,
    connections: connections::Connections,
    runs: runs::Runs,
    reporting: reporting::Reporting,
    tasks: tasks::Tasks,
}

impl Metrics {
    /// Counters at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register(
            "build",
            "The build that runs",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
        Self(Arc::new(Inner {
            requests: requests::Requests::register(&mut registry),
            connections: connections::Connections::register(&mut registry),
            runs: runs::Runs::register(&mut registry),
            reporting: reporting::Reporting::register(&mut registry),
            tasks: tasks::Tasks::register(&mut registry),
            registry,
        }))
    }

    /// Encodes the counters and the metrics of `status` as OpenMetrics text. Ages are relative to `now`.
    pub fn encode(&self, status: &NodeStatus, now: DateTime<Utc>) -> String {
        let mut lines = String::new();
        text::encode_registry(&mut lines, &self.0.registry)
            .and_then(|()| text::encode_registry(&mut lines, &node::registry(status, now)))
            .and_then(|()| text::encode_eof(&mut lines))
            .expect("writing to a String does not fail");
        lines
    }

    /// The counters alone.
    #[cfg(test)]
    fn counters(&self) -> String {
        let mut lines = String::new();
        text::encode(&mut lines, &self.0.registry).unwrap();
        lines
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

/// Seconds from `then` to `now`. Never negative, although clocks of two machines differ.
fn age(then: DateTime<Utc>, now: DateTime<Utc>) -> f64 {
    (now - then).as_seconds_f64().max(0.0)
}
