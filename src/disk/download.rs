//! From the store to memory or a local file: one path for publishers and replicas, which checks
//! length and SHA-256 of every byte that passes.

use std::{
    fs::File,
    io::{self, Read},
    pin::pin,
};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use object_store::path::Path;
use tokio::sync::mpsc;

use crate::disk::content::PIECE_BYTES;
use crate::domain::{digest::Hasher, limits::SEGMENT_BYTES_MAX, manifest::SegmentReference};
use crate::store::Store;
use crate::store::error::corrupt;
use crate::store::error::{Error, blocking};
use crate::store::paths;

/// Bytes asked for in one request: large enough that a round trip to the store does not count, and
/// small enough that a cut connection loses little.
const RANGE_BYTES: u64 = 4 * 1024 * 1024;
/// Ranges of one object that are asked for at the same time: one connection rarely fills a link.
const RANGES_MAX: usize = 4;
/// Ranges that wait between network and disk.
const RANGES_WAITING_MAX: usize = 2;

/// Where a store's objects are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Distance {
    /// Files of this machine.
    Near,
    /// Behind a network.
    Far,
}

/// Reads the object of `reference` and hands its bytes, piece by piece, to what `start` returns;
/// `finish` gets it back when length and SHA-256 are as named. Both run where blocking is allowed.
pub(crate) async fn download<S: Send + 'static, T: Send + 'static>(
    store: &Store,
    reference: &SegmentReference,
    start: impl FnOnce(Distance) -> Result<S, Error> + Send + 'static,
    write: impl Fn(&mut S, u64, &[u8]) -> Result<(), Error> + Send + 'static,
    finish: impl FnOnce(S) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let path = paths::any_segment(&reference.object)?;
    if reference.bytes > SEGMENT_BYTES_MAX {
        let (path, bytes) = (reference.object.clone(), reference.bytes);
        return Err(Error::TooLarge { path, bytes, limit: SEGMENT_BYTES_MAX });
    }
    let file = store.file(&path, reference.bytes).await?;
    let named = reference.clone();
    if let Some(mut file) = file {
        let receive = move || {
            let mut receiver = Receiver::new(named, start(Distance::Near)?, write);
            receiver.take_all(&mut file)?;
            finish(receiver.end()?)
        };
        return blocking(receive).await;
    }
    let mut ranges = pin!(ranges(store, &path, reference.bytes));
    // Nothing is opened for a store that does not answer.
    let mut next = ranges.next().await.transpose()?;
    let (sender, mut waiting) = mpsc::channel::<Bytes>(RANGES_WAITING_MAX);
    // No thread waits for the network: each range is one piece of work that blocks.
    let receive = async move {
        let mut receiver = blocking(move || Ok(Receiver::new(named, start(Distance::Far)?, write))).await?;
        while let Some(range) = waiting.recv().await {
            receiver = blocking(move || receiver.take(&range).map(|()| receiver)).await?;
        }
        blocking(move || finish(receiver.end()?)).await
    };
    let forward = async move {
        while let Some(range) = next {
            if sender.send(range).await.is_err() {
                break; // The receiver ended and says why.
            }
            next = ranges.next().await.transpose()?;
        }
        Ok(())
    };
    let (sent, taken) = tokio::join!(forward, receive);
    // A cut stream also looks cut short to the receiver; the cause is the better story.
    sent.and(taken)
}

/// The ranges of an object of `bytes` bytes, in their order.
fn ranges<'a>(store: &'a Store, path: &'a Path, bytes: u64) -> impl Stream<Item = Result<Bytes, Error>> + 'a {
    let starts = (0..bytes).step_by(RANGE_BYTES as usize);
    let ranges = starts.map(move |start| start..bytes.min(start + RANGE_BYTES));
    stream::iter(ranges).map(move |range| store.range(path, range, bytes)).buffered(RANGES_MAX)
}

/// Passes every byte of an object on to its sink, and vouches for all of them in the end.
struct Receiver<S, W> {
    reference: SegmentReference,
    sink: S,
    write: W,
    hasher: Hasher,
    length: u64,
}

impl<S, W: Fn(&mut S, u64, &[u8]) -> Result<(), Error>> Receiver<S, W> {
    fn new(reference: SegmentReference, sink: S, write: W) -> Self {
        Self { reference, sink, write, hasher: Hasher::new(), length: 0 }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.length + bytes.len() as u64 > self.reference.bytes {
            return Err(self.corrupt("it is too long"));
        }
        for piece in bytes.chunks(PIECE_BYTES) {
            self.hasher.update(piece);
            (self.write)(&mut self.sink, self.length, piece)?;
            self.length += piece.len() as u64;
        }
        Ok(())
    }

    fn take_all(&mut self, file: &mut File) -> Result<(), Error> {
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match file.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(read) => self.take(&piece[..read])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    let path = self.reference.object.clone().into();
                    return Err(Error::Local { action: "read", path, source });
                }
            }
        }
    }

    /// The sink, when length and SHA-256 are as named.
    fn end(self) -> Result<S, Error> {
        if self.length != self.reference.bytes {
            return Err(self.corrupt("it is cut short"));
        }
        if self.hasher.finish() != self.reference.sha256 {
            return Err(corrupt(&self.reference.object, "its SHA-256 is another one"));
        }
        Ok(self.sink)
    }

    fn corrupt(&self, reason: &'static str) -> Error {
        corrupt(&self.reference.object, reason)
    }
}
