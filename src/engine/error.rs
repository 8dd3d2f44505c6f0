//! Errors of the engine.

use std::time::Duration;

use crate::{
    catalog::{self, AnnounceError},
    disk,
    domain::{
        error::codes,
        manifest::{Configuration, Version},
        name::CollectionName,
        run::RunError,
    },
    mapping, metadata, model, segment, source,
};

/// How messages show a time.
const SECONDS: &str = "%Y-%m-%dT%H:%M:%SZ";

/// An error of a run or of another operation of the engine. Metadata stores code and message of a run's error.
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process holds the lease of the sync.
    #[error("a run of sync {sync} is in progress elsewhere, held by {holder}")]
    LeaseHeld {
        sync: CollectionName,
        holder: String,
        /// When the lease ends unless it is renewed.
        expires_in: Duration,
    },
    /// Another process is rolling the collection back.
    #[error("a rollback of {collection} is in progress elsewhere, held by {holder}")]
    RollbackUnderWay { collection: CollectionName, holder: String },
    /// Another publisher has run the sync after this invocation meanwhile.
    #[error("sync {sync} has run after invocation {invocation} of dbt already")]
    InvocationUsed { sync: CollectionName, invocation: String },
    /// The lease could not be renewed in time.
    #[error("the lease of the sync was lost; the run ended and announced nothing")]
    LeaseLost,
    /// Another publisher has announced with a newer configuration of the sync.
    #[error(
        "sync {sync} was announced with a newer configuration (revision {}, changed at {}) than this publisher has \
         (revision {}, changed at {}), so it does not run here; give all publishers the same configuration, or set a \
         higher `revision` in [syncs.{sync}] of the right one, also when an older file was put back on purpose",
        newest.revision, newest.changed_at.format(SECONDS), own.revision, own.changed_at.format(SECONDS)
    )]
    ConfigurationOutdated { sync: CollectionName, newest: Box<Configuration>, own: Box<Configuration> },
    /// The announced version is not one of this metadata database, which publishes.
    #[error(
        "version {version} of {collection} was not announced with this metadata database: a copy of it publishes, too, \
         or an older backup was restored in its place; end the other publisher, then restart this one or give \
         `larder takeover`"
    )]
    MetadataCopied { collection: CollectionName, version: Version },
    /// The collection was dropped; its schedule does not bring it back.
    #[error(
        "{sync} was dropped at version {last}, so its schedule does not run; `larder sync {sync}` brings it back"
    )]
    Dropped { sync: CollectionName, last: Version },
    /// The sync is paused, or was paused while the run was under way.
    #[error("sync {sync} is paused ({why}); `larder resume {sync}` lets it run by its schedule again")]
    Paused { sync: CollectionName, why: String },
    /// The model's columns do not fit the mapping.
    #[error("the mapping does not fit the model: {}", list(.0))]
    Mapping(Vec<mapping::MappingFault>),
    /// The column by which a sync reads increments cannot be used.
    #[error("increments cannot be read: column `{column}` {why}")]
    Increment { column: String, why: String },
    /// The run wrote too many bytes.
    #[error(
        "the run wrote more than {bytes_max} bytes of segments; raise [engine] spool_bytes_max or narrow the model"
    )]
    SpoolFull { bytes_max: u64 },
    /// The run took too long.
    #[error(
        "the run took longer than {seconds} s and was ended; make the query faster or raise [engine] run_timeout"
    )]
    RunTimeout { seconds: u64 },
    /// An operator, or the end of the process, cancelled the run.
    #[error("the run was cancelled")]
    Cancelled,
    /// The uploader ended first; its own error is reported instead.
    #[error("the upload stopped")]
    UploadStopped,
    /// The operating system refused a thread.
    #[error(
        "the operating system gives the run no thread: {0}; raise the limit of processes \
         (`ulimit -u`, TasksMax, pids.max)"
    )]
    ThreadRefused(#[source] std::io::Error),
    /// A thread of the run panicked.
    #[error("a thread of the run panicked; this is a bug in larder; the log has the place")]
    WorkerDied,
    /// The model has no query.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// The source failed.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// A segment could not be read or written.
    #[error(transparent)]
    Segment(#[from] segment::Error),
    /// The object store failed.
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    /// A segment could not be fetched or read.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// The announcement was refused or its outcome is not known.
    #[error(transparent)]
    Announce(#[from] catalog::AnnounceError),
    /// The metadata database failed.
    #[error(transparent)]
    Metadata(#[from] metadata::Error),
}

fn list(faults: &[mapping::MappingFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

codes! {
    Error {
        "lease_held" Conflict: LeaseHeld,
        "rollback_under_way" Conflict: RollbackUnderWay,
        "invocation_used" Conflict: InvocationUsed,
        "lease_lost" Conflict: LeaseLost,
        "configuration_outdated" Conflict: ConfigurationOutdated,
        "metadata_copied" Conflict: MetadataCopied,
        "sync_dropped" Conflict: Dropped,
        "sync_paused" Conflict: Paused,
        "mapping_mismatch" Invalid: Mapping,
        "increment_invalid" Invalid: Increment,
        "spool_full" Invalid: SpoolFull,
        "run_timeout" Unavailable: RunTimeout,
        "cancelled" Conflict: Cancelled,
        "thread_refused" Unavailable: ThreadRefused,
        "internal" Internal: UploadStopped | WorkerDied,
        from: Model | Source | Segment | Catalog | Disk | Announce | Metadata,
    }
}

impl Error {
    /// As metadata stores it.
    pub(super) fn as_run_error(&self) -> RunError {
        RunError { code: self.code().to_owned(), message: self.to_string() }
    }

    /// The code, when the object store or the catalog failed: then no sync of this publisher can announce.
    pub fn store_failure(&self) -> Option<&'static str> {
        match self {
            Self::Catalog(error) if error.is_local() => None,
            Self::Disk(error) if error.is_local() => None,
            Self::Catalog(_)
            | Self::Disk(_)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store;

    #[test]
    fn only_failures_of_the_store_keep_other_syncs_from_announcing() {
        let timeout = || store::Error::Timeout { operation: "read", path: "catalog".to_owned(), seconds: 1 };
        let of_store = [
            Error::Catalog(timeout().into()),
            Error::Disk(timeout().into()),
            Error::Announce(AnnounceError::Late),
            Error::Announce(AnnounceError::Unknown),
        ];
        for error in of_store {
            assert_eq!(error.store_failure(), Some(error.code()));
        }
        let others = [
            Error::Catalog(store::Error::Ending.into()),
            Error::Disk(store::Error::Ending.into()),
            Error::Announce(AnnounceError::Superseded),
            Error::Cancelled,
        ];
        for error in others {
            assert_eq!(error.store_failure(), None, "{error}");
        }
    }
}
