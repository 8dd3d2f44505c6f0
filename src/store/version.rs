//! Objects that other programs write: each is read as one version of it, or not at all.

use std::ops::Range;

use bytes::Bytes;
use futures::StreamExt as _;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStoreExt as _, path::Path};

use super::{
    client::{REQUEST_TIMEOUT, STALL_TIMEOUT, Store, within},
    error::Error,
};

/// One version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectVersion {
    pub(crate) path: Path,
    pub(crate) bytes: u64,
    /// Without quotes: a service may write them in one answer and not in another.
    etag: Option<String>,
    modified_unix_seconds: i64,
}

impl From<ObjectMeta> for ObjectVersion {
    fn from(meta: ObjectMeta) -> Self {
        Self {
            path: meta.location,
            bytes: meta.size,
            etag: meta.e_tag.map(|etag| etag.trim_matches('"').to_owned()),
            // Headers have whole seconds, lists have fractions.
            modified_unix_seconds: meta.last_modified.timestamp(),
        }
    }
}

impl Store {
    /// The current version of an object, or `None` when it does not exist.
    pub(crate) async fn version(&self, path: &Path) -> Result<Option<ObjectVersion>, Error> {
        within(REQUEST_TIMEOUT, "read", path, async {
            match self.inner.head(path).await {
                Ok(found) => Ok(Some(found.into())),
                Err(source) => match self.failed("read", path, &source) {
                    Error::Missing { .. } => Ok(None),
                    error => Err(error),
                },
            }
        })
        .await
    }

    /// The current version of every object below `prefix` that `is_wanted` accepts, at most `count_max`, in any
    /// order; `None` when there are more.
    pub(crate) async fn versions(
        &self,
        prefix: &Path,
        count_max: usize,
        is_wanted: impl Fn(&Path) -> bool,
    ) -> Result<Option<Vec<ObjectVersion>>, Error> {
        let mut objects = self.inner.list(Some(prefix));
        let mut found = Vec::new();
        loop {
            let next = async { Ok(objects.next().await) };
            match within(STALL_TIMEOUT, "list", prefix, next).await? {
                Some(Ok(object)) if !is_wanted(&object.location) => {}
                Some(Ok(_)) if found.len() == count_max => return Ok(None),
                Some(Ok(object)) => found.push(object.into()),
                Some(Err(source)) => return Err(self.failed("list", prefix, &source)),
                None => return Ok(Some(found)),
            }
        }
    }

    /// Reads a part of a version; `None` when the object has another version now.
    pub(crate) async fn read_version(
        &self,
        version: &ObjectVersion,
        range: Range<u64>,
    ) -> Result<Option<Bytes>, Error> {
        let (path, length) = (&version.path, range.end - range.start);
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let result = within(REQUEST_TIMEOUT, "read", path, async {
            match self.inner.get_opts(path, options).await {
                Ok(result) => Ok(Some(result)),
                // An object that has become shorter does not have the range.
                Err(source) => match self.failed("read", path, &source) {
                    Error::Missing { .. } | Error::Corrupt { .. } => Ok(None),
                    error => Err(error),
                },
            }
        });
        let Some(result) = result.await?.filter(|result| version.is_that_of(&result.meta)) else {
            return Ok(None);
        };
        self.read_exactly(path, result, length).await.map(Some)
    }
}

impl ObjectVersion {
    fn is_that_of(&self, meta: &ObjectMeta) -> bool {
        let now = Self::from(meta.clone());
        match (&self.etag, &now.etag) {
            (Some(then), Some(now_etag)) => then == now_etag && self.bytes == now.bytes,
            _ => self == &now,
        }
    }
}
