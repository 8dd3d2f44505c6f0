//! The publishing side of a server: its start with retries, the scheduler and housekeeping.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
};
use tracing::warn;

use super::{
    housekeeping::Housekeeping,
    parts::open_catalog,
    publisher,
    stored::ConfigurationInForce,
    supervisor::{End, Supervisor},
    syncs,
};
use crate::{
    admin::{Error, FIRST_KEY_FILE, Publisher, Registry},
    catalog::StatusStore,
    config::{Config, Role},
    disk::SegmentDirectory,
    replica::ReplicaHandle,
    scheduler::{OnEnded, Scheduler},
    status::Board,
    support::{backoff::Backoff, clock::Clock, shutdown::Shutdown},
    telemetry::Metrics,
};

/// First and longest pause between attempts to start the publishing side.
const PUBLISHER_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The publishing side of a node.
pub(super) struct Publishing {
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) registry: Registry,
    pub(super) in_force: ConfigurationInForce,
    pub(super) publishers: watch::Sender<Option<Publisher>>,
    pub(super) board: Board,
    pub(super) metrics: Metrics,
    pub(super) follower: ReplicaHandle,
    pub(super) statuses: StatusStore,
    pub(super) segments: SegmentDirectory,
    pub(super) supervisor: Supervisor,
    pub(super) shutdown: Shutdown,
}

impl Publishing {
    /// Starts the publishing side and runs it until `shutdown`. It also ends when its announcer ends, because nothing
    /// can be announced then; the supervisor restarts it.
    pub(super) async fn run(self: Arc<Self>) {
        while Box::pin(self.run_until_refused()).await {}
    }

    /// Runs until `shutdown`, or until the announcer ends. Returns whether the catalog names another metadata
    /// database: then nothing runs until this one may publish again.
    async fn run_until_refused(&self) -> bool {
        self.board.update_publisher(|status| status.up = false);
        // Cancels the tasks started here, also on a panic.
        let stop = self.shutdown.child_token();
        let _stops = stop.clone().drop_guard();
        // The announcer ends last: runs wait for the outcome of their announcements.
        let announcing_ends = Shutdown::new();
        let _ends = announcing_ends.clone().drop_guard();
        let Some((publisher, mut announcing)) = self.start_with_retries(&announcing_ends).await else {
            return false;
        };
        if let Err(error) = publisher.reconcile_runs().await {
            warn!(code = error.code(), %error, "cannot reconcile runs that a killed process left open; trying again later");
        }
        self.board.update_publisher(|status| {
            status.up = true;
            status.problem = None;
        });
        if let Err(error) = self.in_force.poll(&publisher.metadata).await {
            warn!(code = error.code(), %error, "cannot read the stored configuration; trying again");
        }
        let (in_force, metadata) = (self.in_force.clone(), publisher.metadata.clone());
        let (interval, until) = (self.config.replica.poll_interval, stop.clone());
        let follow = move || in_force.clone().follow(metadata.clone(), interval, until.clone());
        let following = self.supervisor.spawn_restartable("stored_configuration", stop.clone(), follow);
        let housekeeping = self.spawn_housekeeping(&publisher, &stop);
        let (scheduled, supervisor) = (self.registry.subscribe(), self.supervisor.clone());
        let syncs = syncs::run(self.scheduler(&publisher), scheduled, supervisor, stop.clone());
        let mut syncs = pin!(syncs);
        self.publishers.send_replace(Some(publisher.clone()));
        let (is_announcing, is_refused) = tokio::select! {
            () = &mut syncs => (true, false),
            () = publisher.authority.refused() => {
                warn!("another metadata database publishes to this store; the publishing side stops");
                stop.cancel();
                syncs.await;
                (true, true)
            }
            _ = &mut announcing => {
                warn!("the announcer ended; restarting the publishing side");
                stop.cancel();
                syncs.await;
                (false, false)
            }
        };
        let _ = housekeeping.await;
        let _ = following.await;
        announcing_ends.cancel();
        if is_announcing {
            let _ = announcing.await;
        }
        self.publishers.send_replace(None);
        publisher.metadata.close().await;
        is_refused
    }

    /// Tries until the publishing side is up; `None` when the node shuts down first.
    async fn start_with_retries(&self, announcing_ends: &Shutdown) -> Option<(Publisher, JoinHandle<End>)> {
        let mut backoff = Backoff::new(PUBLISHER_RETRY.0, PUBLISHER_RETRY.1);
        loop {
            match self.start_once(announcing_ends.clone()).await {
                Ok(started) => return Some(started),
                Err(error) => {
                    let code = error.code();
                    warn!(code, %error, "cannot start the publishing side, so no sync runs; trying again");
                    let now = self.clock.now();
                    self.board.update_publisher(|status| status.raise(code, error.to_string(), now));
                }
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next_delay()) => {}
                () = self.shutdown.cancelled() => return None,
            }
        }
    }

    /// Makes one attempt, after checking the store.
    async fn start_once(&self, announcing_ends: Shutdown) -> Result<(Publisher, JoinHandle<End>), Error> {
        open_catalog(&self.config)?.check_conditional_create().await?;
        let (registry, segments) = (self.registry.clone(), self.segments.clone());
        let start =
            publisher::start(&self.config, registry, segments, self.clock.clone(), announcing_ends, false);
        let (publisher, announcing) = Box::pin(start).await?;
        publisher.adopt_versions().await?;
        publisher.provide_first_admin_key(&self.config.node.data_dir.join(FIRST_KEY_FILE)).await?;
        let supervisor = self.supervisor.clone();
        Ok((
            publisher,
            tokio::spawn(async move { Box::pin(supervisor.guard("announcer", announcing)).await }),
        ))
    }

    fn spawn_housekeeping(&self, publisher: &Publisher, stop: &Shutdown) -> JoinHandle<()> {
        let housekeeping = Housekeeping {
            publisher: publisher.clone(),
            statuses: self.statuses.clone(),
            // On a node with a replica, the replica deletes unused segments.
            segments: (!self.config.node.has(Role::Replica)).then(|| self.segments.clone()),
            metrics: self.metrics.clone(),
        };
        let until = stop.clone();
        let run = move || housekeeping.clone().run(until.clone());
        self.supervisor.spawn_restartable("housekeeping", stop.clone(), run)
    }

    fn scheduler(&self, publisher: &Publisher) -> Scheduler {
        let (metrics, follower) = (self.metrics.clone(), self.follower.clone());
        let (board, clock) = (self.board.clone(), self.clock.clone());
        Scheduler {
            board: board.clone(),
            engine: publisher.engine.clone(),
            metadata: publisher.metadata.clone(),
            clock: self.clock.clone(),
            permits: Arc::new(Semaphore::new(self.config.engine.max_concurrent_runs)),
            on_ended: run_ended(metrics, follower, board, clock),
        }
    }
}

/// Shows the end of a run in metrics and status, and lets this node follow it at once.
pub(super) fn run_ended(metrics: Metrics, follower: ReplicaHandle, board: Board, clock: Clock) -> OnEnded {
    Arc::new(move |ended| match ended {
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
    })
}
