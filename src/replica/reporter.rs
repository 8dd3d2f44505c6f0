//! Tells the fleet how this node stands: writes its status when something that matters has changed,
//! and as a heartbeat.
//!
//! What matters is what somebody may wait for: a version that came into service, keys in force,
//! readiness, a publishing side that came up, a problem that came or went. Times that move on by themselves wait for the heartbeat:
//! every write costs money at a cloud's store.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use crate::{
    catalog::StatusStore,
    status::{Board, NodeStatus},
    support::{backoff::Backoff, clock::Clock, shutdown::Shutdown},
    telemetry::Metrics,
};

/// Time for the last write while the process ends; without it the node falls silent.
const LAST_WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a node writes. Tests shorten it.
#[derive(Debug, Clone)]
pub struct ReportPace {
    /// Shortest time between two writes.
    pub apart: Duration,
    /// Longest time between two writes.
    pub heartbeat: Duration,
    /// First and longest waiting time after a write that failed.
    pub retry: (Duration, Duration),
}

impl Default for ReportPace {
    /// A heartbeat every 30 s is 88,000 writes a month, half a dollar at S3's list price; a third of
    /// what makes a node silent, so that two may be lost.
    fn default() -> Self {
        Self {
            apart: Duration::from_secs(1),
            heartbeat: Duration::from_secs(30),
            retry: (Duration::from_secs(1), Duration::from_mins(5)),
        }
    }
}

/// The service that writes a node's status. Run it once.
#[derive(Debug)]
pub struct Reporter {
    board: Board,
    statuses: StatusStore,
    metrics: Metrics,
    clock: Clock,
    pace: ReportPace,
    written: Option<NodeStatus>,
    is_failing: bool,
    backoff: Backoff,
    /// Not before.
    next_write: Instant,
    next_heartbeat: Instant,
}

impl Reporter {
    /// A reporter of what `board` shows.
    pub fn new(
        board: Board,
        statuses: StatusStore,
        metrics: Metrics,
        clock: Clock,
        pace: ReportPace,
    ) -> Self {
        let now = Instant::now();
        Self {
            board,
            statuses,
            metrics,
            clock,
            written: None,
            is_failing: false,
            backoff: Backoff::new(pace.retry.0, pace.retry.1),
            pace,
            next_write: now,
            next_heartbeat: now,
        }
    }

    /// Runs until `shutdown`, and then writes that the node ends.
    pub async fn run(mut self, shutdown: Shutdown) {
        let mut watched = self.board.subscribe();
        loop {
            let now = watched.borrow_and_update().clone();
            let wake = if self.must_write(&now) { self.next_write } else { self.next_heartbeat };
            tokio::select! {
                () = shutdown.cancelled() => break,
                changed = watched.changed() => if changed.is_err() { break },
                () = sleep_until(wake) => tokio::select! {
                    () = self.write(&now) => {}
                    () = shutdown.cancelled() => break,
                },
            }
        }
        let now = NodeStatus { draining: true, ..self.board.read() };
        if self.must_write(&now) && !self.is_failing {
            let _ = timeout(LAST_WRITE_TIMEOUT, self.write(&now)).await;
        }
    }

    fn must_write(&self, now: &NodeStatus) -> bool {
        self.written.as_ref().is_none_or(|written| written.differs_from(now))
    }

    async fn write(&mut self, now: &NodeStatus) {
        let begun = Instant::now();
        let status = NodeStatus { written_at: self.clock.now(), ..now.clone() };
        let written = self.statuses.write(&status).await;
        self.metrics.status_written(written.is_ok());
        self.next_heartbeat = begun + self.pace.heartbeat;
        match written {
            Ok(()) => {
                self.next_write = begun + self.pace.apart;
                self.written = Some(now.clone());
                self.backoff.reset();
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("the node's status is written again");
                }
            }
            Err(error) => {
                self.next_write = Instant::now() + self.backoff.next_delay();
                // What was written last is out of date, whatever happens until then.
                self.written = None;
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(
                        code = error.code(), %error,
                        "the node's status cannot be written; it serves on, and others see it as silent"
                    );
                }
            }
        }
    }
}
