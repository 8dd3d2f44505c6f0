//! Supervision: every long-lived task of a node has a name, and its unexpected end is noticed.
//!
//! A node cannot do without a critical task: when one ends, readiness fails at once, and the process
//! drains and ends. A restartable task is started again, with backoff; its problem is in the node's status
//! until the task has run for a while. A task that returns before it is asked to stop has failed like one
//! that panics. Where a panic happened, the process's panic hook logs.

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use futures::FutureExt;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tracing::{error, info};

use crate::{
    domain::Label,
    status::{Board, Problem},
    support::{backoff::Backoff, clock::Clock, shutdown::Shutdown},
    telemetry::Metrics,
};

/// How tasks are supervised. Tests shorten the times and inject faults.
#[derive(Debug, Clone)]
pub struct Supervision {
    /// First and longest pause before a task is started again.
    pub retry: (Duration, Duration),
    /// How long a task runs before its problem is over.
    pub steady_after: Duration,
    /// Faults injected into tasks.
    pub faults: TaskFaults,
}

impl Default for Supervision {
    fn default() -> Self {
        let minute = Duration::from_mins(1);
        Self { retry: (Duration::from_secs(1), minute), steady_after: minute, faults: TaskFaults::default() }
    }
}

/// A fault that a test injects into a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskFault {
    /// It panics.
    Panic,
    /// It returns before it is asked to stop.
    Return,
}

/// The source of injected faults; none by default.
#[derive(Debug, Clone, Default)]
pub struct TaskFaults(Option<watch::Receiver<Option<(String, TaskFault)>>>);

impl TaskFaults {
    /// Faults that the sender sets. A fault hits the named task whenever it runs.
    pub fn channel() -> (watch::Sender<Option<(String, TaskFault)>>, Self) {
        let (sender, faults) = watch::channel(None);
        (sender, Self(Some(faults)))
    }

    /// Waits for a fault of `task`.
    async fn wait(mut self, task: &str) -> TaskFault {
        let is_hit =
            |fault: &Option<(String, TaskFault)>| fault.as_ref().is_some_and(|(name, _)| name == task);
        if let Some(faults) = &mut self.0
            && let Ok(fault) = faults.wait_for(is_hit).await
            && let Some((_, fault)) = *fault
        {
            return fault;
        }
        std::future::pending().await
    }
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It returned.
    Returned,
    /// It panicked.
    Panicked,
}

/// The code of the problem of a task, however it ended.
pub const TASK_FAILED: &str = "task_failed";

impl End {
    const fn verb(self) -> &'static str {
        match self {
            Self::Returned => "ended unexpectedly",
            Self::Panicked => "panicked (see the log)",
        }
    }
}

/// Starts tasks and watches them. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Supervisor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    board: Board,
    metrics: Metrics,
    clock: Clock,
    /// Ends the listeners of records.
    drain: Shutdown,
    supervision: Supervision,
    /// The first critical task that failed.
    failed: watch::Sender<Option<Label>>,
}

impl Supervisor {
    /// A supervisor that shows problems on `board`, and cancels `drain` when a critical task fails.
    pub(super) fn new(
        board: Board,
        metrics: Metrics,
        clock: Clock,
        drain: Shutdown,
        supervision: Supervision,
    ) -> Self {
        let failed = watch::Sender::new(None);
        Self(Arc::new(Inner { board, metrics, clock, drain, supervision, failed }))
    }

    /// Starts a task that the node cannot do without. It may return once `stop` is cancelled.
    pub(super) fn spawn_critical(
        &self,
        task: &'static str,
        stop: Shutdown,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let supervisor = self.clone();
        tokio::spawn(async move {
            let end = supervisor.guard(task, work).await;
            if end == End::Panicked || !stop.is_cancelled() {
                // Readiness must fail before anything else, so that no more requests arrive.
                supervisor.0.drain.cancel();
                error!(
                    task,
                    code = TASK_FAILED,
                    "a task that the node needs {}; the process ends",
                    end.verb()
                );
                supervisor.raise(task, end);
                supervisor.0.failed.send_if_modified(|failed| {
                    let is_first = failed.is_none();
                    failed.get_or_insert_with(|| Label::fitted(task));
                    is_first
                });
            }
        })
    }

    /// Starts a task, and again whenever it ends before `stop` is cancelled.
    pub(super) fn spawn_restartable<F>(
        &self,
        task: impl Into<String>,
        stop: Shutdown,
        start: impl Fn() -> F + Send + Sync + 'static,
    ) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send,
    {
        let (supervisor, task) = (self.clone(), task.into());
        tokio::spawn(async move { supervisor.keep_running(&task, &stop, start).await })
    }

    async fn keep_running<F>(&self, task: &str, stop: &Shutdown, start: impl Fn() -> F)
    where
        F: Future<Output = ()>,
    {
        let Supervision { retry, steady_after, .. } = self.0.supervision;
        let mut backoff = Backoff::new(retry.0, retry.1);
        self.0.metrics.task_starts(task);
        loop {
            let mut work = pin!(self.guard(task, async { start().await }));
            let end = if let Ok(end) = timeout(steady_after, &mut work).await {
                end
            } else {
                self.resolve(task);
                backoff.reset();
                work.await
            };
            if stop.is_cancelled() {
                break;
            }
            self.0.metrics.task_restarted(task);
            self.raise(task, end);
            let delay = backoff.next_delay();
            let delay_ms = delay.as_millis() as u64;
            error!(task, code = TASK_FAILED, delay_ms, "a task {}; it is started again", end.verb());
            tokio::select! {
                () = sleep(delay) => {}
                () = stop.cancelled() => break,
            }
        }
        self.resolve(task);
    }

    /// Runs `work` to its end, a panic included.
    pub(super) async fn guard(&self, task: &str, work: impl Future<Output = ()>) -> End {
        let faults = self.0.supervision.faults.clone();
        let faulty = async {
            tokio::select! {
                () = work => {}
                fault = faults.wait(task) => assert!(fault == TaskFault::Return, "a fault injected by a test"),
            }
        };
        match AssertUnwindSafe(faulty).catch_unwind().await {
            Ok(()) => End::Returned,
            Err(_) => End::Panicked,
        }
    }

    /// Returns the name of the first critical task that failed, once there is one.
    pub(super) async fn failed(&self) -> Label {
        let mut failed = self.0.failed.subscribe();
        match failed.wait_for(Option::is_some).await.ok().and_then(|failed| failed.clone()) {
            Some(task) => task,
            // The sender lives as long as `self`.
            None => std::future::pending().await,
        }
    }

    /// Whether a critical task has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.0.failed.borrow().is_some()
    }

    fn raise(&self, task: &str, end: End) {
        let (label, message) = (Label::fitted(task), format!("task {task} {}", end.verb()));
        let (now, is_draining) = (self.0.clock.now(), self.0.drain.is_cancelled());
        self.0.board.update(|status| {
            let problem = Problem::lasting(status.tasks.get(&label), TASK_FAILED, message, now);
            status.tasks.insert(label, problem);
            status.draining |= is_draining;
        });
    }

    fn resolve(&self, task: &str) {
        let label = Label::fitted(task);
        if self.0.board.view(|status| status.tasks.contains_key(&label)) {
            self.0.board.update(|status| drop(status.tasks.remove(&label)));
            info!(task, "the task runs again");
        }
    }
}
