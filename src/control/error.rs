//! Why a use-case did not come about.

use crate::{
    domain::{error::ErrorKind, manifest::Version, name::CollectionName},
    engine, mapping, metadata, publication, source,
};

/// An error of a command or an admin request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No sync of this name is configured.
    #[error("no sync is named {name:?}; configured are: {known}")]
    UnknownSync {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// No key has this id.
    #[error("no key has the id {id:?}; `larder keys list` shows them")]
    UnknownKey {
        /// What was asked for.
        id: String,
    },
    /// No run has this id.
    #[error("no run has the id {id}; `larder runs` shows the last ones")]
    UnknownRun {
        /// What was asked for.
        id: String,
    },
    /// This node has no metadata database.
    #[error(
        "this node has not the role \"publisher\" ([node] roles), so it has no metadata database; run the command on one that has"
    )]
    NoMetadata,
    /// The key set kept changing under this one.
    #[error("other key changes came first {attempts} times; try again")]
    KeysContended {
        /// How often it was tried.
        attempts: usize,
    },
    /// A version is announced, and nodes that should serve it do not yet.
    #[error(
        "version {version} of {collection} is announced and stays so, but after {seconds} s not every node \
         serves it: {nodes}; `larder status` shows how they stand"
    )]
    NodesBehind {
        /// The collection.
        collection: CollectionName,
        /// The version.
        version: Version,
        /// How long they had.
        seconds: u64,
        /// Which nodes are behind or silent, in words.
        nodes: String,
    },
    /// A version is announced, and no node lives that could serve it.
    #[error(
        "version {version} of {collection} is announced and stays so, but within {seconds} s no live node of \
         its regions has left a status{silent}; start a node, or see whether nodes may write to \
         [storage] status_url"
    )]
    NoLiveNode {
        /// The collection.
        collection: CollectionName,
        /// The version.
        version: Version,
        /// How long they had.
        seconds: u64,
        /// The silent nodes, in words, behind a colon; may be empty.
        silent: String,
    },
    /// The mapping does not fit the model's columns.
    #[error("the mapping of sync {sync} does not fit its model")]
    Mapping {
        /// The sync.
        sync: CollectionName,
        /// What does not fit.
        faults: Vec<mapping::Fault>,
    },
    /// The source failed.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The object store failed.
    #[error(transparent)]
    Publication(#[from] publication::Error),
    /// An announcement was refused or its outcome is not known.
    #[error(transparent)]
    Announce(#[from] publication::AnnounceError),
    /// The metadata database failed.
    #[error(transparent)]
    Metadata(#[from] metadata::Error),
    /// No run could begin.
    #[error(transparent)]
    Engine(#[from] engine::Error),
}

impl Error {
    /// What a caller may do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownSync { .. } | Self::UnknownKey { .. } | Self::UnknownRun { .. } => {
                ErrorKind::NotFound
            }
            Self::KeysContended { .. } => ErrorKind::Conflict,
            Self::NodesBehind { .. } | Self::NoLiveNode { .. } => ErrorKind::Unavailable,
            Self::NoMetadata | Self::Mapping { .. } => ErrorKind::Invalid,
            Self::Source(error) => error.kind(),
            Self::Publication(error) => error.kind(),
            Self::Announce(error) => error.kind(),
            Self::Metadata(error) => error.kind(),
            Self::Engine(error) => error.kind(),
        }
    }

    /// Stable code, a section of `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownSync { .. } => "unknown_sync",
            Self::UnknownKey { .. } => "unknown_key",
            Self::UnknownRun { .. } => "unknown_run",
            Self::NoMetadata => "no_metadata",
            Self::KeysContended { .. } => "keys_contended",
            Self::NodesBehind { .. } => "nodes_behind",
            Self::NoLiveNode { .. } => "no_live_node",
            Self::Mapping { .. } => "mapping_mismatch",
            Self::Source(error) => error.code(),
            Self::Publication(error) => error.code(),
            Self::Announce(error) => error.code(),
            Self::Metadata(error) => error.code(),
            Self::Engine(error) => error.code(),
        }
    }
}
