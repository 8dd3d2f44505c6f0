//! Counters of work in the background: sync runs that ended on this node, writes of its status, restarts of tasks, housekeeping.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use super::{Labels, Metrics, durations, family, label};
use crate::domain::{CollectionName, RunRecord, RunStatus};

/// Upper bounds in seconds: from an unchanged small model up to an hour.
const SECONDS: [f64; 10] = [0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];

pub(super) struct Work {
    runs: Family<Labels<2>, Counter>,
    durations: Family<Labels<2>, Histogram>,
    rows: Family<Labels<2>, Counter>,
    status_writes: Family<Labels<1>, Counter>,
    task_restarts: Family<Labels<1>, Counter>,
    objects_deleted: Counter,
    rounds_cut_off: Counter,
}

impl Work {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let took = "Time that sync runs took";
        let restarts = "Restarts of a task that panicked or ended unexpectedly";
        let this = Self {
            runs: family(registry, "sync_runs", "Sync runs that ended, by status"),
            durations: durations(registry, "sync_run_duration", took, || Histogram::new(SECONDS)),
            rows: family(registry, "sync_rows", "Rows read from sources, by outcome"),
            status_writes: family(registry, "status_writes", "Writes of this node's status"),
            task_restarts: family(registry, "task_restarts", restarts),
            objects_deleted: Counter::default(),
            rounds_cut_off: Counter::default(),
        };
        let deleted = "Objects of the store that housekeeping deleted";
        registry.register("housekeeping_objects_deleted", deleted, this.objects_deleted.clone());
        let cut_off = "Rounds of housekeeping that ended before every collection was checked";
        registry.register("housekeeping_rounds_cut_off", cut_off, this.rounds_cut_off.clone());
        for outcome in ["written", "failed"] {
            // Both series start at zero, so that the first failure is an increase.
            drop(this.status_writes.get_or_create(&[label("outcome", outcome)]));
        }
        this
    }
}

impl Metrics {
    /// Creates the counters of `sync` at zero, so that its first run of each status is an increase.
    pub fn runs_may_end(&self, sync: &CollectionName) {
        for status in RunStatus::ends() {
            drop(self.0.work.runs.get_or_create(&[label("sync", sync), label("status", &status)]));
        }
    }

    /// Counts a run that ended.
    pub fn run_ended(&self, record: &RunRecord) {
        let work = &self.0.work;
        let labels = [label("sync", &record.sync), label("status", &record.status)];
        let took = record.finished_at.unwrap_or(record.started_at) - record.started_at;
        work.runs.get_or_create(&labels).inc();
        work.durations.get_or_create(&labels).observe(took.as_seconds_f64().max(0.0));
        let (rows, rejected) = (record.counts.rows, record.counts.rejected);
        for (outcome, rows) in [("mapped", rows.saturating_sub(rejected)), ("rejected", rejected)] {
            let labels = [label("sync", &record.sync), label("outcome", outcome)];
            work.rows.get_or_create(&labels).inc_by(rows);
        }
    }

    /// Counts a write of the node's status that succeeded or failed.
    pub fn status_written(&self, is_written: bool) {
        let outcome = if is_written { "written" } else { "failed" };
        self.0.work.status_writes.get_or_create(&[label("outcome", outcome)]).inc();
    }

    /// Creates the counter of `task` at zero, so that its first restart is an increase.
    pub fn task_starts(&self, task: &str) {
        drop(self.0.work.task_restarts.get_or_create(&[label("task", task)]));
    }

    /// Counts a restart of `task` after an unexpected end.
    pub fn task_restarted(&self, task: &str) {
        self.0.work.task_restarts.get_or_create(&[label("task", task)]).inc();
    }

    /// Counts a round of housekeeping that deleted `objects` objects.
    pub fn housekeeping_round_ended(&self, objects: usize, is_cut_off: bool) {
        self.0.work.objects_deleted.inc_by(objects as u64);
        self.0.work.rounds_cut_off.inc_by(u64::from(is_cut_off));
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::{
        domain::{RunCounts, RunId},
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

    #[test]
    fn writes_are_counted_from_zero() {
        let metrics = Metrics::new();
        metrics.status_written(false);
        let text = metrics.counters();
        assert!(text.contains(r#"larder_status_writes_total{outcome="written"} 0"#), "{text}");
        assert!(text.contains(r#"larder_status_writes_total{outcome="failed"} 1"#), "{text}");
    }
}
