//! What a node shows of itself: the key ring and the metrics follow what the replica applied.

use std::{collections::BTreeSet, sync::Arc};

use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    admin::fleet::{FleetReader, NodeState},
    api::Readiness,
    auth::KeyRing,
    cache::{Cache, Slot},
    config::Config,
    disk::SegmentDirectory,
    domain::{
        id::NodeId,
        name::CollectionName,
        run::{RunRecord, RunStatus},
    },
    replica::{Applied, CollectionStatus, Place, Problem, PublisherStatus, Sides},
    support::shutdown::Shutdown,
    telemetry::{
        Metrics,
        metrics::{Ended, Shown},
    },
};

/// What follows the replica.
pub(super) struct Parts {
    pub(super) cache: Cache,
    pub(super) keys: KeyRing,
    pub(super) segments: SegmentDirectory,
    pub(super) metrics: Metrics,
}

/// What a node may do by now; each stays so.
pub(super) struct Able {
    /// Answer: it has keys, and all that its own files have was tried.
    pub(super) to_answer: watch::Receiver<bool>,
    /// Be sent requests.
    pub(super) to_serve: watch::Receiver<bool>,
}

/// Starts the task that follows `applied`; also tells what the node may do.
pub(super) fn start(
    mut applied: watch::Receiver<Applied>,
    parts: Parts,
    shutdown: Shutdown,
) -> (Able, JoinHandle<()>) {
    let (answers, to_answer) = watch::channel(false);
    let (serves, to_serve) = watch::channel(false);
    let task = tokio::spawn(async move {
        let mut known = BTreeSet::new();
        let mut problems = Problems::default();
        loop {
            let now = applied.borrow_and_update().clone();
            // Keys first: a node that is ready knows them.
            parts.keys.replace(&now.keys);
            parts.show(&now, &mut known, &mut problems);
            // Nobody may be left who listens.
            if now.ready || can_answer(&now) {
                let _ = answers.send(true);
            }
            if now.ready {
                let _ = serves.send(true);
            }
            tokio::select! {
                changed = applied.changed() => if changed.is_err() { return },
                () = shutdown.cancelled() => return,
            }
        }
    });
    (Able { to_answer, to_serve }, task)
}

fn can_answer(now: &Applied) -> bool {
    let is_settled = |status: &CollectionStatus| {
        status.place != Place::Here || status.served.is_some() || status.problem.is_some()
    };
    now.keys.revision > 0 && now.collections.values().all(is_settled)
}

/// Problems that were counted already: each counts once, when it begins.
#[derive(Default)]
struct Problems(Option<(&'static str, chrono::DateTime<chrono::Utc>)>);

impl Parts {
    fn show(&self, now: &Applied, known: &mut BTreeSet<CollectionName>, problems: &mut Problems) {
        let metrics = &self.metrics;
        if let Some(at) = now.polled_at {
            metrics.catalog_confirmed(now.n, at);
        }
        if let Some(at) = now.keys_at {
            metrics.keys_confirmed(at);
        }
        metrics.keys_shown(now.keys.revision, now.keys.keys.len(), now.keys.refused);
        let problem = now.problem.as_ref().map(|problem| (problem.code, problem.since));
        if let Some((code, _)) = problem.filter(|_| problem != problems.0) {
            metrics.poll_failed(code);
        }
        problems.0 = problem;
        let (bytes, bytes_max) = self.segments.usage();
        metrics.segments_shown(bytes, bytes_max);
        metrics.problem_stands("replica", problem.map(|(code, _)| code));
        let here: BTreeSet<CollectionName> = now
            .collections
            .iter()
            .filter(|(_, status)| status.place == Place::Here)
            .map(|(name, _)| name.clone())
            .collect();
        for gone in known.difference(&here) {
            metrics.collection_gone(gone.as_str());
            metrics.collection_problem_stands(gone.as_str(), None);
        }
        for name in &here {
            if let Some(status) = now.collections.get(name) {
                let served = status.served.map_or(0, |served| served.0);
                metrics.collection_behind(name.as_str(), status.wanted.0.saturating_sub(served));
                let code = status.problem.as_ref().map(|problem| problem.code);
                metrics.collection_problem_stands(name.as_str(), code);
                // Versions only rise: what a node wants is below what it serves for a pin alone.
                metrics.collection_above_pin(name.as_str(), served.saturating_sub(status.wanted.0));
            }
            match self.cache.collection(name.as_str()) {
                Slot::Loaded(collection) => {
                    let state = collection.state();
                    let shown = Shown {
                        version: state.manifest.version.0,
                        records: collection.records(),
                        conflicts: collection.conflicts(),
                        bytes: collection.bytes(),
                        data_as_of: state.data_as_of,
                    };
                    metrics.collection_shown(name.as_str(), shown);
                }
                Slot::Unknown | Slot::Loading | Slot::OtherRegion(_) => {
                    metrics.collection_missing(name.as_str());
                }
            }
        }
        *known = here;
    }
}

/// Counts no runs of `sync` yet.
pub(super) fn runs_may_end(metrics: &Metrics, sync: &CollectionName) {
    metrics.runs_may_end(sync.as_str(), RunStatus::ENDS.map(RunStatus::as_str));
}

/// Counts a run that ended.
pub(super) fn run_ended(metrics: &Metrics, record: &RunRecord) {
    let took = record.finished_at.unwrap_or(record.started_at) - record.started_at;
    let counts = &record.counts;
    metrics.run_ended(
        record.sync.as_str(),
        Ended {
            status: record.status.as_str(),
            took: took.to_std().unwrap_or_default(),
            rows: counts.rows,
            rejected: counts.rejected,
        },
    );
}

/// What `GET /status` of this node shows of the fleet.
pub(super) fn fleet(reader: FleetReader) -> Arc<dyn Fn() -> BoxFuture<'static, Value> + Send + Sync> {
    let reader = Arc::new(reader);
    Arc::new(move || {
        let reader = Arc::clone(&reader);
        Box::pin(async move { json!(*reader.read().await) })
    })
}

/// What `GET /status` of this node shows of itself.
pub(super) fn status(
    config: &Config,
    node: NodeId,
    readiness: Readiness,
    sides: Sides,
    cache: Cache,
) -> Arc<dyn Fn() -> Value + Send + Sync> {
    let (region, name) = (config.node.region.clone(), config.node.name.clone());
    let roles: Vec<&str> = config.node.roles.iter().map(|role| role.as_str()).collect();
    Arc::new(move || {
        let now = sides.applied.as_ref().map(|applied| applied.borrow().clone()).unwrap_or_default();
        let publishing = sides.publishing.as_ref().map(|publishing| publishing.borrow().clone());
        let is_up = publishing.as_ref().is_some_and(|publishing| publishing.is_up);
        let (state, is_ready) = match readiness.word() {
            // As others see it in the fleet. `/readyz` says that the process runs.
            word if word == NodeState::Publisher.as_str() && !is_up => (NodeState::Starting.as_str(), false),
            word => (word, readiness.is_ready()),
        };
        let publisher = publishing.as_ref().map(publisher);
        let collections: serde_json::Map<String, Value> = now
            .collections
            .iter()
            .map(|(name, status)| {
                let loaded = match cache.collection(name.as_str()) {
                    Slot::Loaded(collection) => json!({
                        "records": collection.records(),
                        "bytes": collection.bytes(),
                        "conflicts": collection.conflicts(),
                    }),
                    Slot::Unknown | Slot::Loading | Slot::OtherRegion(_) => Value::Null,
                };
                let regions = match &status.place {
                    Place::Here => Value::Null,
                    Place::Elsewhere(regions) => {
                        json!(regions)
                    }
                };
                let one = json!({
                    "announced_version": status.wanted,
                    "served_version": status.served,
                    "data_as_of": status.data_as_of,
                    "served_in_other_regions": regions,
                    "loaded": loaded,
                    "problem": status.problem.as_ref().map(told),
                });
                (name.to_string(), one)
            })
            .collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "node": node,
            "name": name,
            "region": region,
            "roles": roles,
            "state": state,
            "ready": is_ready,
            "deployment": now.deployment,
            "catalog": now.n,
            "polled_at": now.polled_at,
            "keys": { "revision": now.keys.revision, "count": now.keys.keys.len(), "confirmed_at": now.keys_at },
            "problem": now.problem.as_ref().map(told),
            "collections": collections,
            "publisher": publisher,
        })
    })
}

fn publisher(status: &PublisherStatus) -> Value {
    json!({
        "up": status.is_up,
        "last_run_at": status.last_run_at,
        "last_error": status.last_error,
        "problem": status.problem.as_ref().map(told),
    })
}

fn told(problem: &Problem) -> Value {
    json!({ "code": problem.code, "message": problem.message, "since": problem.since })
}
