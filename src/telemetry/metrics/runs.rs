//! Sync runs that ended on this node.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::Metrics;

/// Upper bounds in seconds: from an unchanged small model to an hour.
const SECONDS: [f64; 10] = [0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Run {
    sync: String,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rows {
    sync: String,
    outcome: &'static str,
}

pub(super) struct Runs {
    ended: Family<Run, Counter>,
    durations: Family<Run, Histogram>,
    rows: Family<Rows, Counter>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The word of its status, as `domain::run::RunStatus::as_str` gives it.
    pub status: &'static str,
    /// From its start to its end.
    pub took: Duration,
    /// Rows read.
    pub rows: u64,
    /// Rows rejected.
    pub rejected: u64,
}

impl Runs {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let this = Self {
            ended: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            rows: Family::default(),
        };
        registry.register("sync_runs", "Sync runs that ended, by status", this.ended.clone());
        registry.register_with_unit(
            "sync_run_duration",
            "Time that sync runs took",
            Unit::Seconds,
            this.durations.clone(),
        );
        registry.register("sync_rows", "Rows read from sources, by outcome", this.rows.clone());
        this
    }
}

impl Metrics {
    /// Runs of `sync` may end on this node with one of `statuses`: their counters begin at zero, so
    /// that the first of a kind is an increase.
    pub fn runs_may_end(&self, sync: &str, statuses: impl IntoIterator<Item = &'static str>) {
        for status in statuses {
            drop(self.0.runs.ended.get_or_create(&Run { sync: sync.to_owned(), status }));
        }
    }

    /// A run of `sync` ended.
    pub fn run_ended(&self, sync: &str, ended: Ended) {
        let runs = &self.0.runs;
        let run = Run { sync: sync.to_owned(), status: ended.status };
        runs.ended.get_or_create(&run).inc();
        runs.durations.get_or_create(&run).observe(ended.took.as_secs_f64());
        for (outcome, rows) in
            [("mapped", ended.rows.saturating_sub(ended.rejected)), ("rejected", ended.rejected)]
        {
            runs.rows.get_or_create(&Rows { sync: sync.to_owned(), outcome }).inc_by(rows);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn runs_are_counted_by_result_with_their_rows() {
        let metrics = Metrics::new();
        metrics.runs_may_end("customer", ["failed", "held"]);
        let ended = Ended { status: "announced", took: Duration::from_secs(2), rows: 100, rejected: 3 };
        metrics.run_ended("customer", ended);
        metrics.run_ended("customer", Ended { status: "failed", rows: 0, rejected: 0, ..ended });
        let text = metrics.encode(DateTime::UNIX_EPOCH);
        for line in [
            r#"larder_sync_runs_total{sync="customer",status="announced"} 1"#,
            r#"larder_sync_runs_total{sync="customer",status="failed"} 1"#,
            r#"larder_sync_runs_total{sync="customer",status="held"} 0"#,
            r#"larder_sync_run_duration_seconds_bucket{le="2.5",sync="customer",status="announced"} 1"#,
            r#"larder_sync_rows_total{sync="customer",outcome="mapped"} 97"#,
            r#"larder_sync_rows_total{sync="customer",outcome="rejected"} 3"#,
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
