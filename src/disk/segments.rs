//! Segments on the local disk: fetched, verified, read, collected.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::disk::budget::{Claim, Need, Room};
use crate::disk::buffer::{Buffer, allocate};
use crate::disk::content::{ContentDirectory, Draft};
use crate::disk::download::{Distance, download};
use crate::store::Store;
use crate::store::error::{Error, blocking};
use crate::{
    domain::{digest::Digest, limits::SEGMENT_BYTES_MAX, manifest::SegmentReference},
    support::clock::Clock,
};

/// The directory `segments` of a node: `{sha256}.arrow` files. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SegmentDirectory {
    files: ContentDirectory,
    room: Arc<Room>,
}

/// A segment on its way into the directory.
struct Arriving {
    draft: Draft,
    claim: Claim,
}

impl Arriving {
    fn keep(self, path: &Path) -> Result<(), Error> {
        self.draft.keep(path)?;
        self.claim.keep();
        Ok(())
    }
}

impl SegmentDirectory {
    /// Opens, and where needed creates (0700), the directory at `path`. Blocks.
    pub fn open(path: &Path, clock: Clock) -> Result<Self, Error> {
        let files = ContentDirectory::open(path, "arrow", clock)?;
        Ok(Self { files, room: Arc::new(Room::new(u64::MAX)) })
    }

    /// The same directory, with at most `bytes_max` bytes of segments. Handles cloned before keep their
    /// own bound.
    #[must_use]
    pub fn bounded(self, bytes_max: u64) -> Self {
        Self { room: Arc::new(Room::new(bytes_max)), ..self }
    }

    /// From now on this process may remove what [`SegmentDirectory::need`] does not name, when room is
    /// wanted. Only the server of a node may call it.
    pub fn own(&self) {
        self.room.own();
    }

    /// `digests` are what `need` needs from now on: they stay, however little room there is. Only the
    /// server of a node may call it.
    pub fn need(&self, need: Need, digests: impl IntoIterator<Item = Digest>) {
        self.room.need(need, digests.into_iter().collect());
    }

    /// Makes room for those of `segments` that are not here, if that can be.
    ///
    /// # Errors
    /// [`Error::NoRoom`] when what is needed, and they, are more than the bound, or than the disk has.
    pub async fn make_room(&self, segments: &[SegmentReference]) -> Result<(), Error> {
        let (files, room, segments) = (self.files.clone(), Arc::clone(&self.room), segments.to_vec());
        blocking(move || {
            let is_lacking = |segment: &&SegmentReference| !files.has(&segment.sha256, segment.bytes);
            match segments.iter().filter(is_lacking).map(|segment| segment.bytes).sum() {
                0 => Ok(()),
                bytes => room.check(&files, bytes),
            }
        })
        .await
    }

    /// Bytes of segments here, as far as they were counted, and the bound.
    pub fn usage(&self) -> (u64, u64) {
        self.room.usage()
    }

    /// Begins a file of `bytes` bytes. Blocks.
    fn arrive(&self, bytes: u64) -> Result<Arriving, Error> {
        let claim = self.room.claim(&self.files, bytes)?;
        Ok(Arriving { draft: self.files.draft()?, claim })
    }

    /// As [`SegmentDirectory::arrive`] for what is worth keeping, but can be had again: `None` when there
    /// is no room. Blocks.
    fn arrive_if_room(&self, bytes: u64) -> Result<Option<Arriving>, Error> {
        match self.arrive(bytes) {
            Ok(arriving) => Ok(Some(arriving)),
            Err(Error::NoRoom { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Where a segment stands, whether or not it is there.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.files.path(digest)
    }

    /// Whether a file of the right name and length is there. Its content is not looked at.
    pub fn has(&self, reference: &SegmentReference) -> bool {
        self.files.has(&reference.sha256, reference.bytes)
    }

    /// The local file of a segment, fetched from the store when it is not there; memory stays small.
    /// A file that is there is not read: [`SegmentDirectory::read`] verifies. The file stays for
    /// at least an hour.
    pub async fn fetch(&self, store: &Store, reference: &SegmentReference) -> Result<PathBuf, Error> {
        if self.has(reference) {
            self.files.touch(&reference.sha256);
            return Ok(self.path(&reference.sha256));
        }
        let (directory, bytes) = (self.clone(), reference.bytes);
        let path = self.path(&reference.sha256);
        let start = move |_| directory.arrive(bytes);
        let write = |arriving: &mut Arriving, _, bytes: &[u8]| arriving.draft.write(bytes);
        let finish = move |arriving: Arriving| arriving.keep(&path).map(|()| path);
        download(store, reference, start, write, finish).await
    }

    /// Reads the store's object, whatever is here, and verifies it. It is kept unless the store is
    /// near: see [`SegmentDirectory::load`].
    pub(crate) async fn read_back(&self, store: &Store, reference: &SegmentReference) -> Result<(), Error> {
        let (directory, bytes) = (self.clone(), reference.bytes);
        let path = self.path(&reference.sha256);
        let start = move |distance| match distance {
            Distance::Near => Ok(None),
            Distance::Far => directory.arrive_if_room(bytes),
        };
        let write = |arriving: &mut Option<Arriving>, _, bytes: &[u8]| {
            arriving.as_mut().map_or(Ok(()), |arriving| arriving.draft.write(bytes))
        };
        let finish =
            move |arriving: Option<Arriving>| arriving.map_or(Ok(()), |arriving| arriving.keep(&path));
        download(store, reference, start, write, finish).await
    }

    /// The bytes of a segment that is here, verified again. A damaged file is removed and reported
    /// as [`Error::Corrupt`], an absent one as [`Error::Missing`].
    pub async fn read(&self, reference: &SegmentReference) -> Result<Buffer, Error> {
        let directory = self.files.clone();
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
    /// network is kept here too, when there is room. What is in a directory of this machine is not: writing a second
    /// copy would cost more than all the rest, and [`SegmentDirectory::fetch`] can do it once the
    /// content is served.
    pub async fn load(&self, store: &Store, reference: &SegmentReference) -> Result<Buffer, Error> {
        match self.read(reference).await {
            Ok(buffer) => {
                self.files.touch(&reference.sha256);
                return Ok(buffer);
            }
            Err(Error::Missing { .. }) => {}
            Err(error) => tracing::warn!(
                code = error.code(),
                segment = %reference.sha256,
                "a local segment cannot be read; it is fetched again"
            ),
        }
        let directory = self.clone();
        let path = self.path(&reference.sha256);
        let (object, bytes) = (reference.object.clone(), reference.bytes);
        let start = move |distance| {
            let is_far = distance == Distance::Far;
            let arriving = if is_far { directory.arrive_if_room(bytes)? } else { None };
            Ok((arriving, allocate(&object, bytes)?))
        };
        let write = |(arriving, buffer): &mut (Option<Arriving>, Buffer), offset: u64, bytes: &[u8]| {
            let from = offset as usize;
            buffer.as_mut_slice()[from..from + bytes.len()].copy_from_slice(bytes);
            arriving.as_mut().map_or(Ok(()), |arriving| arriving.draft.write(bytes))
        };
        let finish = move |(arriving, buffer): (Option<Arriving>, Buffer)| {
            arriving.map_or(Ok(()), |arriving| arriving.keep(&path)).map(|()| buffer)
        };
        download(store, reference, start, write, finish).await
    }

    /// Makes segments and their names durable; those that are gone are passed over.
    pub async fn sync(&self, digests: Vec<Digest>) -> Result<(), Error> {
        self.files.sync(digests).await
    }

    /// Removes segments that `keep` does not name, and files left by a killed process; nothing that
    /// was written or used within the last hour. Only the server of a node may call it. Returns the
    /// number of files removed.
    pub async fn collect(&self, keep: HashSet<Digest>) -> Result<usize, Error> {
        let collected = self.files.collect(keep).await;
        self.room.count_again();
        collected
    }
}
