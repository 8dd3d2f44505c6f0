//! Failures of reading, writing and verifying the catalog.

use std::path::PathBuf;

use super::paths;
use crate::{
    disk,
    domain::{DeploymentId, MetadataId, codes},
    store,
};

/// A failure of the catalog, or of the store that holds it.
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object store, or an object in it.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A local file.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// The key for announcements cannot be used.
    #[error("[publication] signing_key_file {} cannot be used: {reason}", path.display())]
    SigningKey { path: PathBuf, reason: String },
    /// An announcement would end the signatures of a catalog.
    #[error(
        "the catalog is signed and this publisher has no [publication] signing_key_file, so nothing is announced from \
         here; name the key, or write allow_unsigned = true to end the signatures"
    )]
    NoSigningKey,
    /// An object has no signature of an accepted key.
    #[error(
        "`{path}` is not accepted: {reason}; the publisher must sign with a key of [publication] verify_key"
    )]
    Untrusted {
        path: String,
        /// What is wrong with its signature.
        reason: &'static str,
    },
    /// A document is not the expected JSON.
    #[error("`{path}` is not a document of its kind: {source}; `larder repair` puts back what a node has")]
    Malformed {
        path: String,
        /// The position of the fault.
        #[source]
        source: serde_json::Error,
    },
    /// A document was written by a later release.
    #[error("`{path}` has format {format}, this build reads up to {known}; upgrade this node")]
    NewerFormat {
        path: String,
        format: u32,
        /// The newest format that this build knows.
        known: u32,
    },
    /// The store belongs to another deployment than this node.
    #[error(
        "`{path}` belongs to deployment {found}, this node to {expected}; point the node at its own store, \
         or give it a new metadata database and data directory"
    )]
    ForeignCatalog { path: String, expected: DeploymentId, found: DeploymentId },
    /// Another metadata database publishes to this catalog.
    #[error(
        "`{path}` is published with the metadata database {found}, this one is {expected}, so nothing is announced \
         from here; use that database, or give `larder takeover` if it is gone for good"
    )]
    ForeignMetadata {
        path: String,
        expected: MetadataId,
        /// The database that the document names.
        found: MetadataId,
    },
    /// The catalog was restored to an earlier state and continued from there.
    #[error(
        "`{0}` is not the document of this number that this node follows: the catalog was restored to an \
         earlier state; start this node with an empty data directory"
    )]
    Forked(String),
    /// Documents that this node knows are no longer in the store.
    #[error(
        "the store's catalog has lost documents: {found}, but {known}; check that [storage] url is right and its \
         directory is mounted. After emptying a store on purpose, use a new metadata database and empty the \
         nodes' data directories"
    )]
    CatalogLost {
        /// What is in the store, in words.
        found: String,
        /// What was in the store, in words.
        known: String,
    },
    /// The copy to read from belongs to another deployment than the store.
    #[error(
        "`{path}` belongs to deployment {found}, the store at [storage] url to {expected}; read_url must \
         name a copy of that store"
    )]
    ForeignCopy {
        /// The catalog of the copy.
        path: String,
        expected: DeploymentId,
        found: DeploymentId,
    },
}

codes! {
    Error {
        "signing_key_unusable" Invalid: SigningKey,
        "signing_key_missing" Invalid: NoSigningKey,
        "catalog_untrusted" Forbidden: Untrusted,
        "document_malformed" Corrupt: Malformed,
        "newer_format" Invalid: NewerFormat,
        "foreign_catalog" Invalid: ForeignCatalog | ForeignCopy,
        "foreign_metadata" Conflict: ForeignMetadata,
        "catalog_forked" Invalid: Forked,
        "catalog_lost" Invalid: CatalogLost,
        from: Store | Disk,
    }
}

impl Error {
    /// Document `n` is of another catalog than the followed one.
    pub fn forked(n: u64) -> Self {
        Self::Forked(paths::document(n).to_string())
    }

    /// The object at `path` does not exist.
    pub(crate) fn missing(path: impl Into<String>) -> Self {
        store::Error::Missing(path.into()).into()
    }

    /// Whether an object that is referenced does not exist.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Store(store::Error::Missing(_)))
    }

    /// Whether this is a head that must be treated as absent: documents are found without it.
    pub fn is_unusable_head(&self) -> bool {
        use store::Error::{Corrupt, TooLarge};
        matches!(
            self,
            Self::Malformed { .. } | Self::Untrusted { .. } | Self::Store(Corrupt { .. } | TooLarge { .. })
        )
    }

    /// Whether an object is lost, damaged or not to be trusted, while the store answers.
    pub(crate) fn is_of_object(&self) -> bool {
        match self {
            Self::Untrusted { .. } | Self::Malformed { .. } | Self::NewerFormat { .. } => true,
            Self::Store(error) => !error.is_of_store() && !error.is_refusal() && !self.is_local(),
            _ => false,
        }
    }

    /// Whether this machine failed, and neither the store nor the catalog.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Disk(error) => error.is_local(),
            Self::Store(error) => matches!(error, store::Error::Ending | store::Error::Local { .. }),
            _ => false,
        }
    }
}

/// Damage of the object at `path`.
pub(super) fn corrupt(path: &str, reason: &'static str) -> Error {
    store::corrupt(path, reason).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_object_failing_store_and_failing_machine_are_distinguished() {
        let of = |error: store::Error| {
            let error = Error::from(error);
            (error.is_missing(), error.is_local(), error.is_of_object())
        };
        let path = || "a".to_owned();
        assert_eq!(of(store::Error::Missing(path())), (true, false, true));
        assert_eq!(of(store::Error::Ending), (false, true, false));
        assert_eq!(of(store::corrupt("a", "it is damaged")), (false, false, true));
        assert_eq!(
            of(store::Error::Timeout { operation: "read", path: path(), seconds: 1 }),
            (false, false, false)
        );
        assert!(Error::from(crate::disk::Error::from(store::Error::Ending)).is_local());
    }
}
