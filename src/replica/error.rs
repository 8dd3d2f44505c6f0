//! Errors of following the catalog.

use super::target::Refusal;
use crate::{
    catalog, disk,
    domain::{error::ErrorKind, name::CollectionName},
};

/// Why a replica cannot follow the catalog.
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The catalog or its store failed.
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    /// A segment could not be read, fetched or stored.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// The segments passed their checksums but cannot be served.
    #[error("collection `{collection}` cannot be served as announced: {refusal}")]
    Refused {
        collection: CollectionName,
        #[source]
        refusal: Refusal,
    },
    /// A bug: applying a collection panicked or was aborted.
    #[error(
        "collection `{collection}` could not be applied: internal error; see the server log, and report it as a bug"
    )]
    Broken { collection: CollectionName },
    /// The node's state cannot be written.
    #[error("cannot write the node's state to `{}`: {source}", path.display())]
    State {
        path: std::path::PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// Its kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Catalog(error) => error.kind(),
            Self::Disk(error) => error.kind(),
            Self::Refused { refusal, .. } => refusal.kind,
            Self::Broken { .. } | Self::State { .. } => ErrorKind::Internal,
        }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Catalog(error) => error.code(),
            Self::Disk(error) => error.code(),
            Self::Refused { refusal, .. } => refusal.code,
            Self::Broken { .. } => "apply_broken",
            Self::State { .. } => "state_unwritable",
        }
    }
}
