//! Writes this node's status to the store: after a significant change, and as a heartbeat.
//!
//! A change is significant when somebody may wait for it: a served version, keys in force, readiness, the
//! publishing side, a problem. Timestamps alone wait for the heartbeat, because cloud stores charge for every
//! write.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use crate::{
    catalog::StatusStore,
    status::{Board, NodeStatus},
    support::{backoff::Backoff, clock::Clock, shutdown::Shutdown},
    telemetry::Metrics,
};

/// Time limit for the last write at shutdown. Without that write the node is shown as silent.
const LAST_WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a node writes its status. Tests shorten the times.
#[derive(Debug, Clone)]
pub struct ReportPace {
    /// Shortest time between two writes.
    pub interval_min: Duration,
    /// Longest time between two writes.
    pub heartbeat: Duration,
    /// First and longest delay after a failed write.
    pub retry: (Duration, Duration),
}

impl Default for ReportPace {
    /// A heartbeat every 30 s makes 88,000 writes a month: half a dollar at S3's list price. A node is silent
    /// after three heartbeats, so two may be lost.
    fn default() -> Self {
        Self {
            interval_min: Duration::from_secs(1),
            heartbeat: Duration::from_secs(30),
            retry: (Duration::from_secs(1), Duration::from_mins(5)),
        }
    }
}

/// The service that writes a node's status. Run it once.
#[derive(Debug, Clone)]
pub struct Reporter {
    board: Board,
    statuses: StatusStore,
    metrics: Metrics,
    clock: Clock,
    pace: ReportPace,
    written: Option<NodeStatus>,
    is_failing: bool,
    backoff: Backoff,
    /// The earliest time of the next write.
    next_write: Instant,
    next_heartbeat: Instant,
}

impl Reporter {
    /// A reporter of the status on `board`.
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

    /// Runs until `shutdown`, then writes that the node is draining.
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
                self.next_write = begun + self.pace.interval_min;
                self.written = Some(now.clone());
                self.backoff.reset();
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("writing the node's status works again");
                }
            }
            Err(error) => {
                self.next_write = Instant::now() + self.backoff.next_delay();
                // The last status in the store is out of date, even if the status changes back.
                self.written = None;
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(
                        code = error.code(), %error,
                        "cannot write the node's status; the node keeps serving, and `larder status` shows it as silent"
                    );
                }
            }
        }
    }
}
