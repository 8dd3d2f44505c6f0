//! What the public listener needs to answer.

use std::sync::Arc;

use tokio::sync::watch;

use super::shown::ShownMap;
use crate::{
    api::codes::Answered,
    auth::KeyRing,
    support::{clock::Clock, shutdown::Shutdown},
    telemetry::{
        Metrics,
        metrics::{OTHER, RequestMetrics},
    },
};

/// The state of the public listener. Cheap to clone.
#[derive(Debug)]
pub struct ReadState<R>(Arc<Inner<R>>);

#[derive(Debug)]
pub(super) struct Inner<R> {
    pub(super) records: R,
    pub(super) keys: KeyRing,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
    pub(super) shown: ShownMap,
    others: Arc<RequestMetrics>,
    ready: watch::Receiver<bool>,
    shutdown: Shutdown,
}

impl<R> ReadState<R> {
    /// `ready` turns true once, when the node may be sent requests; `shutdown` is the token that
    /// the listener drains on, and fails `/readyz` at once.
    pub fn new(
        records: R,
        keys: KeyRing,
        clock: Clock,
        metrics: Metrics,
        ready: watch::Receiver<bool>,
        shutdown: Shutdown,
    ) -> Self {
        let others = Arc::new(metrics.requests(OTHER, OTHER, Answered::OF_NO_COLLECTION));
        let shown = ShownMap::default();
        Self(Arc::new(Inner { records, keys, clock, metrics, shown, others, ready, shutdown }))
    }

    pub(super) fn inner(&self) -> &Inner<R> {
        &self.0
    }

    /// The counters of requests that belong to no loaded collection.
    pub(in crate::api) fn others(&self) -> &Arc<RequestMetrics> {
        &self.0.others
    }

    /// What the readiness check looks at.
    pub(in crate::api) fn readiness(&self) -> (watch::Receiver<bool>, Shutdown) {
        (self.0.ready.clone(), self.0.shutdown.clone())
    }
}

impl<R> Clone for ReadState<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
