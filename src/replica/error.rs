//! Why a replica does not have what the catalog names.

use super::target::Refusal;
use crate::{
    catalog, disk,
    domain::{error::ErrorKind, name::CollectionName},
};

/// A failure to follow.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The catalog, or the store that holds it.
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    /// A local segment, or the object that it is a copy of.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// Segments that are what they should be as files, and cannot be served.
    #[error("collection `{collection}` cannot be served as announced: {refusal}")]
    Refused {
        /// The collection.
        collection: CollectionName,
        /// Why.
        #[source]
        refusal: Refusal,
    },
    /// A bug: applying a collection did not come to an end.
    #[error("collection `{collection}` could not be applied: the work broke off; please report it")]
    Broken {
        /// The collection.
        collection: CollectionName,
    },
    /// The local state cannot be written.
    #[error("the node's state cannot be written to `{}`: {source}", path.display())]
    State {
        /// The file.
        path: std::path::PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// What a caller may do about it.
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
