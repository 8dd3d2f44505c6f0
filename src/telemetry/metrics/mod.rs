//! Metrics of a node, in OpenMetrics text.
//!
//! There is no global registry: two servers in one process count separately. Labels are names from the loaded
//! catalog and closed sets of codes. Nothing that a client sends becomes a label.

mod connections;
mod node;
mod requests;
mod work;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use prometheus_client::{
    encoding::text,
    metrics::{family::Family, histogram::Histogram, info::Info},
    registry::{Metric, Registry, Unit},
};

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
    work: work::Work,
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
            work: work::Work::register(&mut registry),
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

/// The labels of one series: names and values.
type Labels<const N: usize> = [(&'static str, String); N];

fn label(name: &'static str, value: &(impl ToString + ?Sized)) -> (&'static str, String) {
    (name, value.to_string())
}

/// Registers a metric with labels.
fn family<L, M>(registry: &mut Registry, name: &str, help: impl Into<String>) -> Family<L, M>
where
    Family<L, M>: Default + Clone + Metric,
{
    let family = Family::default();
    registry.register(name, help, family.clone());
    family
}

/// Registers a histogram of seconds with labels.
fn durations(
    registry: &mut Registry,
    name: &str,
    help: &str,
    new: fn() -> Histogram,
) -> Family<Labels<2>, Histogram> {
    let family = Family::new_with_constructor(new);
    registry.register_with_unit(name, help, Unit::Seconds, family.clone());
    family
}

/// Seconds from `then` to `now`. Never negative, although clocks of two machines differ.
fn age(then: DateTime<Utc>, now: DateTime<Utc>) -> f64 {
    (now - then).as_seconds_f64().max(0.0)
}
