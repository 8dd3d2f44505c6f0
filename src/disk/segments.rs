//! The local directory of segments.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    budget::{DiskBudget, SegmentUser},
    content::ContentDirectory,
    download::{Destination, ReservedFile, download},
    error::Error,
};
use crate::{
    domain::{Digest, SegmentReference, limits::SEGMENT_BYTES_MAX},
    segment::SegmentBuffer,
    store::{Store, blocking, corrupt},
    support::clock::Clock,
};

/// The directory `segments` of a node, with files `{sha256}.arrow`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SegmentDirectory {
    files: ContentDirectory,
    budget: Arc<DiskBudget>,
}

impl SegmentDirectory {
    /// Opens the directory at `path`, created with mode 0700 if needed. Its budget is not limited. Blocks.
    pub fn open(path: &Path, clock: Clock) -> Result<Self, Error> {
        let files = ContentDirectory::open(path, "arrow", clock)?;
        Ok(Self { files, budget: Arc::new(DiskBudget::new(u64::MAX)) })
    }

    /// The same directory with a budget of `bytes_max` bytes. Handles cloned before keep their own budget.
    #[must_use]
    pub fn with_budget(self, bytes_max: u64) -> Self {
        Self { budget: Arc::new(DiskBudget::new(bytes_max)), ..self }
    }

    /// Lets this process delete segments without a [`SegmentUser`] when the budget is exhausted. Only a
    /// node's server may call it.
    pub fn allow_eviction(&self) {
        self.budget.allow_eviction();
    }

    /// Replaces the segments that `user` needs: they are never evicted. Only a node's server may call it.
    pub fn set_in_use(&self, user: SegmentUser, digests: impl IntoIterator<Item = Digest>) {
        self.budget.set_in_use(user, digests.into_iter().collect());
    }

    /// Ensures that the budget has space for those of `segments` that are not local, evicting others.
    ///
    /// # Errors
    /// [`Error::BudgetExceeded`].
    pub async fn ensure_space_for(&self, segments: &[SegmentReference]) -> Result<(), Error> {
        let (files, budget, segments) = (self.files.clone(), Arc::clone(&self.budget), segments.to_vec());
        blocking(move || {
            let is_missing = |segment: &&SegmentReference| !files.has(&segment.sha256, segment.bytes);
            match segments.iter().filter(is_missing).map(|segment| segment.bytes).sum() {
                0 => Ok(()),
                bytes => budget.check(&files, bytes),
            }
        })
        .await
    }

    /// Bytes of local segments, as far as they were counted, and the budget.
    pub fn usage(&self) -> (u64, u64) {
        self.budget.usage()
    }

    /// The path of a segment's file, whether or not it exists.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.files.path(digest)
    }

    /// Whether a file of the right name and length exists. Its content is not verified.
    pub fn has(&self, reference: &SegmentReference) -> bool {
        self.files.has(&reference.sha256, reference.bytes)
    }

    /// Returns the local file of a segment, which is downloaded if it does not exist. Memory stays small.
    /// A file that exists is not verified: [`SegmentDirectory::read`] does it. The file is kept for at least
    /// an hour.
    pub async fn fetch(&self, store: &Store, reference: &SegmentReference) -> Result<PathBuf, Error> {
        if self.has(reference) {
            self.files.touch(&reference.sha256);
        } else {
            let (directory, expected) = (self.clone(), reference.clone());
            let open = move || Ok(Destination { file: Some(directory.create(&expected)?), buffer: None });
            download(store, reference, open).await?;
        }
        Ok(self.path(&reference.sha256))
    }

    /// Reads and verifies the store's object, even if there is a local file. A local copy is kept as
    /// [`SegmentDirectory::load`] does.
    pub(crate) async fn read_back(&self, store: &Store, reference: &SegmentReference) -> Result<(), Error> {
        let (directory, expected, is_local) = (self.clone(), reference.clone(), store.is_local());
        let open =
            move || Ok(Destination { file: directory.create_copy(&expected, is_local)?, buffer: None });
        download(store, reference, open).await.map(drop)
    }

    /// Reads and verifies a local segment.
    ///
    /// # Errors
    /// [`Error::Missing`], or [`Error::Corrupt`] for a damaged file, which is deleted.
    pub async fn read(&self, reference: &SegmentReference) -> Result<SegmentBuffer, Error> {
        let files = self.files.clone();
        let (digest, bytes) = (reference.sha256, reference.bytes);
        blocking(move || {
            let buffer = files.read_verified(&digest, SEGMENT_BYTES_MAX)?;
            if buffer.as_slice().len() as u64 == bytes {
                Ok(buffer)
            } else {
                Err(files.delete_damaged(&digest, "its length is another one"))
            }
        })
        .await
    }

    /// Reads and verifies a segment: from the local file, otherwise from the store.
    ///
    /// A segment from a remote store is kept here if the budget has space. A segment of a local store is not: a
    /// second copy would cost more than the rest of the work. [`SegmentDirectory::fetch`] makes it once the
    /// content is served.
    pub async fn load(&self, store: &Store, reference: &SegmentReference) -> Result<SegmentBuffer, Error> {
        match self.read(reference).await {
            Ok(buffer) => {
                self.files.touch(&reference.sha256);
                return Ok(buffer);
            }
            Err(Error::Missing(_)) => {}
            Err(error) => tracing::warn!(
                code = error.code(),
                segment = %reference.sha256,
                "a local segment cannot be read; it is fetched again"
            ),
        }
        let (directory, expected, is_local) = (self.clone(), reference.clone(), store.is_local());
        let too_long = |object: &str| corrupt(object, "it is too long");
        let open = move || {
            let file = directory.create_copy(&expected, is_local)?;
            let buffer = SegmentBuffer::with_len(expected.bytes).map_err(|_| too_long(&expected.object))?;
            Ok(Destination { file, buffer: Some(buffer) })
        };
        let buffer = download(store, reference, open).await?;
        buffer.ok_or_else(|| too_long(&reference.object).into())
    }

    /// Begins the file of a segment. Blocks.
    fn create(&self, reference: &SegmentReference) -> Result<ReservedFile, Error> {
        let reservation = self.budget.reserve(&self.files, reference.bytes)?;
        let file = self.files.create_temporary()?;
        Ok(ReservedFile { file, reservation, path: self.path(&reference.sha256) })
    }

    /// Begins the file of a segment that can be downloaded again: `None` if the store is local or the budget
    /// has no space. Blocks.
    fn create_copy(
        &self,
        reference: &SegmentReference,
        is_local: bool,
    ) -> Result<Option<ReservedFile>, Error> {
        if is_local {
            return Ok(None);
        }
        match self.create(reference) {
            Ok(file) => Ok(Some(file)),
            Err(Error::BudgetExceeded { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes segments and their names durable; those that do not exist are skipped.
    pub async fn sync(&self, digests: Vec<Digest>) -> Result<(), Error> {
        self.files.sync(digests).await
    }

    /// Deletes segments that are not in `referenced`, and files of killed processes. Files written or used
    /// within the last hour stay. Only a node's server may call it. Returns the number of deleted files.
    pub async fn delete_unreferenced(&self, referenced: HashSet<Digest>) -> Result<usize, Error> {
        let deleted = self.files.delete_unreferenced(referenced).await;
        self.budget.count_again();
        deleted
    }
}
