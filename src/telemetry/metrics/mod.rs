//! What a node counts, in OpenMetrics text.
//!
//! There is no global registry: two servers in one process count apart. Labels are names from the
//! loaded catalog and closed sets of codes; nothing that a client sends ever becomes a label.

mod connections;
mod content;
mod following;
mod problems;
mod reporting;
mod requests;
mod runs;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use prometheus_client::{metrics::info::Info, registry::Registry};

pub use connections::ConnectionMetrics;
pub use content::Shown;
pub use requests::{OTHER, Outcome, RequestMetrics};
pub use runs::Ended;

/// `Content-Type` of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All counters of one node. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    requests: requests::Requests,
    connections: connections::Connections,
    content: content::Content,
    following: following::Following,
    runs: runs::Runs,
    reporting: reporting::Reporting,
    problems: problems::Problems,
}

impl Metrics {
    /// Counters at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("larder");
        registry.register(
            "build",
            "The build that runs",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
        Self(Arc::new(Inner {
            requests: requests::Requests::register(&mut registry),
            connections: connections::Connections::register(&mut registry),
            content: content::Content::register(&mut registry),
            following: following::Following::register(&mut registry),
            runs: runs::Runs::register(&mut registry),
            reporting: reporting::Reporting::register(&mut registry),
            problems: problems::Problems::register(&mut registry),
            registry,
        }))
    }

    /// Everything as OpenMetrics text. Ages are counted from `now`.
    pub fn encode(&self, now: DateTime<Utc>) -> String {
        self.0.content.set_ages(now);
        self.0.following.set_ages(now);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.0.registry)
            .expect("writing to a String does not fail");
        text
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

/// Seconds from `then` to `now`; never negative, as clocks of two machines differ.
fn age(then: DateTime<Utc>, now: DateTime<Utc>) -> f64 {
    (now - then).as_seconds_f64().max(0.0)
}
