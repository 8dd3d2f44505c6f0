//! The state of the public listener.

use std::{sync::Arc, thread::available_parallelism, time::Duration};

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;

use super::{
    codes::{Answered, Code},
    rates::Samples,
    version_view::VersionViews,
};
use crate::{
    api::ops::Readiness,
    auth::Authenticator,
    cache::Cache,
    domain::hash::HashSecret,
    support::clock::Clock,
    telemetry::{
        Metrics,
        metrics::{OTHER, RequestMetrics},
    },
};

/// Most secrets of hashed index values that are kept: every sync may have one for each of its indexes, and had others.
const SECRETS_MAX: usize = 4096;

/// The limits of a request for a record.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimits {
    /// Smaller bodies are never compressed.
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
    pub(super) callers: Authenticator,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
    pub(super) limits: ReadLimits,
    pub(super) views: VersionViews,
    /// The secrets of hashed index values, for look-ups by value.
    pub(super) secrets: ArcSwap<Vec<HashSecret>>,
    /// A permit for each large answer that is compressed: one a core, since more would only take longer.
    pub(super) compressing: Semaphore,
    /// Counters of the last minute. Requests do not lock them.
    pub(super) samples: Samples,
    others: RequestMetrics,
    readiness: Readiness,
}

impl ReadState {
    /// A state with its counters at zero; `readiness` is what `/readyz` reports.
    pub fn new(
        cache: Cache,
        callers: impl Into<Authenticator>,
        clock: Clock,
        metrics: Metrics,
        limits: ReadLimits,
        readiness: Readiness,
    ) -> Self {
        let others = metrics.requests(OTHER, OTHER, Answered::OF_NO_COLLECTION);
        let (views, callers, secrets) = (VersionViews::default(), callers.into(), ArcSwap::default());
        let compressing = Semaphore::new(available_parallelism().map_or(1, usize::from));
        Self(Arc::new(Inner {
            cache,
            callers,
            clock,
            metrics,
            limits,
            views,
            secrets,
            compressing,
            samples: Samples::default(),
            others,
            readiness,
        }))
    }

    /// Hashes requested values with these secrets, too. Those before them stay: until its next run, a collection has
    /// values that were hashed with an earlier one.
    pub fn add_hash_secrets(&self, mut secrets: Vec<HashSecret>) {
        let known = self.0.secrets.load();
        let earlier: Vec<_> = known.iter().filter(|known| !secrets.contains(known)).cloned().collect();
        secrets.extend(earlier);
        secrets.truncate(SECRETS_MAX);
        self.0.secrets.store(Arc::new(secrets));
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.0
    }

    /// Counts a refusal that belongs to no loaded collection.
    pub(in crate::api) fn count_other(&self, code: Code, took: Duration) {
        self.0.others.record(code as usize, took);
    }

    /// Whether the node has no API keys yet.
    pub(super) fn lacks_keys(&self) -> bool {
        self.0.callers.keys.revision() == 0 && !self.0.readiness.is_ready()
    }

    /// What `/readyz` reports.
    pub(in crate::api) fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }
}
