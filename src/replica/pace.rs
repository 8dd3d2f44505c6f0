//! Intervals and time limits of a replica.

use std::time::Duration;

/// Intervals and time limits of a replica. Tests shorten them.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Time between two polls of `catalog/head`, from the settings.
    pub poll: Duration,
    /// Longest time between two polls while polls fail.
    pub poll_max: Duration,
    /// Time between two probes for a document that head does not name yet.
    pub probe: Duration,
    /// How long a starting node waits for a store that does not answer, before its local state is enough to
    /// become ready. A store that cannot be reached is not waited for.
    pub store_wait_max: Duration,
    /// How long a collection fails to load before a starting node becomes ready without it.
    pub failing_after: Duration,
    /// First and longest delay before a failed collection is tried again.
    pub retry: (Duration, Duration),
    /// Time between two deletions of unused local files.
    pub cleanup_interval: Duration,
}

impl Pace {
    /// The default times for a poll interval.
    pub fn new(poll: Duration) -> Self {
        Self {
            poll,
            poll_max: poll.max(Duration::from_secs(5)),
            probe: Duration::from_secs(30),
            store_wait_max: Duration::from_secs(3),
            failing_after: Duration::from_mins(1),
            retry: (Duration::from_millis(500), Duration::from_mins(1)),
            cleanup_interval: Duration::from_hours(1),
        }
    }
}
