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

use super::{
    decode::corrupt,
    error::{Error, blocking},
    files::PIECE_BYTES,
    paths,
    store::Store,
};
use crate::domain::{digest::Hasher, limits::SEGMENT_BYTES_MAX, manifest::SegmentReference};

/// Bytes asked for in one request: large enough that a round trip to the store does not count, and
/// small enough that a cut connection loses little.
const RANGE_BYTES: u64 = 4 * 1024 * 1024;
/// Ranges of one object that are asked for at the same time: one connection rarely fills a link.
const RANGES_MAX: usize = 4;
/// Ranges that wait between network and disk.
const RANGES_WAITING_MAX: usize = 2;

/// Where bytes come from, seen from a thread that may block.
enum Incoming {
    File(File),
    Pieces(mpsc::Receiver<Bytes>),
}

/// Where a store's objects are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Distance {
    /// Files of this machine.
    Near,
    /// Behind a network.
    Far,
}

/// Reads the object of `reference` and hands its bytes, piece by piece, to what `start` returns;
/// `finish` gets it back when length and SHA-256 are as named. Both run where blocking is allowed.
pub(super) async fn download<S: Send + 'static, T: Send + 'static>(
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
    let (named, named_bytes) = (reference.clone(), reference.bytes);
    let receive = move |incoming| {
        let distance = if matches!(incoming, Incoming::File(_)) { Distance::Near } else { Distance::Far };
        let mut sink = start(distance)?;
        verified(incoming, &named, |offset, bytes| write(&mut sink, offset, bytes))?;
        finish(sink)
    };
    if let Some(file) = file {
        return blocking(move || receive(Incoming::File(file))).await;
    }
    let mut ranges = pin!(ranges(store, &path, named_bytes));
    // No thread waits for a store that does not answer.
    let first = ranges.next().await.transpose()?;
    let (sender, waiting) = mpsc::channel(RANGES_WAITING_MAX);
    let receiving = blocking(move || receive(Incoming::Pieces(waiting)));
    let forward = async {
        let mut next = first.map(Ok);
        while let Some(piece) = next {
            if sender.send(piece?).await.is_err() {
                break; // The receiver ended and says why.
            }
            next = ranges.next().await;
        }
        drop(sender);
        Ok(())
    };
    let (sent, taken) = tokio::join!(forward, receiving);
    // A cut stream also looks cut short to the receiver; the cause is the better story.
    sent.and(taken)
}

/// The ranges of an object of `bytes` bytes, in their order.
fn ranges<'a>(store: &'a Store, path: &'a Path, bytes: u64) -> impl Stream<Item = Result<Bytes, Error>> + 'a {
    let starts = (0..bytes).step_by(RANGE_BYTES as usize);
    let ranges = starts.map(move |start| start..bytes.min(start + RANGE_BYTES));
    stream::iter(ranges).map(move |range| store.range(path, range, bytes)).buffered(RANGES_MAX)
}

/// Passes every byte on and fails unless all together are what `reference` names.
fn verified(
    mut incoming: Incoming,
    reference: &SegmentReference,
    mut write: impl FnMut(u64, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut hasher = Hasher::new();
    let mut length: u64 = 0;
    let mut scratch = Vec::new();
    while let Some(piece) = incoming.next(&mut scratch, &reference.object)? {
        if length + piece.len() as u64 > reference.bytes {
            return Err(corrupt(&reference.object, "it is too long"));
        }
        for part in piece.chunks(PIECE_BYTES) {
            hasher.update(part);
            write(length, part)?;
            length += part.len() as u64;
        }
    }
    if length != reference.bytes {
        return Err(corrupt(&reference.object, "it is cut short"));
    }
    if hasher.finish() != reference.sha256 {
        return Err(corrupt(&reference.object, "its SHA-256 is another one"));
    }
    Ok(())
}

impl Incoming {
    /// The next bytes, in `scratch`; `None` at the end.
    fn next<'a>(&mut self, scratch: &'a mut Vec<u8>, object: &str) -> Result<Option<&'a [u8]>, Error> {
        match self {
            Self::File(file) => {
                scratch.resize(PIECE_BYTES, 0);
                loop {
                    match file.read(scratch) {
                        Ok(0) => return Ok(None),
                        Ok(read) => return Ok(Some(&scratch[..read])),
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(source) => {
                            return Err(Error::Local { action: "read", path: object.into(), source });
                        }
                    }
                }
            }
            Self::Pieces(receiver) => match receiver.blocking_recv() {
                Some(piece) => {
                    // A copy of a piece that is in the cache; keeps one type for both kinds.
                    scratch.clear();
                    scratch.extend_from_slice(&piece);
                    Ok(Some(scratch))
                }
                None => Ok(None),
            },
        }
    }
}
