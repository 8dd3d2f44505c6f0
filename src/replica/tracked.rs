//! What the service knows about one collection.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::{error::Error, pace::Pace};
use crate::{
    domain::{
        catalog::CollectionEntry,
        digest::Digest,
        error::ErrorKind,
        limits::CLOCK_SKEW_MAX,
        manifest::{Manifest, Version},
        name::RegionName,
    },
    status::{CLOCK_AHEAD, MemoryUsage, NodeCollectionStatus, Problem},
    support::backoff::Backoff,
};

/// Longest retry delay for an object that is named but missing. A replicated copy of a store receives objects
/// in any order, some seconds apart.
const MISSING_RETRY_MAX: Duration = Duration::from_secs(5);

/// A collection that the catalog names, or named until work on it ends.
#[derive(Debug)]
pub(super) struct Tracked {
    /// The entry that the catalog names; `None` once it is removed.
    pub(super) wanted: Option<CollectionEntry>,
    /// The regions that serve it, when this node's region does not.
    pub(super) other_regions: Option<Arc<[RegionName]>>,
    /// The served version.
    pub(super) served: Option<(CollectionEntry, Arc<Manifest>)>,
    /// The version that the previous process served. It is applied first, because all its files are local.
    pub(super) last_good: Option<CollectionEntry>,
    pub(super) is_applying: bool,
    pub(super) data_as_of: Option<DateTime<Utc>>,
    /// A time that was ahead of this node's clock, and when it arrived.
    pub(super) ahead: Option<(DateTime<Utc>, DateTime<Utc>)>,
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
            is_applying: false,
            data_as_of: None,
            ahead: None,
            problem: None,
            failing_since: None,
            retry_at: None,
            backoff: Backoff::new(pace.retry.0, pace.retry.1),
        }
    }

    /// Sets the entry that the catalog names. A changed entry is tried at once, without backoff.
    pub(super) fn set_wanted(&mut self, entry: &CollectionEntry, other_regions: Option<Arc<[RegionName]>>) {
        if self.wanted.as_ref().map(|wanted| wanted.sha256) != Some(entry.sha256) {
            self.retry_at = None;
            self.backoff.reset();
        }
        self.wanted = Some(entry.clone());
        self.other_regions = other_regions;
        if !self.is_served_here() {
            self.served = None;
            self.last_good = None;
            self.data_as_of = None;
            self.clear_failure();
        }
    }

    /// The time for which `data_as_of` counts. One that is ahead of this node's clock counts as the time at which
    /// it arrived; otherwise it would hide that later data is missing.
    pub(super) fn without_skew(&mut self, data_as_of: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
        match self.ahead {
            Some((ahead, arrived)) if ahead == data_as_of => arrived,
            _ if data_as_of <= now + CLOCK_SKEW_MAX => {
                self.ahead = None;
                data_as_of
            }
            _ => {
                self.ahead = Some((data_as_of, now));
                now
            }
        }
    }

    /// Whether this node serves the collection, or should.
    pub(super) fn is_served_here(&self) -> bool {
        self.other_regions.is_none()
    }

    /// The entry to fetch and apply now, if any.
    pub(super) fn due_entry(&self, now: Instant) -> Option<&CollectionEntry> {
        let is_waiting = self.retry_at.is_some_and(|at| at > now);
        if self.is_applying || is_waiting || !self.is_served_here() {
            return None;
        }
        let wanted = self.wanted.as_ref()?;
        self.last_good.as_ref().or(Some(wanted)).filter(|entry| self.digest() != Some(entry.sha256))
    }

    /// When it is tried again, if it waits for a retry.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at.filter(|_| !self.is_applying && self.is_served_here() && self.wanted.is_some())
    }

    /// Records that `entry` is served.
    pub(super) fn record_applied(&mut self, entry: CollectionEntry, manifest: Arc<Manifest>) {
        let is_same_version = self.version() == Some(manifest.version);
        let before = self.data_as_of.filter(|_| is_same_version);
        self.data_as_of = before.max(Some(manifest.data_as_of));
        self.last_good = None;
        if self.wanted.as_ref().map(|wanted| wanted.sha256) == Some(entry.sha256) {
            self.clear_failure();
        }
        self.served = Some((entry, manifest));
    }

    /// Records that `entry` could not be served.
    pub(super) fn record_failure(
        &mut self,
        entry: &CollectionEntry,
        error: &Error,
        now: Instant,
        clock: DateTime<Utc>,
    ) {
        if self.last_good.take().is_some_and(|last_good| {
            self.wanted.as_ref().is_some_and(|wanted| wanted.sha256 != last_good.sha256)
        }) {
            return; // The local version failed; the wanted version is tried next.
        }
        if self.wanted.as_ref().map(|wanted| wanted.sha256) != Some(entry.sha256) {
            return; // The catalog names another version by now.
        }
        let problem = Problem::lasting(self.problem.as_ref(), error.code(), error.to_string(), clock);
        self.problem = Some(problem);
        self.failing_since.get_or_insert(now);
        let may_arrive = error.kind() == ErrorKind::NotFound;
        let longest = if may_arrive { MISSING_RETRY_MAX } else { Duration::MAX };
        self.retry_at = Some(now + self.backoff.next_delay().min(longest));
    }

    fn clock_problem(&self) -> Option<Problem> {
        let (ahead, arrived) = self.ahead?;
        let message = format!(
            "its data is dated {ahead}, ahead of this node's clock; set the publisher's clock or this one"
        );
        Some(Problem::lasting(None, CLOCK_AHEAD, message, arrived))
    }

    fn clear_failure(&mut self) {
        self.problem = None;
        self.failing_since = None;
        self.retry_at = None;
        self.backoff.reset();
    }

    /// Whether it has an outcome since the start: served, failed, or not for this node.
    pub(super) fn has_outcome(&self) -> bool {
        let is_needed = self.wanted.is_some() && self.is_served_here();
        !is_needed || self.served.is_some() || self.failing_since.is_some()
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

    /// When it will have failed for `bound`, if it fails until then.
    pub(super) fn failing_at(&self, bound: Duration) -> Option<Instant> {
        self.failing_since.map(|since| since + bound)
    }

    /// Its status; `None` once it is removed. A collection that was behind in `before` keeps its `behind_since`;
    /// otherwise that is `now`.
    pub(super) fn status(
        &self,
        loaded: Option<MemoryUsage>,
        before: Option<&NodeCollectionStatus>,
        now: DateTime<Utc>,
    ) -> Option<NodeCollectionStatus> {
        let wanted = self.wanted.as_ref()?.version;
        let served = self.version();
        let is_behind = self.is_served_here() && served != Some(wanted);
        let manifest = self.served.as_ref().map(|(_, manifest)| manifest);
        let bytes = |manifest: &Arc<Manifest>| manifest.segments.iter().map(|segment| segment.bytes).sum();
        Some(NodeCollectionStatus {
            wanted,
            served,
            behind_since: is_behind.then(|| before.and_then(|one| one.behind_since).unwrap_or(now)),
            data_as_of: self.data_as_of,
            records: manifest.map_or(0, |manifest| manifest.records),
            bytes: manifest.map_or(0, bytes),
            problem: self.problem.clone().or_else(|| self.clock_problem()),
            other_regions: self.other_regions.clone(),
            loaded,
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use uuid::Uuid;

    use super::*;
    use crate::domain::id::RunId;

    fn entry(version: u64) -> CollectionEntry {
        CollectionEntry {
            version: Version(version),
            run_id: RunId::from_uuid(Uuid::from_u128(1)),
            regions: None,
            manifest: String::new(),
            sha256: Digest::of(&version.to_be_bytes()),
        }
    }

    fn elsewhere() -> Arc<[RegionName]> {
        [RegionName::new("eu").unwrap()].into()
    }

    fn wanting(version: u64) -> Tracked {
        let mut tracked = Tracked::new(&Pace::new(Duration::from_secs(1)));
        tracked.set_wanted(&entry(version), None);
        tracked
    }

    fn fail(tracked: &mut Tracked, version: u64, now: Instant) {
        let error = Error::Broken { collection: crate::domain::name::CollectionName::new("a").unwrap() };
        tracked.record_failure(&entry(version), &error, now, DateTime::UNIX_EPOCH);
    }

    #[test]
    fn failed_version_waits_and_another_one_does_not() {
        let now = Instant::now();
        let mut tracked = wanting(1);
        assert_eq!(tracked.due_entry(now), Some(&entry(1)));
        fail(&mut tracked, 1, now);
        let retry_at = tracked.retry_at().unwrap();
        assert!(retry_at > now && tracked.due_entry(now).is_none());
        assert_eq!(tracked.due_entry(retry_at), Some(&entry(1)), "at its time it is due, not only after it");
        // The same announcement again does not end the wait.
        tracked.set_wanted(&entry(1), None);
        assert_eq!(tracked.retry_at(), Some(retry_at));
        tracked.set_wanted(&entry(2), None);
        assert_eq!((tracked.retry_at(), tracked.due_entry(now)), (None, Some(&entry(2))));
        // A failure of what is no longer wanted says nothing.
        fail(&mut tracked, 1, now);
        assert_eq!(tracked.due_entry(now), Some(&entry(2)));
    }

    #[test]
    fn nothing_is_tried_again_while_it_is_applied_or_not_wanted_here() {
        let now = Instant::now();
        let mut tracked = wanting(1);
        fail(&mut tracked, 1, now);
        let later = tracked.retry_at().unwrap();
        tracked.is_applying = true;
        assert_eq!((tracked.retry_at(), tracked.due_entry(later)), (None, None));
        tracked.is_applying = false;
        assert_eq!(tracked.retry_at(), Some(later));
        tracked.wanted = None;
        assert_eq!((tracked.retry_at(), tracked.due_entry(later)), (None, None));
        tracked.set_wanted(&entry(1), Some(elsewhere()));
        assert_eq!((tracked.retry_at(), tracked.due_entry(later)), (None, None));
    }

    #[test]
    fn collection_has_an_outcome_once_it_failed_or_is_not_needed() {
        let mut tracked = Tracked::new(&Pace::new(Duration::from_secs(1)));
        assert!(tracked.has_outcome(), "the catalog does not have it");
        tracked.set_wanted(&entry(1), None);
        assert!(!tracked.has_outcome());
        tracked.set_wanted(&entry(1), Some(elsewhere()));
        assert!(tracked.has_outcome(), "another region serves it");
        tracked.set_wanted(&entry(1), None);
        assert!(!tracked.has_outcome());
        fail(&mut tracked, 1, Instant::now());
        assert!(tracked.has_outcome());
    }

    #[test]
    fn data_from_the_future_counts_from_its_arrival() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        let mut tracked = wanting(1);
        let within = now + CLOCK_SKEW_MAX;
        assert_eq!(tracked.without_skew(within, now), within);
        let ahead = within + TimeDelta::seconds(1);
        assert_eq!(tracked.without_skew(ahead, now), now);
        // Seen again later, it still counts from its arrival, and shows.
        let later = now + TimeDelta::seconds(30);
        assert_eq!(tracked.without_skew(ahead, later), now);
        let shown = |tracked: &Tracked| {
            let problem = tracked.status(None, None, later).unwrap().problem;
            problem.map(|one| one.code.as_str().to_owned())
        };
        assert_eq!(shown(&tracked).as_deref(), Some(CLOCK_AHEAD));
        assert_eq!(tracked.without_skew(now, later), now);
        assert_eq!(shown(&tracked), None);
    }
}
