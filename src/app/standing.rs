//! How the publishing side of a server stands, for its status and its metrics.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{
    control::Error,
    domain::{
        node::{Label, LastError},
        run::RunRecord,
    },
    replica::{Problem, PublisherStatus},
    support::clock::Clock,
    telemetry::Metrics,
};

/// The part of a node that [`Metrics::problem_stands`] is told of here.
const PART: &str = "publisher";

/// What the publishing side tells of itself. Cheap to clone.
#[derive(Clone)]
pub(super) struct Standing {
    told: Arc<watch::Sender<PublisherStatus>>,
    metrics: Metrics,
    clock: Clock,
}

impl Standing {
    pub(super) fn new(told: watch::Sender<PublisherStatus>, metrics: Metrics, clock: Clock) -> Self {
        Self { told: Arc::new(told), metrics, clock }
    }

    /// Runs start here from now on.
    pub(super) fn is_up(&self) {
        self.told.send_modify(|status| {
            status.is_up = true;
            status.problem = None;
        });
        self.metrics.problem_stands(PART, None);
    }

    /// It could not be brought up, and is tried again.
    pub(super) fn failed(&self, error: &Error) {
        let code = error.code();
        let now = self.clock.now();
        self.told.send_modify(|status| {
            let same = status.problem.as_ref().filter(|problem| problem.code == code);
            let since = same.map_or(now, |problem| problem.since);
            status.problem = Some(Problem { code, message: error.to_string(), since });
        });
        self.metrics.problem_stands(PART, Some(code));
    }

    /// A run ended here.
    pub(super) fn run_ended(&self, record: &RunRecord) {
        let at = record.finished_at.unwrap_or(record.started_at);
        self.told.send_modify(|status| {
            status.last_run_at = status.last_run_at.max(Some(at));
            if let Some(error) = &record.error {
                let code = Label::fitted(&error.code);
                status.last_error = Some(LastError { code, collection: Some(record.sync.clone()), at });
            }
        });
    }
}
