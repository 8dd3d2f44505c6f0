//! How the publishing side of a server stands, for its status and its metrics.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{
    admin::Error,
    domain::{
        node::{Label, LastError},
        run::RunStatus,
    },
    engine::{self, Ended},
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
            self.is_over(status);
        });
    }

    /// It could not be brought up, and is tried again.
    pub(super) fn failed(&self, error: &Error) {
        self.told.send_modify(|status| self.stands(status, error.code(), error.to_string()));
    }

    /// A run ended here. When the store or the catalog failed it, nothing is announced from here until a
    /// later one ends well.
    pub(super) fn run_ended(&self, ended: &Ended) {
        let record = &ended.record;
        let at = record.finished_at.unwrap_or(record.started_at);
        self.told.send_modify(|status| {
            status.last_run_at = status.last_run_at.max(Some(at));
            if let Some(error) = &record.error {
                let code = Label::fitted(&error.code);
                status.last_error = Some(LastError { code, collection: Some(record.sync.clone()), at });
            }
            let message = || record.error.as_ref().map(|error| error.message.clone()).unwrap_or_default();
            match (ended.store_failure, record.status) {
                (Some(code), _) => self.stands(status, code, message()),
                (None, RunStatus::Announced | RunStatus::Unchanged) => self.is_over(status),
                _ => {}
            }
        });
    }

    /// A run that was due could not begin here.
    pub(super) fn no_run_began(&self, error: &engine::Error) {
        if let Some(code) = error.store_failure() {
            self.told.send_modify(|status| self.stands(status, code, error.to_string()));
        }
    }

    /// Called while `status` is locked, as its other half: the metric never tells of another problem.
    fn stands(&self, status: &mut PublisherStatus, code: &'static str, message: String) {
        let same = status.problem.as_ref().filter(|problem| problem.code == code);
        let since = same.map_or_else(|| self.clock.now(), |problem| problem.since);
        status.problem = Some(Problem { code, message, since });
        self.metrics.problem_stands(PART, Some(code));
    }

    fn is_over(&self, status: &mut PublisherStatus) {
        status.problem = None;
        self.metrics.problem_stands(PART, None);
    }
}
