//! Failures of the object store and of single objects.

use std::path::PathBuf;

use super::settings::Service;
use crate::{domain::codes, support::blocking};

/// A failure of the store, or of an object in it.
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request failed for a reason without a variant of its own.
    #[error(
        "the object store could not {operation} `{path}`; check that it is reachable and writable: {detail}"
    )]
    Request {
        /// "read", "write", "list" or "delete".
        operation: &'static str,
        path: String,
        /// The request and the store's answer, or why there is no answer, on one line.
        detail: String,
    },
    /// The bucket does not exist.
    #[error(
        "there is no {kind} `{bucket}` ({location}); create it, or correct the URL in [storage]",
        kind = service.bucket()
    )]
    NoBucket { service: Service, bucket: String, location: String },
    /// The bucket is in another region than the one that received the request.
    #[error(
        "{location} is in another region than the configured one{}; set [storage.s3] region, or read_region \
         for read_url, to the region of the bucket",
        in_brackets(answer)
    )]
    OtherRegion {
        location: String,
        /// The service's code and message; empty when it gave none.
        answer: String,
    },
    /// No credentials are configured, and the machine has none.
    #[error(
        "there are no credentials for {location}: none are configured, and this machine has no identity \
         that gives some; {} ({detail})",
        service.credentials()
    )]
    NoCredentials {
        service: Service,
        location: String,
        /// The request for the machine's identity, and why it failed.
        detail: String,
    },
    /// The store's client rejects the configuration.
    #[error("the object store {location} cannot be used as configured: {detail}")]
    Unusable {
        location: String,
        /// The client's message, on one line.
        detail: String,
    },
    /// The store overwrites an object that must be created only where none exists.
    #[error(
        "the object store ignores the condition \"create only where no object exists\" (`If-None-Match: *`): \
         {winners} of {writers} writers created the same object. Announcements would overwrite each other; use \
         a store that honours the condition"
    )]
    UnconditionalCreate {
        /// Number of writers that the store reported success to.
        winners: usize,
        /// Number of writers.
        writers: usize,
    },
    /// The store did not answer in time.
    #[error("the object store did not {operation} `{path}` within {seconds} s")]
    Timeout {
        /// "read", "write", "list" or "delete".
        operation: &'static str,
        path: String,
        seconds: u64,
    },
    /// The store refused the credentials.
    #[error(
        "the object store refuses to {operation} `{path}`{}; check the node's credentials and rights",
        in_brackets(answer)
    )]
    Denied {
        /// "read", "write", "list" or "delete".
        operation: &'static str,
        path: String,
        /// The service's code and message; empty when it gave none.
        answer: String,
    },
    /// The referenced object at this path does not exist.
    #[error("`{0}` is referenced but is not in the object store; `larder repair` puts back what a node has")]
    Missing(String),
    /// The object at this path must not exist yet, and exists.
    #[error("`{0}` exists already")]
    Exists(String),
    /// The bytes of an object are not the expected ones.
    #[error("`{path}` is damaged: {reason}; `larder repair` puts back what a node has")]
    Corrupt { path: String, reason: &'static str },
    /// An object is larger than the bound for its kind.
    #[error("`{path}` has {bytes} bytes, more than the {limit} that its kind may have")]
    TooLarge {
        path: String,
        /// Its length, as far as it was read.
        bytes: u64,
        limit: u64,
    },
    /// This document refers to a path where its kind may not refer to.
    #[error("`{0}` refers to an object outside of its own directory; the object is not read")]
    ForeignPath(String),
    /// The directory of the store failed.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Local {
        /// "create", "read" or "write".
        action: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The process ends before the operation does.
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
        "store_timeout" Unavailable: Timeout,
        "store_denied" Forbidden: Denied,
        "object_missing" NotFound: Missing,
        "object_exists" Conflict: Exists,
        "object_corrupt" Corrupt: Corrupt,
        "object_too_large" Corrupt: TooLarge,
        "object_path_refused" Corrupt: ForeignPath,
        "local_file" Internal: Local,
        "process_ending" Unavailable: Ending,
    }
}

impl Error {
    /// Whether the store answered that it does not carry the request out, and will not before somebody changes
    /// rights or configuration.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::NoBucket { .. }
                | Self::OtherRegion { .. }
                | Self::NoCredentials { .. }
                | Self::Denied { .. }
                | Self::Unusable { .. }
        )
    }

    /// Whether the store or the way to it failed, and not only the requested object.
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
}

/// Damage of the object at `path`.
pub(crate) fn corrupt(path: &str, reason: &'static str) -> Error {
    Error::Corrupt { path: path.to_owned(), reason }
}

fn in_brackets(answer: &str) -> String {
    if answer.is_empty() { String::new() } else { format!(" ({answer})") }
}

/// Runs file work on the threads that may block.
///
/// # Errors
/// Those of `work`, and [`Error::Ending`] when the process ends first.
pub(crate) async fn blocking<T: Send + 'static, E: From<Error> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    blocking::run(work).await.unwrap_or_else(|| Err(Error::Ending.into()))
}
