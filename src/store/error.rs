//! What may go wrong with the object store and its local copies.

use std::path::PathBuf;

use crate::store::paths;
use crate::store::settings::Service;
use crate::{
    domain::{error::codes, id::DeploymentId},
    support::blocking,
};

/// A failure of the store, of an object in it, or of a local copy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store did not do what it was asked.
    #[error(
        "the object store could not {operation} `{path}`; check that it is reachable and writable: {told}"
    )]
    Request {
        /// "read", "write", "list" or "delete".
        operation: &'static str,
        /// Object path.
        path: String,
        /// The request and what the store said to it, or why no answer came, on one line.
        told: String,
    },
    /// The bucket is not there.
    #[error(
        "there is no {kind} `{bucket}` ({location}); create it, or correct the URL in [storage]",
        kind = service.bucket()
    )]
    NoBucket {
        /// Whose bucket it would be.
        service: Service,
        /// Its name.
        bucket: String,
        /// The store, without credentials.
        location: String,
    },
    /// The bucket is in another region than the one that was asked.
    #[error(
        "{location} is in another region than the one that was asked{}; set [storage.s3] region, or \
         read_region for read_url, to the bucket's own",
        in_brackets(said)
    )]
    OtherRegion {
        /// The store, without credentials.
        location: String,
        /// The service's code and message; empty when it gave none.
        said: String,
    },
    /// Nobody gave credentials.
    #[error(
        "there are no credentials for {location}: none are configured, and this machine has no identity \
         that gives some; {} ({told})",
        service.credentials()
    )]
    NoCredentials {
        /// Whose credentials they would be.
        service: Service,
        /// The store, without credentials.
        location: String,
        /// How the machine's identity was asked for, and why that failed.
        told: String,
    },
    /// No client of the store can be made.
    #[error("the object store {location} cannot be used as configured: {told}")]
    Unusable {
        /// The store, without credentials.
        location: String,
        /// What the store's client says, on one line.
        told: String,
    },
    /// The store creates an object where one is.
    #[error(
        "the object store ignores the condition \"create only where nothing is\" (`If-None-Match: *`): \
         {winners} of {writers} writers created one and the same object. Announcements would overwrite \
         each other; use a store that honours it"
    )]
    UnconditionalCreate {
        /// How many were told that they created it.
        winners: usize,
        /// How many tried.
        writers: usize,
    },
    /// The key for announcements cannot be used.
    #[error("[publication] signing_key_file {} cannot be used: {reason}", path.display())]
    SigningKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An object that must be signed is not, or by nobody whom this node believes.
    #[error(
        "`{path}` is not believed: {reason}; who announces must hold the key of [publication] verify_key"
    )]
    Untrusted {
        /// Object path.
        path: String,
        /// What is wrong with its signature.
        reason: &'static str,
    },
    /// The store did not answer in time.
    #[error("the object store did not {operation} `{path}` within {seconds} s")]
    Timeout {
        /// "read", "write", "list" or "delete".
        operation: &'static str,
        /// Object path.
        path: String,
        /// The bound that was passed.
        seconds: u64,
    },
    /// The store refused the credentials.
    #[error(
        "the object store refuses to {operation} `{path}`{}; check the node's credentials and rights",
        in_brackets(said)
    )]
    Denied {
        /// "read", "write", "list" or "delete".
        operation: &'static str,
        /// Object path.
        path: String,
        /// The service's code and message; empty when it gave none.
        said: String,
    },
    /// An object that something names is not there.
    #[error("`{path}` is named but is not in the object store")]
    Missing {
        /// Object path, or local file.
        path: String,
    },
    /// An object that must not exist yet exists.
    #[error("`{path}` exists already")]
    Exists {
        /// Object path.
        path: String,
    },
    /// Bytes that are not what they should be.
    #[error("`{path}` is damaged: {reason}")]
    Corrupt {
        /// Object path, or local file.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A document that is not the JSON it should be.
    #[error("`{path}` is not a document of its kind: {source}")]
    Malformed {
        /// Object path, or local file.
        path: String,
        /// Where it goes wrong.
        #[source]
        source: serde_json::Error,
    },
    /// An object beyond the bound for its kind.
    #[error("`{path}` has {bytes} bytes, more than the {limit} that its kind may have")]
    TooLarge {
        /// Object path.
        path: String,
        /// Its length, as far as it was read.
        bytes: u64,
        /// The bound.
        limit: u64,
    },
    /// Written by a later release.
    #[error("`{path}` has format {format}, this build reads up to {known}; upgrade this node")]
    NewerFormat {
        /// Object path, or local file.
        path: String,
        /// Its format.
        format: u32,
        /// The newest format this build knows.
        known: u32,
    },
    /// The store belongs to another deployment than this node.
    #[error(
        "`{path}` belongs to deployment {found}, this node to {expected}; point it at its own store, \
         or give it a new metadata database and data directory"
    )]
    ForeignCatalog {
        /// Object path.
        path: String,
        /// The node's deployment.
        expected: DeploymentId,
        /// The document's deployment.
        found: DeploymentId,
    },
    /// The catalog was put back to an earlier state and went on from there.
    #[error(
        "`{path}` is another document than the one of this number that this node follows: the catalog was \
         put back to an earlier state; start this node with an empty data directory"
    )]
    Forked {
        /// Object path.
        path: String,
    },
    /// The store's catalog was there and is not, or is an older one.
    #[error(
        "the store's catalog has gone back: {there}, though {known}; is [storage] url right, and its directory \
         mounted? A store that was emptied on purpose needs a new metadata database, and nodes that serve an \
         empty data directory"
    )]
    CatalogLost {
        /// What is there, in words.
        there: String,
        /// What is known to have been there, in words.
        known: String,
    },
    /// A copy of the store is one of another deployment's.
    #[error(
        "`{path}` belongs to deployment {found}, the store at [storage] url to {expected}; read_url must \
         name a copy of it"
    )]
    ForeignCopy {
        /// The catalog of the copy.
        path: String,
        /// The store's deployment.
        expected: DeploymentId,
        /// The copy's deployment.
        found: DeploymentId,
    },
    /// A document names an object outside the places that its kind may name.
    #[error("`{document}` names an object outside its own place; it is not read")]
    ForeignPath {
        /// The document at fault.
        document: String,
    },
    /// A local file or directory failed.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Local {
        /// "create", "read", "write", "sync" or "delete".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// Local segments have no room for more.
    #[error(
        "{bytes} more bytes of segments do not fit into `{}`: what is needed there has {taken} of {limit} bytes \
         ([node] segments_bytes_max), and its disk has {free} bytes left",
        path.display()
    )]
    NoRoom {
        /// The directory.
        path: PathBuf,
        /// What should come.
        bytes: u64,
        /// What is there, or being written.
        taken: u64,
        /// The bound.
        limit: u64,
        /// What the disk has left.
        free: u64,
    },
    /// The process is ending and cut a file operation short.
    #[error("the process is ending")]
    Ending,
}

codes! {
    Error {
        "store_unavailable" Unavailable: Request,
        "store_no_bucket" Invalid: NoBucket,
        "store_other_region" Invalid: OtherRegion,
        "store_no_credentials" Forbidden: NoCredentials,
        "store_unusable" Invalid: Unusable,
        "store_overwrites" Invalid: UnconditionalCreate,
        "signing_key_unusable" Invalid: SigningKey,
        "catalog_untrusted" Forbidden: Untrusted,
        "store_timeout" Unavailable: Timeout,
        "store_denied" Forbidden: Denied,
        "object_missing" NotFound: Missing,
        "object_exists" Conflict: Exists,
        "object_corrupt" Corrupt: Corrupt,
        "document_malformed" Corrupt: Malformed,
        "object_too_large" Corrupt: TooLarge,
        "newer_format" Invalid: NewerFormat,
        "foreign_catalog" Invalid: ForeignCatalog | ForeignCopy,
        "catalog_forked" Invalid: Forked,
        "catalog_lost" Invalid: CatalogLost,
        "object_path_refused" Corrupt: ForeignPath,
        "local_file" Internal: Local,
        "segments_full" Internal: NoRoom,
        "process_ending" Unavailable: Ending,
    }
}

impl Error {
    /// That document `n` is of another catalog than the one followed.
    pub fn forked(n: u64) -> Self {
        Self::Forked { path: paths::document(n).to_string() }
    }

    /// Whether the store failed, or the way to it, whatever the object that was asked for is like.
    pub(crate) fn is_of_store(&self) -> bool {
        matches!(
            self,
            Self::Request { .. }
                | Self::NoBucket { .. }
                | Self::OtherRegion { .. }
                | Self::NoCredentials { .. }
                | Self::Timeout { .. }
                | Self::Denied { .. }
                | Self::Ending
        )
    }

    /// Whether a head that is read so says nothing at all, and documents are found without it.
    pub fn is_no_hint(&self) -> bool {
        matches!(
            self,
            Self::Malformed { .. } | Self::Corrupt { .. } | Self::TooLarge { .. } | Self::Untrusted { .. }
        )
    }
}

/// Damage of the object at `path`.
pub(crate) fn corrupt(path: &str, reason: &'static str) -> Error {
    Error::Corrupt { path: path.to_owned(), reason }
}

fn in_brackets(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(" ({said})") }
}

/// Runs file work on the threads that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    blocking::run(work).await.unwrap_or(Err(Error::Ending))
}
