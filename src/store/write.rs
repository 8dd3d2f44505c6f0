//! Writing and deleting objects.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use object_store::{ObjectStoreExt, PutMode, PutPayload, WriteMultipart, path::Path};

use super::{
    client::{REQUEST_TIMEOUT, Store, within},
    error::Error,
};

/// Timeout of an upload, in addition to the time that its bytes take at [`UPLOAD_RATE_MIN`].
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(15);
/// The slowest upload that does not time out, in bytes a second.
const UPLOAD_RATE_MIN: u64 = 512 * 1024;
/// Largest object put in one request; larger ones go in parts, so that a slow link repeats little of them.
const PUT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest wait for the next answer of a bulk deletion: a service answers for up to 1,000 objects at once.
const BULK_TIMEOUT: Duration = Duration::from_mins(1);
/// Bytes of one part of a larger upload; S3 requires at least 5 MiB.
const PART_BYTES: usize = 16 * 1024 * 1024;

impl Store {
    /// Writes an object, in parts if it is large. An object at `path` is overwritten.
    pub(crate) async fn put(&self, path: &Path, bytes: Bytes) -> Result<(), Error> {
        if bytes.len() > PUT_BYTES_MAX {
            self.put_parts(path, bytes).await
        } else {
            self.put_with(PutMode::Overwrite, path, bytes).await
        }
    }

    /// Writes a small object where none exists. After any error the outcome is unknown.
    pub(crate) async fn create(&self, path: &Path, bytes: Bytes) -> Result<(), Error> {
        self.put_with(PutMode::Create, path, bytes).await
    }

    async fn put_with(&self, mode: PutMode, path: &Path, bytes: Bytes) -> Result<(), Error> {
        self.prepare_directory(path);
        within(upload_timeout(bytes.len()), "write", path, async {
            let put = self.inner.put_opts(path, PutPayload::from_bytes(bytes), mode.into()).await;
            put.map(drop).map_err(|source| self.failed("write", path, &source))
        })
        .await
    }

    /// Writes a large object in parts; the bound in time is on each part.
    async fn put_parts(&self, path: &Path, mut bytes: Bytes) -> Result<(), Error> {
        self.prepare_directory(path);
        let failed = |source| self.failed("write", path, &source);
        let upload = within(REQUEST_TIMEOUT, "write", path, async {
            self.inner.put_multipart(path).await.map_err(failed)
        })
        .await?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        // Two parts are on their way at once.
        let parts_timeout = upload_timeout(2 * PART_BYTES);
        while !bytes.is_empty() {
            upload.put(bytes.split_to(PART_BYTES.min(bytes.len())));
            let capacity = async { upload.wait_for_capacity(1).await.map_err(failed) };
            if let Err(error) = within(parts_timeout, "write", path, capacity).await {
                // Best effort: the store's own life cycle rules remove what is left.
                let _ = tokio::time::timeout(REQUEST_TIMEOUT, upload.abort()).await;
                return Err(error);
            }
        }
        let finish = async { upload.finish().await.map(drop).map_err(failed) };
        within(parts_timeout, "write", path, finish).await
    }

    /// Deletes an object; one that does not exist is no error.
    pub(crate) async fn delete(&self, path: &Path) -> Result<(), Error> {
        self.delete_all(vec![path.clone()]).await
    }

    /// Deletes objects, where the service allows it many with one request; one that does not exist is no error.
    /// After a failure it goes on with the others, and returns the first failure.
    pub(crate) async fn delete_all(&self, paths: Vec<Path>) -> Result<(), Error> {
        let Some(first) = paths.first().cloned() else { return Ok(()) };
        let mut deleting = self.inner.delete_stream(stream::iter(paths.into_iter().map(Ok)).boxed());
        let mut outcome = Ok(());
        loop {
            let next = async { Ok(deleting.next().await) };
            match within(BULK_TIMEOUT, "delete", &first, next).await? {
                Some(Ok(_)) => {}
                Some(Err(source)) => match self.failed("delete", &first, &source) {
                    Error::Missing(_) => {}
                    error => outcome = outcome.and(Err(error)),
                },
                None => return outcome,
            }
        }
    }
}

/// How long an upload of so many bytes may take.
const fn upload_timeout(bytes: usize) -> Duration {
    UPLOAD_TIMEOUT.saturating_add(Duration::from_secs(bytes as u64 / UPLOAD_RATE_MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upload_timeout_grows_with_the_size() {
        for (bytes, seconds) in [(0, 15), (2_000, 15), (2 * PART_BYTES, 79), (PUT_BYTES_MAX, 143)] {
            assert_eq!(upload_timeout(bytes), Duration::from_secs(seconds), "{bytes}");
        }
    }
}
