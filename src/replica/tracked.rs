//! What the service remembers of one collection.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::{error::Error, pace::Pace};
use crate::{
    domain::{
        catalog::CollectionEntry,
        digest::Digest,
        error::ErrorKind,
        manifest::{Manifest, Version},
        name::RegionName,
    },
    status::{CollectionStatus, MemoryUsage, Problem},
    support::backoff::Backoff,
};

/// Longest wait for an object that is named and not there: a copy of the store that is kept by
/// replication shows objects in any order, some seconds apart.
const MISSING_RETRY_MAX: Duration = Duration::from_secs(5);

/// A collection that the catalog names, or named a moment ago.
#[derive(Debug)]
pub(super) struct Tracked {
    /// What the catalog names; `None` once it is removed.
    pub(super) wanted: Option<CollectionEntry>,
    /// The regions that serve it, when this node's region does not.
    pub(super) other_regions: Option<Arc<[RegionName]>>,
    /// What is served.
    pub(super) served: Option<(CollectionEntry, Arc<Manifest>)>,
    /// Served before the process started: brought first, because it is all here.
    pub(super) last_good: Option<CollectionEntry>,
    pub(super) is_running: bool,
    pub(super) data_as_of: Option<DateTime<Utc>>,
    problem: Option<Problem>,
    failing_since: Option<Instant>,
    retry_at: Option<Instant>,
    backoff: Backoff,
}

impl Tracked {
    pub(super) fn new(pace: &Pace) -> Self {
        Self {
            wanted: None,
            other_regions: None,
            served: None,
            last_good: None,
            is_running: false,
            data_as_of: None,
            problem: None,
            failing_since: None,
            retry_at: None,
            backoff: Backoff::new(pace.retry.0, pace.retry.1),
        }
    }

    /// The catalog names `entry` now. Another one than before is tried at once.
    pub(super) fn want(&mut self, entry: &CollectionEntry, other_regions: Option<Arc<[RegionName]>>) {
        if self.wanted.as_ref().map(|wanted| wanted.sha256) != Some(entry.sha256) {
            self.retry_at = None;
            self.backoff.reset();
        }
        self.wanted = Some(entry.clone());
        self.other_regions = other_regions;
        if !self.is_here() {
            self.served = None;
            self.last_good = None;
            self.data_as_of = None;
            self.recovered();
        }
    }

    /// Whether this node serves it, or should.
    pub(super) fn is_here(&self) -> bool {
        self.other_regions.is_none()
    }

    /// What should be brought now, if anything.
    pub(super) fn due(&self, now: Instant) -> Option<&CollectionEntry> {
        let is_waiting = self.retry_at.is_some_and(|at| at > now);
        if self.is_running || is_waiting || !self.is_here() {
            return None;
        }
        let wanted = self.wanted.as_ref()?;
        self.last_good.as_ref().or(Some(wanted)).filter(|entry| self.digest() != Some(entry.sha256))
    }

    /// When it is tried again, if it waits for that.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at.filter(|_| !self.is_running && self.is_here() && self.wanted.is_some())
    }

    /// `entry` is served.
    pub(super) fn brought(&mut self, entry: CollectionEntry, manifest: Arc<Manifest>) {
        let is_same_version = self.version() == Some(manifest.version);
        let before = self.data_as_of.filter(|_| is_same_version);
        self.data_as_of = before.max(Some(manifest.data_as_of));
        self.last_good = None;
        if self.wanted.as_ref().map(|wanted| wanted.sha256) == Some(entry.sha256) {
            self.recovered();
        }
        self.served = Some((entry, manifest));
    }

    /// `entry` could not be served.
    pub(super) fn failed(
        &mut self,
        entry: &CollectionEntry,
        error: &Error,
        now: Instant,
        clock: DateTime<Utc>,
    ) {
        if self.last_good.take().is_some_and(|last_good| {
            self.wanted.as_ref().is_some_and(|wanted| wanted.sha256 != last_good.sha256)
        }) {
            return; // What is wanted now is another matter.
        }
        if self.wanted.as_ref().map(|wanted| wanted.sha256) != Some(entry.sha256) {
            return; // It is not wanted any more.
        }
        let problem = Problem::lasting(self.problem.as_ref(), error.code(), error.to_string(), clock);
        self.problem = Some(problem);
        self.failing_since.get_or_insert(now);
        let is_on_its_way = error.kind() == ErrorKind::NotFound;
        let longest = if is_on_its_way { MISSING_RETRY_MAX } else { Duration::MAX };
        self.retry_at = Some(now + self.backoff.next_delay().min(longest));
    }

    fn recovered(&mut self) {
        self.problem = None;
        self.failing_since = None;
        self.retry_at = None;
        self.backoff.reset();
    }

    /// Whether it has come to something since the start: it is served, has failed, or is none of ours.
    pub(super) fn is_tried(&self) -> bool {
        let is_ours = self.wanted.is_some() && self.is_here();
        !is_ours || self.served.is_some() || self.failing_since.is_some()
    }

    /// The version served.
    pub(super) fn version(&self) -> Option<Version> {
        self.served.as_ref().map(|(entry, _)| entry.version)
    }

    /// The digest of the manifest served.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.served.as_ref().map(|(entry, _)| entry.sha256)
    }

    /// Whether it has failed for at least `bound`.
    pub(super) fn is_failing_for(&self, bound: Duration, now: Instant) -> bool {
        self.failing_since.is_some_and(|since| now.duration_since(since) >= bound)
    }

    /// When it will have failed for `bound`.
    pub(super) fn fails_at(&self, bound: Duration) -> Option<Instant> {
        self.failing_since.map(|since| since + bound)
    }

    /// Its status, `None` once it is removed. When it is behind, it is so since the time that `before` has,
    /// else since `now`.
    pub(super) fn status(
        &self,
        loaded: Option<MemoryUsage>,
        before: Option<&CollectionStatus>,
        now: DateTime<Utc>,
    ) -> Option<CollectionStatus> {
        let wanted = self.wanted.as_ref()?.version;
        let served = self.version();
        let is_behind = self.is_here() && served != Some(wanted);
        let manifest = self.served.as_ref().map(|(_, manifest)| manifest);
        let bytes = |manifest: &Arc<Manifest>| manifest.segments.iter().map(|segment| segment.bytes).sum();
        Some(CollectionStatus {
            wanted,
            served,
            behind_since: is_behind.then(|| before.and_then(|one| one.behind_since).unwrap_or(now)),
            data_as_of: self.data_as_of,
            records: manifest.map_or(0, |manifest| manifest.records),
            bytes: manifest.map_or(0, bytes),
            problem: self.problem.clone(),
            other_regions: self.other_regions.clone(),
            loaded,
        })
    }
}
