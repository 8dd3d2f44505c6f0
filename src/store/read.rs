//! Reading and listing objects.

use std::{fs::File, ops::Range, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt, stream::BoxStream};
use object_store::{
    GetOptions, GetRange, GetResult, GetResultPayload, ObjectMeta, ObjectStoreExt, path::Path,
};

use super::{
    client::{REQUEST_TIMEOUT, STALL_TIMEOUT, Store, within},
    error::{Error, corrupt},
};

/// Bound of a list of directories, which a service gives in pages.
const LIST_TIMEOUT: Duration = Duration::from_mins(2);

/// The content of a small object.
pub(crate) struct SmallObject {
    pub(crate) bytes: Bytes,
    /// Identifies this content in a later conditional read.
    pub(crate) etag: Option<String>,
}

/// The result of a conditional read.
pub(crate) enum ConditionalRead {
    Unchanged,
    Missing,
    Found(SmallObject),
}

/// An object as the store lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredObject {
    pub(crate) path: Path,
    /// When it was last written, by the store's clock.
    pub(crate) modified: DateTime<Utc>,
    pub(crate) bytes: u64,
}

impl From<ObjectMeta> for StoredObject {
    fn from(meta: ObjectMeta) -> Self {
        Self { path: meta.location, modified: meta.last_modified, bytes: meta.size }
    }
}

impl Store {
    /// Reads an object of at most `bytes_max` bytes, or `None` when it does not exist.
    pub(crate) async fn read_small(&self, path: &Path, bytes_max: u64) -> Result<Option<SmallObject>, Error> {
        match self.read_small_if_changed(path, None, bytes_max).await? {
            ConditionalRead::Found(object) => Ok(Some(object)),
            ConditionalRead::Missing | ConditionalRead::Unchanged => Ok(None),
        }
    }

    /// Reads an object of at most `bytes_max` bytes, unless it still has `etag`.
    pub(crate) async fn read_small_if_changed(
        &self,
        path: &Path,
        etag: Option<&str>,
        bytes_max: u64,
    ) -> Result<ConditionalRead, Error> {
        let options = GetOptions { if_none_match: etag.map(str::to_owned), ..GetOptions::default() };
        let read = async {
            let result = match self.inner.get_opts(path, options).await {
                Ok(result) => result,
                Err(object_store::Error::NotModified { .. }) => return Ok(ConditionalRead::Unchanged),
                Err(source) => match self.failed("read", path, &source) {
                    Error::Missing(_) => return Ok(ConditionalRead::Missing),
                    error => return Err(error),
                },
            };
            let etag = result.meta.e_tag.clone();
            Ok(ConditionalRead::Found(SmallObject {
                bytes: self.collect(path, result, bytes_max).await?,
                etag,
            }))
        };
        within(REQUEST_TIMEOUT, "read", path, read).await
    }

    /// Collects the content of a small object, and never more than `bytes_max` bytes of it.
    async fn collect(&self, path: &Path, result: GetResult, bytes_max: u64) -> Result<Bytes, Error> {
        let too_large = |bytes| Error::TooLarge { path: path.to_string(), bytes, limit: bytes_max };
        if result.meta.size > bytes_max {
            return Err(too_large(result.meta.size));
        }
        if let GetResultPayload::File(..) = result.payload {
            return result.bytes().await.map_err(|source| self.failed("read", path, &source));
        }
        let mut pieces = result.into_stream();
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|source| self.failed("read", path, &source))?;
            if (bytes.len() + piece.len()) as u64 > bytes_max {
                return Err(too_large((bytes.len() + piece.len()) as u64));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.into())
    }

    /// Opens the file of an object of `bytes` bytes; `None` when the objects are not files of this machine.
    pub(crate) async fn open_file(&self, path: &Path, bytes: u64) -> Result<Option<File>, Error> {
        if !self.is_local() {
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

    /// Reads a part of an object of `object_bytes` bytes. The bound in time is on each piece of it.
    pub(crate) async fn read_range(
        &self,
        path: &Path,
        range: Range<u64>,
        object_bytes: u64,
    ) -> Result<Bytes, Error> {
        let length = range.end - range.start;
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let result = within(REQUEST_TIMEOUT, "read", path, async {
            self.inner.get_opts(path, options).await.map_err(|source| self.failed("read", path, &source))
        })
        .await?;
        if result.meta.size != object_bytes {
            return Err(corrupt(path.as_ref(), "its length is another one"));
        }
        self.read_exactly(path, result, length).await
    }

    /// Reads the answer to a request of `length` bytes of an object.
    pub(super) async fn read_exactly(
        &self,
        path: &Path,
        result: GetResult,
        length: u64,
    ) -> Result<Bytes, Error> {
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

    /// Checks that an object exists and has `bytes` bytes.
    ///
    /// # Errors
    /// [`Error::Missing`], or [`Error::Corrupt`] for another length.
    pub(crate) async fn check_length(&self, path: &Path, bytes: u64) -> Result<(), Error> {
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

    /// When an object was last written, by the store's clock; `None` when it does not exist.
    pub(crate) async fn modified(&self, path: &Path) -> Result<Option<DateTime<Utc>>, Error> {
        within(REQUEST_TIMEOUT, "read", path, async {
            match self.inner.head(path).await {
                Ok(found) => Ok(Some(found.last_modified)),
                Err(source) => match self.failed("read", path, &source) {
                    Error::Missing(_) => Ok(None),
                    error => Err(error),
                },
            }
        })
        .await
    }

    /// Lists the names directly below `prefix` that have objects below them.
    pub(crate) async fn list_directories(&self, prefix: &Path) -> Result<Vec<String>, Error> {
        within(LIST_TIMEOUT, "list", prefix, async {
            let listed = self.inner.list_with_delimiter(Some(prefix)).await;
            let listed = listed.map_err(|source| self.failed("list", prefix, &source))?;
            Ok(listed.common_prefixes.iter().filter_map(|path| path.filename()).map(str::to_owned).collect())
        })
        .await
    }

    /// Lists the objects below `prefix` whose path is below `end`. A service lists in order, so the others are not
    /// read.
    pub(crate) async fn list_below(&self, prefix: &Path, end: &Path) -> Result<Vec<StoredObject>, Error> {
        let mut objects = self.inner.list(Some(prefix));
        let mut below = Vec::new();
        loop {
            let next = async { Ok(objects.next().await) };
            match within(STALL_TIMEOUT, "list", prefix, next).await? {
                Some(Ok(object)) if object.location < *end => below.push(object.into()),
                // A directory has no order.
                Some(Ok(_)) if self.is_local() => {}
                Some(Err(source)) => return Err(self.failed("list", prefix, &source)),
                Some(Ok(_)) | None => return Ok(below),
            }
        }
    }

    /// Calls `visit` with every object below `prefix` whose path is above `after`, in any order.
    pub(crate) async fn list(
        &self,
        prefix: &Path,
        after: Option<&Path>,
        mut visit: impl FnMut(StoredObject),
    ) -> Result<(), Error> {
        let mut objects: BoxStream<'_, _> = match after {
            Some(after) => self.inner.list_with_offset(Some(prefix), after),
            None => self.inner.list(Some(prefix)),
        };
        loop {
            let next = async { Ok(objects.next().await) };
            match within(STALL_TIMEOUT, "list", prefix, next).await? {
                Some(Ok(object)) => visit(object.into()),
                Some(Err(source)) => return Err(self.failed("list", prefix, &source)),
                None => return Ok(()),
            }
        }
    }
}
