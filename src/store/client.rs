//! The client of one store: how it is opened, how long a request may take, how it fails.

use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};

use object_store::{ObjectStore, path::Path};

use super::{
    backend, directory,
    error::{Error, corrupt},
    refusal::{Cause, Refusal},
    settings::{Location, Service},
};

/// Timeout of a request for a small document, and of the first answer to a larger one. It is far above the tail latency
/// of a slow store; after it, a follower repeats the request.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Bound between two pieces of a large object: a connection that is silent for longer is dead.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(20);

/// The object store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) inner: Arc<dyn ObjectStore>,
    /// The directory that holds the objects, if the store is one.
    pub(super) directory: Option<Arc<PathBuf>>,
    /// The bucket that holds the objects, if the store is one. Error messages name it.
    bucket: Option<Arc<BucketName>>,
}

#[derive(Debug)]
struct BucketName {
    service: Service,
    bucket: String,
    location: String,
}

impl Store {
    /// Opens the store at `location`. A directory is created with mode 0700. No request is sent to a service.
    ///
    /// # Errors
    /// [`Error::Local`] for a directory that cannot be created, [`Error::Unusable`] for a service's options.
    pub fn open(location: &Location) -> Result<Self, Error> {
        let inner = backend::open(location)?;
        let (directory, bucket) = match location {
            Location::Directory(path) => {
                let local = |source| Error::Local { action: "read", path: path.clone(), source };
                let root = path.canonicalize().map_err(local)?;
                directory::protect(&root);
                (Some(Arc::new(root)), None)
            }
            Location::Bucket(bucket) => {
                let (service, bucket, location) = (bucket.service, bucket.name.clone(), location.shown());
                (None, Some(Arc::new(BucketName { service, bucket, location })))
            }
        };
        Ok(Self { inner, directory, bucket })
    }

    /// A store over any backend.
    pub fn from_object_store(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, directory: None, bucket: None }
    }

    /// Whether the objects are files of this machine, which are read as fast as local copies.
    pub fn is_local(&self) -> bool {
        self.directory.is_some()
    }

    /// Translates an error of the backend.
    pub(super) fn failed(&self, operation: &'static str, path: &Path, source: &object_store::Error) -> Error {
        use object_store::Error as Source;
        let Refusal { cause, answer, detail } = Refusal::of(source);
        let path = path.to_string();
        match (cause, self.bucket.as_deref()) {
            (Some(Cause::NoBucket), Some(BucketName { service, bucket, location })) => {
                Error::NoBucket { service: *service, bucket: bucket.clone(), location: location.clone() }
            }
            (Some(Cause::OtherRegion), Some(BucketName { location, .. })) => {
                Error::OtherRegion { location: location.clone(), answer }
            }
            (Some(Cause::NoCredentials), Some(BucketName { service, location, .. })) => {
                Error::NoCredentials { service: *service, location: location.clone(), detail }
            }
            // No range of an empty object can be read.
            (Some(Cause::TooShort), _) => corrupt(&path, "it is cut short"),
            (Some(Cause::Denied), _) => Error::Denied { operation, path, answer },
            _ => match source {
                Source::NotFound { .. } => Error::Missing(path),
                Source::AlreadyExists { .. } => Error::Exists(path),
                _ => Error::Request { operation, path, detail },
            },
        }
    }
}

/// Runs one request, which fails with [`Error::Timeout`] after `bound`.
pub(super) async fn within<T>(
    bound: Duration,
    operation: &'static str,
    path: &Path,
    request: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(bound, request).await.unwrap_or_else(|_| {
        Err(Error::Timeout { operation, path: path.to_string(), seconds: bound.as_secs() })
    })
}
