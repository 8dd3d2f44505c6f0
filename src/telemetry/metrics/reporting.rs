//! Counts writes of this node's status.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::Metrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

pub(super) struct Reporting {
    writes: Family<Outcome, Counter>,
}

impl Reporting {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let this = Self { writes: Family::default() };
        for outcome in [true, false].map(outcome) {
            // Both series start at zero, so that the first failure is an increase.
            drop(this.writes.get_or_create(&outcome));
        }
        registry.register("status_writes", "Writes of this node's status", this.writes.clone());
        this
    }
}

fn outcome(is_written: bool) -> Outcome {
    Outcome { outcome: if is_written { "written" } else { "failed" } }
}

impl Metrics {
    /// Counts a write of the node's status that succeeded or failed.
    pub fn status_written(&self, is_written: bool) {
        self.0.reporting.writes.get_or_create(&outcome(is_written)).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_counted_from_zero() {
        let metrics = Metrics::new();
        metrics.status_written(false);
        let text = metrics.counters();
        assert!(text.contains(r#"larder_status_writes_total{outcome="written"} 0"#), "{text}");
        assert!(text.contains(r#"larder_status_writes_total{outcome="failed"} 1"#), "{text}");
    }
}
