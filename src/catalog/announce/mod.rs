//! Announcing: one service per process creates catalog documents and writes head.

mod create;
mod draft;
mod head;
mod service;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{mpsc, oneshot};

pub use service::Announcer;

use crate::store::error::Error;
use crate::{
    domain::{
        catalog::{CollectionEntry, KeySetReference},
        digest::Digest,
        error::codes,
        id::DeploymentId,
        manifest::Version,
        name::{CollectionName, RegionName},
    },
    support::clock::Clock,
};

/// Changes that may wait for the announcer; a caller beyond it waits for room.
pub const CHANGES_WAITING_MAX: usize = 1024;
/// Longest that a change waits, by wall time, until it is put into the catalog. What it names was written
/// in the 12 h before, and goes after 24 h in which nothing named it.
const CHANGE_AGE_HOURS_MAX: i64 = 6;

/// Something to be made visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A collection gets another manifest.
    Collection {
        /// The collection.
        name: CollectionName,
        /// SHA-256 of the manifest that the new one was made from; `None` when there was none.
        from: Option<Digest>,
        /// The new entry.
        entry: CollectionEntry,
        /// When the source had this content.
        data_as_of: DateTime<Utc>,
    },
    /// A collection leaves the catalog, and its pins with it.
    Remove {
        /// The collection.
        name: CollectionName,
        /// SHA-256 of the manifest it has.
        from: Digest,
    },
    /// A region follows this version of a collection instead of the newest.
    Pin {
        /// The region.
        region: RegionName,
        /// The collection.
        name: CollectionName,
        /// SHA-256 of the manifest that it is pinned to; `None` when it is not.
        from: Option<Digest>,
        /// What it is pinned to.
        entry: CollectionEntry,
    },
    /// A region follows the newest version of a collection again.
    Unpin {
        /// The region.
        region: RegionName,
        /// The collection.
        name: CollectionName,
        /// SHA-256 of the manifest that it is pinned to.
        from: Digest,
    },
    /// Another key set comes into force.
    Keys {
        /// Revision of the set that the new one was made from; 0 when there was none.
        from_revision: u64,
        /// The new set; its revision is higher.
        reference: KeySetReference,
    },
    /// A collection was found unchanged: head alone says so.
    Freshness {
        /// The collection.
        name: CollectionName,
        /// The version that was confirmed.
        version: Version,
        /// When the source had this content.
        data_as_of: DateTime<Utc>,
    },
}

/// A change that is visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// The document that made it so; for freshness, the newest one.
    pub n: u64,
    /// The catalog's deployment, for metadata to keep.
    pub deployment: DeploymentId,
}

/// Why a change is not visible, or not known to be.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AnnounceError {
    /// Another announcement changed the collection or the key set first. Nothing is visible.
    #[error("another announcement was first; what this one was made from is no longer in force")]
    Superseded,
    /// The catalog cannot be built on: another deployment, a newer format. Nothing is visible.
    #[error("{0}")]
    Refused(#[source] Arc<Error>),
    /// The catalog names as many collections as it may. Nothing is visible.
    #[error("the catalog names {max} collections already; drop one first", max = crate::domain::limits::COLLECTIONS_MAX)]
    Full,
    /// The catalog has as many pins as it may. Nothing is visible.
    #[error("the catalog has {max} pins already; take one away first", max = crate::domain::limits::PINS_MAX)]
    PinsFull,
    /// The catalog could not be read for [`Pace::patience`]. Nothing is visible.
    #[error("the catalog cannot be read, nothing was announced: {0}")]
    Unreachable(#[source] Arc<Error>),
    /// The change waited so long, for the store or because the machine slept, that what it names may
    /// have been collected. Nothing is visible.
    #[error(
        "the change waited longer than {CHANGE_AGE_HOURS_MAX} h and was not announced: what it names may be gone"
    )]
    Late,
    /// The announcer ended before it began. Nothing is visible.
    #[error("the process is ending, nothing was announced")]
    Ending,
    /// The store was asked to make it visible and did not say whether it did; the process is ending, or
    /// it has been too long.
    #[error("the store did not say whether the announcement stands; the catalog says")]
    Unknown,
}

codes! {
    AnnounceError {
        "superseded" Conflict: Superseded,
        "too_many_collections" Invalid: Full,
        "too_many_pins" Invalid: PinsFull,
        "announcement_late" Unavailable: Late,
        "process_ending" Unavailable: Ending,
        "announcement_unknown" Unavailable: Unknown,
        from: Refused | Unreachable,
    }
}

/// How fast an announcer works. Tests shorten it.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Shortest time between two documents, and between two writes of head: readers poll about as
    /// often, and object stores throttle writes to one name.
    pub interval: Duration,
    /// How long the catalog may be unreadable before waiting changes are refused.
    pub patience: Duration,
    /// First and longest waiting time between attempts.
    pub backoff: (Duration, Duration),
    /// Oldest reading of the catalog that an announcement may be built on. A number is free again
    /// only days after its document was the newest, so a publisher that slept must look first.
    pub reading_age: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            patience: Duration::from_secs(30),
            backoff: (Duration::from_millis(200), Duration::from_secs(10)),
            reading_age: Duration::from_mins(1),
        }
    }
}

/// A change on its way, with whoever waits for the outcome.
#[derive(Debug)]
struct Waiting {
    change: Change,
    since: DateTime<Utc>,
    reply: oneshot::Sender<Result<Announced, AnnounceError>>,
}

impl Waiting {
    /// When it is too late to put it into the catalog.
    fn ends_at(&self) -> DateTime<Utc> {
        self.since + TimeDelta::hours(CHANGE_AGE_HOURS_MAX)
    }

    fn answer(self, outcome: Result<Announced, AnnounceError>) {
        // A caller that has gone has no use for it.
        let _ = self.reply.send(outcome);
    }
}

/// What the rest of the process holds. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AnnouncerHandle {
    queue: mpsc::Sender<Waiting>,
    clock: Clock,
}

impl AnnouncerHandle {
    /// Makes `change` visible and returns when it is, or is known not to be. While the store gives
    /// no clear answer this waits. When the future is dropped before the store was asked, the
    /// change is withdrawn; after that the catalog alone says whether it stands.
    pub async fn announce(&self, change: Change) -> Result<Announced, AnnounceError> {
        let (reply, outcome) = oneshot::channel();
        let waiting = Waiting { change, since: self.clock.now(), reply };
        self.queue.send(waiting).await.map_err(|_| AnnounceError::Ending)?;
        // An announcer that is torn down without answering leaves the outcome open.
        outcome.await.unwrap_or(Err(AnnounceError::Unknown))
    }
}
