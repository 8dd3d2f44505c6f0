//! Counts restarts of tasks.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::Metrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Task {
    task: String,
}

pub(super) struct Tasks {
    restarts: Family<Task, Counter>,
}

impl Tasks {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let this = Self { restarts: Family::default() };
        let help = "Restarts of a task that panicked or ended without being told to";
        registry.register("task_restarts", help, this.restarts.clone());
        this
    }
}

impl Metrics {
    /// Creates the counter of `task` at zero, so that its first restart is an increase.
    pub fn task_starts(&self, task: &str) {
        drop(self.0.tasks.restarts.get_or_create(&Task { task: task.to_owned() }));
    }

    /// Counts a restart of `task` after an unexpected end.
    pub fn task_restarted(&self, task: &str) {
        self.0.tasks.restarts.get_or_create(&Task { task: task.to_owned() }).inc();
    }
}
