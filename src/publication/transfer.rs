//! From the store to memory or a local file: one path for publishers and replicas, which checks
//! length and SHA-256 of every byte that passes.

use std::{
    fs::File,
    io::{self, Read},
    sync::Arc,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
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
    let reference = Arc::new(reference.clone());
    let named = Arc::clone(&reference);
    let receive = move |incoming| {
        let distance = if matches!(incoming, Incoming::File(_)) { Distance::Near } else { Distance::Far };
        let mut sink = start(distance)?;
        verified(incoming, &named, |offset, bytes| write(&mut sink, offset, bytes))?;
        finish(sink)
    };
    if let Some(file) = file {
        return blocking(move || receive(Incoming::File(file))).await;
    }
    let (sender, waiting) = mpsc::channel(RANGES_WAITING_MAX);
    let receiving = blocking(move || receive(Incoming::Pieces(waiting)));
    let (sent, taken) = tokio::join!(forward(store, &path, reference.bytes, sender), receiving);
    // A cut stream also looks cut short to the receiver; the cause is the better story.
    sent.and(taken)
}

/// Moves an object of `bytes` bytes from the network to the thread that takes it, range by range.
async fn forward(store: &Store, path: &Path, bytes: u64, sender: mpsc::Sender<Bytes>) -> Result<(), Error> {
    let starts = (0..bytes).step_by(RANGE_BYTES as usize);
    let ranges = starts.map(|start| start..bytes.min(start + RANGE_BYTES));
    let mut pieces = stream::iter(ranges).map(|range| store.range(path, range, bytes)).buffered(RANGES_MAX);
    while let Some(piece) = pieces.next().await {
        if sender.send(piece?).await.is_err() {
            break; // The receiver ended and says why.
        }
    }
    Ok(())
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
