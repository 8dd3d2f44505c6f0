//! Tasks of the process that were started again.

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
    /// `task` runs on this node: its restarts count from zero, so that the first is an increase.
    pub fn task_starts(&self, task: &str) {
        drop(self.0.tasks.restarts.get_or_create(&Task { task: task.to_owned() }));
    }

    /// `task` ended unexpectedly and is started again.
    pub fn task_restarted(&self, task: &str) {
        self.0.tasks.restarts.get_or_create(&Task { task: task.to_owned() }).inc();
    }
}
