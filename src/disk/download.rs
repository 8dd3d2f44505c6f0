//! Downloads a segment from the store to memory, a local file, or both. Publishers and replicas use the same
//! code, which checks length and SHA-256 of every byte.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    pin::pin,
};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use tokio::sync::mpsc;

use super::{
    budget::Reservation,
    content::{PIECE_BYTES, TemporaryFile},
    error::{Error, local},
};
use crate::{
    domain::{Hasher, Object, SegmentReference, limits::SEGMENT_BYTES_MAX},
    segment::SegmentBuffer,
    store::{self, Path, Store, blocking, corrupt},
};

/// Bytes of one request: large enough that a round trip to the store does not count, and small enough that
/// a cut connection loses little.
const RANGE_BYTES: u64 = 4 * 1024 * 1024;
/// Ranges of one object that are requested at the same time: one connection rarely fills a link.
const RANGES_MAX: usize = 4;
/// Ranges that wait between network and disk.
const RANGES_WAITING_MAX: usize = 2;

/// What a download writes to.
pub(super) struct Destination {
    pub(super) file: Option<ReservedFile>,
    /// A buffer of the segment's length.
    pub(super) buffer: Option<SegmentBuffer>,
}

/// A file in the making, with its bytes of the disk budget.
pub(super) struct ReservedFile {
    pub(super) file: TemporaryFile,
    pub(super) reservation: Reservation,
    /// The final path.
    pub(super) path: PathBuf,
}

impl Destination {
    fn write(&mut self, offset: u64, piece: &[u8]) -> Result<(), Error> {
        if let Some(buffer) = &mut self.buffer {
            let offset = offset as usize;
            buffer.as_mut_slice()[offset..offset + piece.len()].copy_from_slice(piece);
        }
        self.file.as_mut().map_or(Ok(()), |file| file.file.write(piece))
    }

    fn finish(self) -> Result<Option<SegmentBuffer>, Error> {
        if let Some(ReservedFile { file, reservation, path }) = self.file {
            file.persist(&path)?;
            reservation.commit();
        }
        Ok(self.buffer)
    }
}

/// Downloads the object of `reference` into the destination that `open` returns. `open` may block, and is not
/// called before the store has answered. Returns the destination's buffer.
pub(super) async fn download(
    store: &Store,
    reference: &SegmentReference,
    open: impl FnOnce() -> Result<Destination, Error> + Send + 'static,
) -> Result<Option<SegmentBuffer>, Error> {
    let path = segment_path(reference)?;
    if reference.bytes > SEGMENT_BYTES_MAX {
        let (path, bytes) = (reference.object.clone(), reference.bytes);
        return Err(store::Error::TooLarge { path, bytes, limit: SEGMENT_BYTES_MAX }.into());
    }
    let file = store.open_file(&path, reference.bytes).await?;
    let expected = reference.clone();
    if let Some(mut file) = file {
        let receive = move || {
            let mut receiver = Receiver::new(expected, open()?);
            receiver.receive_file(&mut file)?;
            receiver.finish()
        };
        return blocking(receive).await;
    }
    let mut ranges = pin!(ranges(store, &path, reference.bytes));
    let mut next = ranges.next().await.transpose()?;
    let (sender, mut waiting) = mpsc::channel::<Bytes>(RANGES_WAITING_MAX);
    // No thread waits for the network: each range is one piece of work that blocks.
    let receive = async move {
        let mut receiver = blocking(move || Ok::<_, Error>(Receiver::new(expected, open()?))).await?;
        while let Some(range) = waiting.recv().await {
            receiver = blocking(move || receiver.receive(&range).map(|()| receiver)).await?;
        }
        blocking(move || receiver.finish()).await
    };
    let forward = async move {
        while let Some(range) = next {
            if sender.send(range).await.is_err() {
                break; // The receiver ended; its error is returned.
            }
            next = ranges.next().await.transpose()?;
        }
        Ok(())
    };
    let (forwarded, received) = tokio::join!(forward, receive);
    // The receiver takes a cut connection for a short object; the error of the connection is the cause.
    forwarded.and(received)
}

/// The object path of a segment; refused when it is none.
fn segment_path(reference: &SegmentReference) -> Result<Path, Error> {
    match Object::parse(&reference.object) {
        Some(Object::Segment(_)) => Ok(Path::from(reference.object.as_str())),
        _ => Err(store::Error::ForeignPath("a manifest".to_owned()).into()),
    }
}

/// The ranges of an object of `bytes` bytes, in order.
fn ranges<'a>(store: &'a Store, path: &'a Path, bytes: u64) -> impl Stream<Item = Result<Bytes, Error>> + 'a {
    let starts = (0..bytes).step_by(RANGE_BYTES as usize);
    let ranges = starts.map(move |start| start..bytes.min(start + RANGE_BYTES));
    let read = move |range| async move { Ok(store.read_range(path, range, bytes).await?) };
    stream::iter(ranges).map(read).buffered(RANGES_MAX)
}

/// Writes every byte of an object to the destination, and verifies length and SHA-256 at the end.
struct Receiver {
    reference: SegmentReference,
    destination: Destination,
    hasher: Hasher,
    length: u64,
}

impl Receiver {
    fn new(reference: SegmentReference, destination: Destination) -> Self {
        Self { reference, destination, hasher: Hasher::new(), length: 0 }
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.length + bytes.len() as u64 > self.reference.bytes {
            return Err(self.corrupt("it is too long"));
        }
        for piece in bytes.chunks(PIECE_BYTES) {
            self.hasher.update(piece);
            self.destination.write(self.length, piece)?;
            self.length += piece.len() as u64;
        }
        Ok(())
    }

    fn receive_file(&mut self, file: &mut File) -> Result<(), Error> {
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match file.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(read) => self.receive(&piece[..read])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(local("read", self.reference.object.as_ref(), source)),
            }
        }
    }

    fn finish(self) -> Result<Option<SegmentBuffer>, Error> {
        if self.length != self.reference.bytes {
            return Err(self.corrupt("it is cut short"));
        }
        if self.hasher.finish() != self.reference.sha256 {
            return Err(corrupt(&self.reference.object, "its SHA-256 is another one").into());
        }
        self.destination.finish()
    }

    fn corrupt(&self, reason: &'static str) -> Error {
        corrupt(&self.reference.object, reason).into()
    }
}
