//! Failures of local segment files.

use std::{io, path::Path, path::PathBuf};

use crate::{domain::codes, store};

/// A failure of a local file, or of the object that it is a copy of.
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object store, or an object in it.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A local file does not exist.
    #[error("the local file `{0}` does not exist")]
    Missing(String),
    /// The bytes of a local file are not the expected ones.
    #[error("the local file `{path}` is damaged: {reason}")]
    Corrupt { path: String, reason: &'static str },
    /// A local file or directory failed.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Local {
        /// "create", "read", "write" or "sync".
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The disk budget, or the disk, has no space for more segments.
    #[error(
        "{bytes} more bytes of segments do not fit into `{}`: the segments in use there take {taken} of {limit} bytes \
         ([node] segments_bytes_max), and its disk has {free} bytes free",
        path.display()
    )]
    BudgetExceeded {
        path: PathBuf,
        bytes: u64,
        /// Bytes of the segments there, and of those being written.
        taken: u64,
        limit: u64,
        free: u64,
    },
}

codes! {
    Error {
        "object_missing" NotFound: Missing,
        "object_corrupt" Corrupt: Corrupt,
        "local_file" Internal: Local,
        "segments_full" Internal: BudgetExceeded,
        from: Store,
    }
}

impl Error {
    /// Whether the store's own object is missing or damaged.
    pub(crate) fn is_object_lost(&self) -> bool {
        matches!(self, Self::Store(store::Error::Missing(_) | store::Error::Corrupt { .. }))
    }

    /// Whether this machine failed, and not the store.
    pub(crate) fn is_local(&self) -> bool {
        use store::Error::{Ending, Local};
        matches!(self, Self::Local { .. } | Self::BudgetExceeded { .. } | Self::Store(Ending | Local { .. }))
    }
}

/// A failure of the local file system.
pub(super) fn local(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Local { action, path: path.to_owned(), source }
}
