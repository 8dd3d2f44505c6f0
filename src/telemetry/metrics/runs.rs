//! Counts sync runs that ended on this node.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::Metrics;
use crate::domain::{
    name::CollectionName,
    run::{RunRecord, RunStatus},
};

/// Upper bounds in seconds: from an unchanged small model up to an hour.
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
    /// Creates the counters of `sync` at zero, so that its first run of each status is an increase.
    pub fn runs_may_end(&self, sync: &CollectionName) {
        for status in RunStatus::ENDS.map(RunStatus::as_str) {
            drop(self.0.runs.ended.get_or_create(&Run { sync: sync.to_string(), status }));
        }
    }

    /// Counts a run that ended.
    pub fn run_ended(&self, record: &RunRecord) {
        let runs = &self.0.runs;
        let sync = record.sync.to_string();
        let run = Run { sync: sync.clone(), status: record.status.as_str() };
        let took = record.finished_at.unwrap_or(record.started_at) - record.started_at;
        runs.ended.get_or_create(&run).inc();
        runs.durations.get_or_create(&run).observe(took.as_seconds_f64().max(0.0));
        let (rows, rejected) = (record.counts.rows, record.counts.rejected);
        for (outcome, rows) in [("mapped", rows.saturating_sub(rejected)), ("rejected", rejected)] {
            runs.rows.get_or_create(&Rows { sync: sync.clone(), outcome }).inc_by(rows);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::{
        domain::{id::RunId, run::RunCounts},
        support::random,
    };

    #[test]
    fn runs_are_counted_by_status_with_their_rows() {
        let metrics = Metrics::new();
        let sync = CollectionName::new("customer").unwrap();
        let record = |status, rows, rejected| RunRecord {
            id: RunId::from_uuid(random::uuid()),
            sync: sync.clone(),
            status,
            trigger: "schedule".to_owned(),
            started_at: DateTime::UNIX_EPOCH,
            finished_at: Some(DateTime::UNIX_EPOCH + TimeDelta::seconds(2)),
            data_as_of: None,
            version: None,
            counts: RunCounts { rows, rejected, ..RunCounts::default() },
            error: None,
        };
        metrics.runs_may_end(&sync);
        metrics.run_ended(&record(RunStatus::Announced, 100, 3));
        metrics.run_ended(&record(RunStatus::Failed, 0, 0));
        let text = metrics.counters();
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
