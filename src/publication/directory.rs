//! Segments on the local disk: fetched, verified, read, collected.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use super::{
    buffer::{Buffer, allocate},
    error::{Error, blocking},
    files::{ContentDirectory, Draft},
    store::Store,
    transfer::{Distance, download},
};
use crate::{
    domain::{digest::Digest, limits::SEGMENT_BYTES_MAX, manifest::SegmentReference},
    support::clock::Clock,
};

/// The directory `segments` of a node: `{sha256}.arrow` files. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SegmentDirectory(ContentDirectory);

impl SegmentDirectory {
    /// Opens, and where needed creates (0700), the directory at `path`. Blocks.
    pub fn open(path: &Path, clock: Clock) -> Result<Self, Error> {
        ContentDirectory::open(path, "arrow", clock).map(Self)
    }

    /// Where a segment stands, whether or not it is there.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.0.path(digest)
    }

    /// Whether a file of the right name and length is there. Its content is not looked at.
    pub fn has(&self, reference: &SegmentReference) -> bool {
        self.0.has(&reference.sha256, reference.bytes)
    }

    /// The local file of a segment, fetched from the store when it is not there; memory stays small.
    /// A file that is there is not read: [`SegmentDirectory::read`] verifies. The file stays for
    /// at least an hour.
    pub async fn fetch(&self, store: &Store, reference: &SegmentReference) -> Result<PathBuf, Error> {
        if self.has(reference) {
            self.0.touch(&reference.sha256);
            return Ok(self.path(&reference.sha256));
        }
        let directory = self.0.clone();
        let path = self.path(&reference.sha256);
        let start = move |_| directory.draft();
        let finish = move |draft: Draft| draft.keep(&path).map(|()| path);
        download(store, reference, start, |draft, _, bytes| draft.write(bytes), finish).await
    }

    /// Reads the store's object, whatever is here, and verifies it. It is kept unless the store is
    /// near: see [`SegmentDirectory::load`].
    pub(super) async fn read_back(&self, store: &Store, reference: &SegmentReference) -> Result<(), Error> {
        let directory = self.0.clone();
        let path = self.path(&reference.sha256);
        let start = move |distance| match distance {
            Distance::Near => Ok(None),
            Distance::Far => directory.draft().map(Some),
        };
        let write = |draft: &mut Option<Draft>, _, bytes: &[u8]| {
            draft.as_mut().map_or(Ok(()), |draft| draft.write(bytes))
        };
        let finish = move |draft: Option<Draft>| draft.map_or(Ok(()), |draft| draft.keep(&path));
        download(store, reference, start, write, finish).await
    }

    /// The bytes of a segment that is here, verified again. A damaged file is removed and reported
    /// as [`Error::Corrupt`], an absent one as [`Error::Missing`].
    pub async fn read(&self, reference: &SegmentReference) -> Result<Buffer, Error> {
        let directory = self.0.clone();
        let (digest, bytes) = (reference.sha256, reference.bytes);
        blocking(move || {
            let buffer = directory.read_verified(&digest, SEGMENT_BYTES_MAX)?;
            if buffer.as_slice().len() as u64 == bytes {
                Ok(buffer)
            } else {
                Err(directory.damaged(&digest, "its length is another one"))
            }
        })
        .await
    }

    /// The bytes of a segment, verified: from the local file, else from the store. What came over a
    /// network is kept here too. What is in a directory of this machine is not: writing a second
    /// copy would cost more than all the rest, and [`SegmentDirectory::fetch`] can do it once the
    /// content is served.
    pub async fn load(&self, store: &Store, reference: &SegmentReference) -> Result<Buffer, Error> {
        match self.read(reference).await {
            Ok(buffer) => return Ok(buffer),
            Err(Error::Missing { .. }) => {}
            Err(error) => tracing::warn!(
                code = error.code(),
                segment = %reference.sha256,
                "a local segment cannot be read; it is fetched again"
            ),
        }
        let directory = self.0.clone();
        let path = self.path(&reference.sha256);
        let (object, bytes) = (reference.object.clone(), reference.bytes);
        let start = move |distance| {
            let draft = if distance == Distance::Far { Some(directory.draft()?) } else { None };
            Ok((draft, allocate(&object, bytes)?))
        };
        let write = |(draft, buffer): &mut (Option<Draft>, Buffer), offset: u64, bytes: &[u8]| {
            let from = offset as usize;
            buffer.as_mut_slice()[from..from + bytes.len()].copy_from_slice(bytes);
            draft.as_mut().map_or(Ok(()), |draft| draft.write(bytes))
        };
        let finish = move |(draft, buffer): (Option<Draft>, Buffer)| {
            draft.map_or(Ok(()), |draft| draft.keep(&path)).map(|()| buffer)
        };
        download(store, reference, start, write, finish).await
    }

    /// Makes segments and their names durable; those that are gone are passed over.
    pub async fn sync(&self, digests: Vec<Digest>) -> Result<(), Error> {
        self.0.sync(digests).await
    }

    /// Removes segments that `keep` does not name, and files left by a killed process; nothing that
    /// was written or used within the last hour. Only the server of a node may call it. Returns the
    /// number of files removed.
    pub async fn collect(&self, keep: HashSet<Digest>) -> Result<usize, Error> {
        self.0.collect(keep).await
    }
}
