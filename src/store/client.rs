//! Requests to the object store: each has a bound in time and, where it reads, in size.

use std::{fs::File, future::Future, ops::Range, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use object_store::{
    GetOptions, GetRange, GetResult, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutPayload, WriteMultipart, path::Path,
};

use crate::store::backend;
use crate::store::error::Error;
use crate::store::error::corrupt;
use crate::store::refusal::{Cause, Refusal};
use crate::store::settings::{Location, Service};
use crate::store::signature::Seal;

/// Bound of a request for a small document, and of the first answer to a larger one: far above a
/// slow store's tail, and a follower that waits longer is better off asking again.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Bound between two pieces of a large object: a connection that is silent for longer is dead.
const STALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Bound of a list of names, which a service gives in pages.
const LIST_TIMEOUT: Duration = Duration::from_mins(2);
/// Bound of an upload, besides the time that its bytes take at [`UPLOAD_RATE_MIN`].
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(15);
/// The slowest link that is waited for, in bytes a second.
const UPLOAD_RATE_MIN: u64 = 512 * 1024;
/// Largest object put in one request; larger ones go in parts, so that memory stays bounded.
pub(crate) const PUT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of one part of a larger upload; S3 wants at least 5 MiB.
const PART_BYTES: usize = 16 * 1024 * 1024;

/// The object store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    /// The directory behind it, when it is one.
    pub(crate) directory: Option<Arc<PathBuf>>,
    /// The bucket behind it, when it is one.
    bucket: Option<Arc<Named>>,
    pub(crate) seal: Seal,
}

/// What people call a bucket.
#[derive(Debug)]
struct Named {
    service: Service,
    bucket: String,
    location: String,
}

/// A small object as read.
pub(crate) struct Small {
    pub(crate) bytes: Bytes,
    pub(crate) etag: Option<String>,
}

/// What a conditional read finds.
pub(crate) enum Conditional {
    Unchanged,
    Missing,
    Found(Small),
}

impl Store {
    /// Opens the store at `location`. A directory is created 0700; of a service nothing is asked yet.
    pub fn open(location: &Location) -> Result<Self, Error> {
        let inner = backend::open(location)?;
        let directory = match location {
            Location::Directory(path) => {
                let local = |source| Error::Local { action: "read", path: path.clone(), source };
                Some(Arc::new(path.canonicalize().map_err(local)?))
            }
            Location::Bucket(_) => None,
        };
        let bucket = match location {
            Location::Directory(_) => None,
            Location::Bucket(bucket) => {
                let (service, bucket, location) = (bucket.service, bucket.name.clone(), location.shown());
                Some(Arc::new(Named { service, bucket, location }))
            }
        };
        Ok(Self { inner, directory, bucket, seal: Seal::default() })
    }

    /// A store over any backend.
    pub fn from_object_store(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, directory: None, bucket: None, seal: Seal::default() }
    }

    /// The same store, whose catalog is signed and believed as `seal` has it.
    #[must_use]
    pub fn with_seal(self, seal: Seal) -> Self {
        Self { seal, ..self }
    }

    /// Whether its objects are files of this machine, which are read as fast as local copies.
    pub fn is_near(&self) -> bool {
        self.directory.is_some()
    }

    /// A small object, or `None` when it is not there.
    pub(crate) async fn small(&self, path: &Path, limit: u64) -> Result<Option<Small>, Error> {
        match self.small_if_changed(path, None, limit).await? {
            Conditional::Found(small) => Ok(Some(small)),
            Conditional::Missing | Conditional::Unchanged => Ok(None),
        }
    }

    /// A small object, unless it still has `etag`.
    pub(crate) async fn small_if_changed(
        &self,
        path: &Path,
        etag: Option<&str>,
        limit: u64,
    ) -> Result<Conditional, Error> {
        let options = GetOptions { if_none_match: etag.map(str::to_owned), ..GetOptions::default() };
        let read = async {
            let result = match self.inner.get_opts(path, options).await {
                Ok(result) => result,
                Err(object_store::Error::NotModified { .. }) => return Ok(Conditional::Unchanged),
                Err(source) => match self.failed("read", path, &source) {
                    Error::Missing { .. } => return Ok(Conditional::Missing),
                    error => return Err(error),
                },
            };
            let etag = result.meta.e_tag.clone();
            Ok(Conditional::Found(Small { bytes: self.whole(path, result, limit).await?, etag }))
        };
        within(REQUEST_TIMEOUT, "read", path, read).await
    }

    /// The file of an object of `bytes` bytes, when the store's objects are files of this machine.
    pub(crate) async fn file(&self, path: &Path, bytes: u64) -> Result<Option<File>, Error> {
        if !self.is_near() {
            return Ok(None);
        }
        within(REQUEST_TIMEOUT, "read", path, async {
            let result = self.inner.get_opts(path, GetOptions::default()).await;
            let result = result.map_err(|source| self.failed("read", path, &source))?;
            if result.meta.size != bytes {
                return Err(corrupt(path.as_ref(), "its length is another one"));
            }
            match result.payload {
                GetResultPayload::File(file, _) => Ok(Some(file)),
                GetResultPayload::Stream(_) => Ok(None),
            }
        })
        .await
    }

    /// A part of an object that has `whole` bytes. Each piece of it has its own time.
    pub(crate) async fn range(&self, path: &Path, range: Range<u64>, whole: u64) -> Result<Bytes, Error> {
        let length = range.end - range.start;
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let result = within(REQUEST_TIMEOUT, "read", path, async {
            self.inner.get_opts(path, options).await.map_err(|source| self.failed("read", path, &source))
        })
        .await?;
        if result.meta.size != whole {
            return Err(corrupt(path.as_ref(), "its length is another one"));
        }
        let mut pieces = result.into_stream();
        let mut bytes = Vec::with_capacity(length as usize);
        loop {
            let next = async { Ok(pieces.next().await) };
            match within(STALL_TIMEOUT, "read", path, next).await? {
                Some(Ok(piece)) if (bytes.len() + piece.len()) as u64 <= length => {
                    bytes.extend_from_slice(&piece);
                }
                Some(Ok(_)) => return Err(corrupt(path.as_ref(), "it is too long")),
                Some(Err(source)) => return Err(self.failed("read", path, &source)),
                None if bytes.len() as u64 == length => return Ok(bytes.into()),
                None => return Err(corrupt(path.as_ref(), "it is cut short")),
            }
        }
    }

    /// Writes an object of at most [`PUT_BYTES_MAX`], over whatever is there.
    pub(crate) async fn put(&self, path: &Path, bytes: Bytes) -> Result<(), Error> {
        within(upload_timeout(bytes.len()), "write", path, async {
            let put = self.inner.put(path, PutPayload::from_bytes(bytes)).await;
            put.map(drop).map_err(|source| self.failed("write", path, &source))
        })
        .await
    }

    /// Writes an object only where nothing is. Any error leaves open whether it was written.
    pub(crate) async fn create(&self, path: &Path, bytes: Bytes) -> Result<(), Error> {
        within(upload_timeout(bytes.len()), "write", path, async {
            let put = self.inner.put_opts(path, PutPayload::from_bytes(bytes), PutMode::Create.into()).await;
            put.map(drop).map_err(|source| self.failed("write", path, &source))
        })
        .await
    }

    /// Writes a large object part by part; each part has its own time.
    pub(crate) async fn put_parts(
        &self,
        path: &Path,
        mut next: impl AsyncFnMut() -> Result<Option<Bytes>, Error>,
    ) -> Result<(), Error> {
        let upload = within(REQUEST_TIMEOUT, "write", path, async {
            self.inner.put_multipart(path).await.map_err(|source| self.failed("write", path, &source))
        })
        .await?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        // Two parts are on their way at once.
        let parts_timeout = upload_timeout(2 * PART_BYTES);
        loop {
            let step = async {
                let Some(bytes) = next().await? else { return Ok(false) };
                upload.put(bytes);
                // No part waits behind another one: memory holds two parts.
                upload.wait_for_capacity(1).await.map_err(|source| self.failed("write", path, &source))?;
                Ok(true)
            };
            match within(parts_timeout, "write", path, step).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    // Best effort: the store's own life cycle removes what stays behind.
                    let _ = tokio::time::timeout(REQUEST_TIMEOUT, upload.abort()).await;
                    return Err(error);
                }
            }
        }
        within(parts_timeout, "write", path, async {
            upload.finish().await.map(drop).map_err(|source| self.failed("write", path, &source))
        })
        .await
    }

    /// Whether an object is there with `bytes` bytes.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Corrupt`] for another length.
    pub(crate) async fn check(&self, path: &Path, bytes: u64) -> Result<(), Error> {
        within(REQUEST_TIMEOUT, "read", path, async {
            let found = self.inner.head(path).await.map_err(|source| self.failed("read", path, &source))?;
            if found.size == bytes {
                Ok(())
            } else {
                Err(corrupt(path.as_ref(), "its length is another one"))
            }
        })
        .await
    }

    /// Removes an object; one that is gone already is fine.
    pub(crate) async fn delete(&self, path: &Path) -> Result<(), Error> {
        within(REQUEST_TIMEOUT, "delete", path, async {
            match self.inner.delete(path).await {
                Ok(()) => Ok(()),
                Err(source) => match self.failed("delete", path, &source) {
                    Error::Missing { .. } => Ok(()),
                    error => Err(error),
                },
            }
        })
        .await
    }

    /// The names directly below `prefix` that have something below them.
    pub(crate) async fn children(&self, prefix: &Path) -> Result<Vec<String>, Error> {
        within(LIST_TIMEOUT, "list", prefix, async {
            let listed = self.inner.list_with_delimiter(Some(prefix)).await;
            let listed = listed.map_err(|source| self.failed("list", prefix, &source))?;
            Ok(listed.common_prefixes.iter().filter_map(|path| path.filename()).map(str::to_owned).collect())
        })
        .await
    }

    /// Calls `visit` with every object below `prefix` whose path is above `after`, in any order.
    pub(crate) async fn list(
        &self,
        prefix: &Path,
        after: Option<&Path>,
        mut visit: impl FnMut(ObjectMeta),
    ) -> Result<(), Error> {
        let mut objects: BoxStream<'_, _> = match after {
            Some(after) => self.inner.list_with_offset(Some(prefix), after),
            None => self.inner.list(Some(prefix)),
        };
        loop {
            let next = async { Ok(objects.next().await) };
            match within(STALL_TIMEOUT, "list", prefix, next).await? {
                Some(Ok(object)) => visit(object),
                Some(Err(source)) => return Err(self.failed("list", prefix, &source)),
                None => return Ok(()),
            }
        }
    }

    /// The whole of a small object, never more than `limit` bytes of it.
    async fn whole(&self, path: &Path, result: GetResult, limit: u64) -> Result<Bytes, Error> {
        let too_large = |bytes| Error::TooLarge { path: path.to_string(), bytes, limit };
        if result.meta.size > limit {
            return Err(too_large(result.meta.size));
        }
        if let GetResultPayload::File(..) = result.payload {
            return result.bytes().await.map_err(|source| self.failed("read", path, &source));
        }
        let mut pieces = result.into_stream();
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|source| self.failed("read", path, &source))?;
            if (bytes.len() + piece.len()) as u64 > limit {
                return Err(too_large((bytes.len() + piece.len()) as u64));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.into())
    }

    /// An error of the backend as one of ours.
    fn failed(&self, operation: &'static str, path: &Path, source: &object_store::Error) -> Error {
        use object_store::Error as Source;
        let Refusal { cause, said, told } = Refusal::of(source);
        let path = path.to_string();
        match (cause, self.bucket.as_deref()) {
            (Some(Cause::NoBucket), Some(Named { service, bucket, location })) => {
                Error::NoBucket { service: *service, bucket: bucket.clone(), location: location.clone() }
            }
            (Some(Cause::OtherRegion), Some(Named { location, .. })) => {
                Error::OtherRegion { location: location.clone(), said }
            }
            (Some(Cause::NoCredentials), Some(Named { service, location, .. })) => {
                Error::NoCredentials { service: *service, location: location.clone(), told }
            }
            // An empty object has no range at all.
            (Some(Cause::TooShort), _) => corrupt(&path, "it is cut short"),
            (Some(Cause::Denied), _) => Error::Denied { operation, path, said },
            _ => match source {
                Source::NotFound { .. } => Error::Missing { path },
                Source::AlreadyExists { .. } => Error::Exists { path },
                _ => Error::Request { operation, path, told },
            },
        }
    }
}

/// How long an upload of so many bytes may take.
const fn upload_timeout(bytes: usize) -> Duration {
    UPLOAD_TIMEOUT.saturating_add(Duration::from_secs(bytes as u64 / UPLOAD_RATE_MIN))
}

async fn within<T>(
    bound: Duration,
    operation: &'static str,
    path: &Path,
    request: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(bound, request).await.unwrap_or_else(|_| {
        Err(Error::Timeout { operation, path: path.to_string(), seconds: bound.as_secs() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_has_time_by_its_size() {
        for (bytes, seconds) in [(0, 15), (2_000, 15), (2 * PART_BYTES, 79), (PUT_BYTES_MAX as usize, 143)] {
            assert_eq!(upload_timeout(bytes), Duration::from_secs(seconds), "{bytes}");
        }
    }
}
