//! Announcing: one service per process creates catalog documents and writes head.

mod create;
mod draft;
mod head;
mod head_writer;
mod known;
mod service;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{mpsc, oneshot};

pub use service::Announcer;

pub(super) use create::create_alone;

use super::{Error, FreshnessByCollection};
use crate::{
    domain::{
        CatalogDocument, CollectionEntry, CollectionName, DeploymentId, Digest, Head, KeySetReference,
        MetadataId, Pause, RegionName, Version, codes,
    },
    support::{backoff::Backoff, clock::Clock},
};

/// Changes that may wait for the announcer; further callers wait for a free place.
pub const CHANGES_WAITING_MAX: usize = 1024;
/// Longest time, by wall clock, that a change waits for its announcement. Its objects were written in the 12 h
/// before, and retention deletes objects that are unreferenced for 24 h.
const CHANGE_AGE_HOURS_MAX: i64 = 6;

/// A change to the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A collection gets another manifest.
    Collection {
        /// The collection.
        name: CollectionName,
        /// SHA-256 of the manifest that the new one is based on; `None` when there was none.
        from: Option<Digest>,
        /// The new entry.
        entry: CollectionEntry,
        /// When the source had this content.
        data_as_of: DateTime<Utc>,
        /// Pauses its sync in the same document, in place of a pause that it has.
        pause: Option<Pause>,
    },
    /// The pause of a sync ends.
    Resume {
        /// The sync, by its collection's name.
        name: CollectionName,
        /// The pause that ends; another one stays.
        pause: Pause,
    },
    /// Another metadata database may publish from now on, and the present one may not.
    Takeover {
        /// The database that the catalog names.
        from: Option<MetadataId>,
        /// The database that takes over.
        to: MetadataId,
    },
    /// A collection leaves the catalog, and its pins with it.
    Remove {
        /// The collection.
        name: CollectionName,
        /// SHA-256 of its manifest.
        from: Digest,
    },
    /// A region follows this version of a collection instead of the newest.
    Pin {
        /// The region.
        region: RegionName,
        /// The collection.
        name: CollectionName,
        /// SHA-256 of the manifest of the present pin; `None` when there is none.
        from: Option<Digest>,
        /// The entry to pin.
        entry: CollectionEntry,
    },
    /// A region follows the newest version of a collection again.
    Unpin {
        /// The region.
        region: RegionName,
        /// The collection.
        name: CollectionName,
        /// SHA-256 of the manifest of the present pin.
        from: Digest,
    },
    /// Another key set comes into force.
    Keys {
        /// Revision of the set that the new one is based on; 0 when there was none.
        from_revision: u64,
        /// The new set; its revision is higher.
        reference: KeySetReference,
    },
    /// A collection was found unchanged. Only head shows it.
    Freshness {
        /// The collection.
        name: CollectionName,
        /// The confirmed version.
        version: Version,
        /// When the source had this content.
        data_as_of: DateTime<Utc>,
    },
}

/// An announced change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// The document with the change; for freshness, the newest one.
    pub n: u64,
    /// The catalog's deployment, for the metadata database to store.
    pub deployment: DeploymentId,
}

/// Why a change is not announced, or not known to be.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AnnounceError {
    /// Another announcement changed the same part of the catalog first. Nothing is visible.
    #[error(
        "another announcement changed the same collection, pause or key set first; nothing was announced"
    )]
    Superseded,
    /// The catalog must not be changed by this process: another deployment or metadata database, a newer format, no
    /// right to write. Nothing is visible.
    #[error("{0}")]
    Refused(#[source] Arc<Error>),
    /// The catalog has as many collections as it may. Nothing is visible.
    #[error("the catalog has {max} collections already; drop one first", max = crate::domain::limits::COLLECTIONS_MAX)]
    Full,
    /// The catalog has as many pins as it may. Nothing is visible.
    #[error("the catalog has {max} pins already; unpin one first", max = crate::domain::limits::PINS_MAX)]
    PinsFull,
    /// The catalog could not be read for [`AnnouncerPace::patience`]. Nothing is visible.
    #[error("nothing was announced: {0}")]
    Unreachable(#[source] Arc<Error>),
    /// The change waited so long, for the store or because the machine slept, that retention may have deleted its
    /// objects. Nothing is visible.
    #[error(
        "the change waited longer than {CHANGE_AGE_HOURS_MAX} h and was not announced: its objects may be deleted"
    )]
    Late,
    /// The announcer ended before it began. Nothing is visible.
    #[error("the process is ending, nothing was announced")]
    Ending,
    /// The store did not report whether the document was created, and the process is ending or has waited too long.
    #[error("it is not known whether the change was announced: the store gave no answer; see the catalog")]
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

/// The timing of an announcer. Tests shorten it.
#[derive(Debug, Clone)]
pub struct AnnouncerPace {
    /// Shortest time between two documents, and between two writes of head: readers poll about as often, and
    /// object stores throttle writes to one object.
    pub interval: Duration,
    /// How long the catalog may be unreadable before waiting changes are refused.
    pub patience: Duration,
    /// First and longest pause between attempts.
    pub backoff: (Duration, Duration),
    /// Oldest reading of the catalog that a document may be based on. A number becomes free again
    /// days after its document was the newest, so a publisher that slept must read the catalog first.
    pub reading_age: Duration,
}

impl Default for AnnouncerPace {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            patience: Duration::from_secs(30),
            backoff: (Duration::from_millis(200), Duration::from_secs(10)),
            reading_age: Duration::from_mins(1),
        }
    }
}

impl AnnouncerPace {
    fn backoff(&self) -> Backoff {
        Backoff::new(self.backoff.0, self.backoff.1)
    }
}

/// The head for `document`, with the freshness until `until` that `stored` has for its versions.
pub(super) fn merge_head(document: &CatalogDocument, stored: Option<&Head>, until: DateTime<Utc>) -> Head {
    head::merge(document, stored, &FreshnessByCollection::new(), until)
}

/// A change to announce, and the caller that waits for the outcome.
#[derive(Debug)]
struct Waiting {
    change: Change,
    since: DateTime<Utc>,
    reply: oneshot::Sender<Result<Announced, AnnounceError>>,
}

impl Waiting {
    /// The change must not be announced from this time on.
    fn ends_at(&self) -> DateTime<Utc> {
        self.since + TimeDelta::hours(CHANGE_AGE_HOURS_MAX)
    }

    fn answer(self, outcome: Result<Announced, AnnounceError>) {
        // A caller that is gone does not need it.
        let _ = self.reply.send(outcome);
    }
}

/// Sends changes to the announcer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AnnouncerHandle {
    queue: mpsc::Sender<Waiting>,
    clock: Clock,
}

impl AnnouncerHandle {
    /// Announces `change`. Returns when it is visible, or known not to be; waits while the store gives no clear
    /// answer. Dropping the future before the document is created withdraws the change. After that, only
    /// the catalog shows whether it was announced.
    pub async fn announce(&self, change: Change) -> Result<Announced, AnnounceError> {
        let (reply, outcome) = oneshot::channel();
        let waiting = Waiting { change, since: self.clock.now(), reply };
        self.queue.send(waiting).await.map_err(|_| AnnounceError::Ending)?;
        // An announcer that is dropped without answering leaves the outcome unknown.
        outcome.await.unwrap_or(Err(AnnounceError::Unknown))
    }
}
