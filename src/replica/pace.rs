//! The times that a replica keeps.

use std::time::Duration;

/// How often a replica looks, and how long it waits. Tests shorten it.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Time between two looks at head, from the settings.
    pub poll: Duration,
    /// Longest time between two looks while the store does not answer.
    pub poll_longest: Duration,
    /// Time between two looks for a document that head does not name yet.
    pub probe: Duration,
    /// How long a starting node waits for a store that says nothing before it is content with its local
    /// state; one that cannot be reached is not waited for.
    pub patience: Duration,
    /// How long a collection may fail to load before a starting node is ready without it.
    pub failing: Duration,
    /// First and longest waiting time before a collection is tried again.
    pub retry: (Duration, Duration),
    /// Time between two collections of local garbage.
    pub tidy: Duration,
}

impl Pace {
    /// The usual pace around a poll interval.
    pub fn new(poll: Duration) -> Self {
        Self {
            poll,
            poll_longest: poll.max(Duration::from_secs(5)),
            probe: Duration::from_secs(30),
            patience: Duration::from_secs(3),
            failing: Duration::from_mins(1),
            retry: (Duration::from_millis(500), Duration::from_mins(1)),
            tidy: Duration::from_hours(1),
        }
    }
}
