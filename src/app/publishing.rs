//! The publishing side of a server: brought up, and again when that fails; scheduler, housekeeping.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinHandle};
use tracing::warn;

use super::{housekeeping, parts::open_catalog, publisher};
use crate::{
    admin::{Error, Publisher, Registry},
    catalog::StatusStore,
    config::{Config, Role},
    disk::SegmentDirectory,
    replica::ReplicaHandle,
    scheduler::Scheduler,
    status::Board,
    support::{backoff::Backoff, clock::Clock, shutdown::Shutdown},
    telemetry::Metrics,
};

/// First and longest pause between attempts to bring the publishing side up.
const PUBLISHER_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Brings the publishing side up, and again when that fails.
pub(super) struct Publishing {
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) registry: Registry,
    pub(super) publishers: watch::Sender<Option<Publisher>>,
    pub(super) board: Board,
    pub(super) metrics: Metrics,
    pub(super) follower: ReplicaHandle,
    pub(super) statuses: StatusStore,
    pub(super) segments: SegmentDirectory,
    pub(super) shutdown: Shutdown,
}

impl Publishing {
    /// One attempt; the store is tried out first.
    async fn bring_up(&self, announcing_ends: Shutdown) -> Result<(Publisher, JoinHandle<()>), Error> {
        open_catalog(&self.config)?.check_conditional_create().await?;
        let (registry, segments) = (self.registry.clone(), self.segments.clone());
        publisher::start(&self.config, registry, segments, self.clock.clone(), announcing_ends).await
    }

    /// Runs until `shutdown`: scheduler and housekeeping first, then the announcer, which may have
    /// to tell runs how their announcements ended.
    pub(super) async fn run(self) {
        let mut backoff = Backoff::new(PUBLISHER_RETRY.0, PUBLISHER_RETRY.1);
        let announcing_ends = Shutdown::new();
        let (publisher, announcing) = loop {
            match self.bring_up(announcing_ends.clone()).await {
                Ok(started) => break started,
                Err(error) => {
                    let code = error.code();
                    warn!(code, %error, "no sync starts: the publishing side is not up; trying again");
                    let now = self.clock.now();
                    self.board.update_publisher(|status| status.raise(code, error.to_string(), now));
                }
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next_delay()) => {}
                () = self.shutdown.cancelled() => return,
            }
        };
        if let Err(error) = housekeeping::settle(&publisher).await {
            warn!(code = error.code(), %error, "runs that a killed process left open are settled later");
        }
        self.board.update_publisher(|status| {
            status.up = true;
            status.problem = None;
        });
        let (metrics, follower, board, clock) = (self.metrics, self.follower, self.board, self.clock.clone());
        let scheduler = Scheduler {
            engine: publisher.engine.clone(),
            metadata: publisher.metadata.clone(),
            clock: self.clock.clone(),
            syncs: self.registry.subscribe(),
            max_concurrent_runs: self.config.engine.max_concurrent_runs,
            on_ended: Arc::new(move |ended| match ended {
                Ok(ended) => {
                    metrics.run_ended(&ended.record);
                    let (failure, now) = (ended.store_failure, clock.now());
                    board.update_publisher(|status| status.record_run(&ended.record, failure, now));
                    follower.nudge();
                }
                Err(error) => {
                    if let Some(code) = error.store_failure() {
                        let now = clock.now();
                        board.update_publisher(|status| status.raise(code, error.to_string(), now));
                    }
                }
            }),
        };
        let keeping = housekeeping::Housekeeping {
            publisher: publisher.clone(),
            statuses: self.statuses,
            // Where a replica runs, it knows what must stay, and does it.
            segments: (!self.config.node.has(Role::Replica)).then_some(self.segments),
            keep_versions: self.config.catalog.keep_versions,
        };
        let keeping = tokio::spawn(keeping.run(self.shutdown.clone()));
        // Receivers may be gone only when the server is.
        let _ = self.publishers.send(Some(publisher.clone()));
        scheduler.run(self.shutdown.clone()).await;
        let _ = keeping.await;
        announcing_ends.cancel();
        let _ = announcing.await;
        publisher.metadata.close().await;
    }
}
