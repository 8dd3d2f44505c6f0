//! What the public listener needs to answer.

use std::{sync::Arc, time::Duration};

use super::shown::ShownMap;
use crate::{
    api::{codes::Answered, readiness::Readiness},
    auth::KeyRing,
    cache::Cache,
    support::clock::Clock,
    telemetry::{
        Metrics,
        metrics::{OTHER, RequestMetrics},
    },
};

/// What a request for a record may take.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimits {
    /// Bodies of fewer bytes are never compressed.
    pub compress_min_bytes: usize,
    /// Longest time for the body of a look-up by POST to arrive.
    pub body_timeout: Duration,
}

/// The state of the public listener. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ReadState(Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) cache: Cache,
    pub(super) keys: KeyRing,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
    pub(super) limits: ReadLimits,
    pub(super) shown: ShownMap,
    others: Arc<RequestMetrics>,
    readiness: Readiness,
}

impl ReadState {
    /// A state with its counters at zero; `readiness` is what `/readyz` answers from.
    pub fn new(
        cache: Cache,
        keys: KeyRing,
        clock: Clock,
        metrics: Metrics,
        limits: ReadLimits,
        readiness: Readiness,
    ) -> Self {
        let others = Arc::new(metrics.requests(OTHER, OTHER, Answered::OF_NO_COLLECTION));
        let shown = ShownMap::default();
        Self(Arc::new(Inner { cache, keys, clock, metrics, limits, shown, others, readiness }))
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.0
    }

    /// The counters of requests that belong to no loaded collection.
    pub(in crate::api) fn others(&self) -> &Arc<RequestMetrics> {
        &self.0.others
    }

    /// Whether there are no keys yet to judge a request by.
    pub(super) fn lacks_keys(&self) -> bool {
        self.0.keys.revision() == 0 && !self.0.readiness.is_ready()
    }

    /// What the readiness check looks at.
    pub(in crate::api) fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }
}
