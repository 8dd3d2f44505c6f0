//! Why a run did not end as it should.

use std::time::Duration;

use crate::{
    catalog::{self, AnnounceError},
    domain::{error::codes, name::CollectionName},
    mapping, metadata, segment, source,
    store::{self},
};

/// An error of a run; its code and message stand in metadata and in `larder runs`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process runs this sync.
    #[error("a run of sync {sync} is in progress elsewhere, held by {holder}")]
    LeaseHeld {
        /// The sync.
        sync: CollectionName,
        /// The lease's holder.
        holder: String,
        /// When the lease ends unless it is renewed.
        expires_in: Duration,
    },
    /// Another process rolls the collection back.
    #[error("a rollback of {collection} is in progress elsewhere, held by {holder}")]
    RollbackUnderWay {
        /// The collection.
        collection: CollectionName,
        /// The lease's holder.
        holder: String,
    },
    /// The lease could not be renewed in time.
    #[error("the lease of the sync was lost; the run ended before it announced anything")]
    LeaseLost,
    /// The sync is paused, or was paused while the run was under way.
    #[error("sync {sync} is paused ({why}); `larder resume {sync}` lets it run by its schedule again")]
    Paused {
        /// The sync.
        sync: CollectionName,
        /// Why.
        why: String,
    },
    /// The model's columns do not fit the mapping.
    #[error("the mapping does not fit the model: {}", list(.0))]
    Mapping(Vec<mapping::Fault>),
    /// The spool outgrew its bound.
    #[error(
        "the run wrote more than {bytes_max} bytes of segments; raise [engine] spool_bytes_max or narrow the model"
    )]
    SpoolFull {
        /// The bound.
        bytes_max: u64,
    },
    /// The run took too long.
    #[error("the run took longer than {seconds} s ([engine] run_timeout) and was ended")]
    RunTimeout {
        /// The bound.
        seconds: u64,
    },
    /// Somebody asked the run to end.
    #[error("the run was cancelled")]
    Cancelled,
    /// The publisher task ended first; its own error is the one to show.
    #[error("publishing stopped")]
    PublisherStopped,
    /// The operating system refused a thread.
    #[error(
        "the run gets no thread from the operating system: {source}; raise the limit of processes \
         (`ulimit -u`, TasksMax, pids.max)"
    )]
    ThreadRefused {
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A thread of the run ended unexpectedly.
    #[error("a worker thread of the run ended unexpectedly; this is a bug in larder")]
    WorkerDied,
    /// The source failed.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// A segment could not be read or written.
    #[error(transparent)]
    Segment(#[from] segment::Error),
    /// The object store failed.
    #[error(transparent)]
    Publication(#[from] store::Error),
    /// The announcement was refused or its outcome is not known.
    #[error(transparent)]
    Announce(#[from] catalog::AnnounceError),
    /// The metadata database failed.
    #[error(transparent)]
    Metadata(#[from] metadata::Error),
}

fn list(faults: &[mapping::Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

codes! {
    Error {
        "lease_held" Conflict: LeaseHeld,
        "rollback_under_way" Conflict: RollbackUnderWay,
        "lease_lost" Conflict: LeaseLost,
        "sync_paused" Conflict: Paused,
        "mapping_mismatch" Invalid: Mapping,
        "spool_full" Invalid: SpoolFull,
        "run_timeout" Unavailable: RunTimeout,
        "cancelled" Conflict: Cancelled,
        "thread_refused" Unavailable: ThreadRefused,
        "internal" Internal: PublisherStopped | WorkerDied,
        from: Source | Segment | Publication | Announce | Metadata,
    }
}

impl Error {
    /// The code, when what failed is the object store or the catalog: no sync of this publisher can
    /// announce anything then.
    pub fn store_failure(&self) -> Option<&'static str> {
        use store::Error::{Ending, Local, NoRoom};
        match self {
            Self::Publication(Ending | Local { .. } | NoRoom { .. }) => None,
            Self::Publication(_)
            | Self::Announce(
                AnnounceError::Refused(_)
                | AnnounceError::Unreachable(_)
                | AnnounceError::Late
                | AnnounceError::Unknown,
            ) => Some(self.code()),
            _ => None,
        }
    }
}
