//! The bytes of one file, as they were when the snapshot was taken.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt as _,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::runtime::Runtime;

use super::{place::of_store, sftp::RemoteFile};
use crate::{
    source::{
        error::{Error, cause, malformed},
        file::Stamp,
    },
    store::{ObjectVersion, Store},
};

/// Bytes of one request to a bucket: a request costs some 50 ms, and a connection gives some 100 MB/s.
const REQUEST_BYTES: u64 = 4 << 20;
/// Most bytes of a file that are read at once. Readers take pages and batches of this size into memory.
const PIECE_BYTES_MAX: usize = 1 << 30;

/// A file that is being read.
pub(super) struct Content {
    name: String,
    length: u64,
    bytes: Bytes,
    /// Why a read failed. Libraries between pass on no more than that it did.
    fault: Mutex<Option<Error>>,
}

/// Where the bytes are.
pub(super) enum Bytes {
    Local { file: File, stamp: Stamp, path: PathBuf },
    Object { bucket: Arc<BucketReader>, version: ObjectVersion },
    Remote(RemoteFile),
    Memory(bytes::Bytes),
}

/// A client of a bucket for a thread that may block, with a runtime of its own: the caller's may end while a request
/// is under way.
pub(super) struct BucketReader {
    pub(super) store: Store,
    pub(super) runtime: Runtime,
}

impl Content {
    pub(super) fn new(name: String, length: u64, bytes: Bytes) -> Self {
        Self { name, length, bytes, fault: Mutex::default() }
    }

    /// Its name below the place.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Whether requests are dear.
    pub(super) fn is_remote(&self) -> bool {
        matches!(self.bytes, Bytes::Object { .. } | Bytes::Remote(_))
    }

    /// Fails when a file was written to since the snapshot. A file that was renamed over it does no harm, and
    /// each answer of a bucket tells its version.
    pub(super) fn check_unchanged(&self) -> Result<(), Error> {
        match &self.bytes {
            Bytes::Local { file, stamp, path } => stamp.check(file, path),
            Bytes::Object { .. } | Bytes::Memory(_) => Ok(()),
            Bytes::Remote(file) => file.check_unchanged(),
        }
    }

    /// Why reading failed: what the place said, a change of the file, or `reason`, a fault of its content.
    pub(super) fn explain(&self, reason: &str) -> Error {
        if let Some(fault) = self.fault.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return fault;
        }
        let damaged = || {
            malformed(format_args!("{}: {reason}", self.name))
                .with_hint("check that the file is complete and of the format that its name or `format` says")
        };
        self.check_unchanged().err().unwrap_or_else(damaged)
    }

    /// Reads the bytes from `offset`, at most `length`, and fewer at the end of the file.
    pub(super) fn read_at(&self, offset: u64, length: usize) -> io::Result<bytes::Bytes> {
        if length > PIECE_BYTES_MAX {
            return Err(io::Error::other("a part of it is larger than 1 GiB"));
        }
        let length = (self.length.saturating_sub(offset)).min(length as u64);
        if length == 0 {
            return Ok(bytes::Bytes::new());
        }
        let read = match &self.bytes {
            Bytes::Local { file, path, .. } => {
                let mut bytes = vec![0; length as usize];
                file.read_exact_at(&mut bytes, offset).map(|()| bytes.into()).map_err(|error| {
                    let message = format!("cannot read {}: {error}", path.display());
                    self.check_unchanged().err().unwrap_or_else(|| Error::new(cause::FILE_FAILED, message))
                })
            }
            Bytes::Object { bucket, version } => {
                let read = bucket.store.read_version(version, offset..offset + length);
                match bucket.runtime.block_on(read) {
                    Ok(Some(bytes)) => Ok(bytes),
                    Ok(None) => Err(self.changed()),
                    Err(error) => Err(of_store(error)),
                }
            }
            Bytes::Remote(file) => file.read(offset, length as usize),
            Bytes::Memory(bytes) => Ok(bytes.slice(offset as usize..(offset + length) as usize)),
        };
        read.map_err(|fault| {
            *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
            io::Error::other("the file cannot be read")
        })
    }

    fn changed(&self) -> Error {
        Error::new(cause::FILE_CHANGED, format!("{} changed while it was read", self.name))
            .with_hint("write a new object under a new name, or let the run be tried again")
    }
}

/// Reads a file from a position on.
pub(super) struct ContentReader {
    content: Arc<Content>,
    position: u64,
    /// What was read and not yet taken.
    ahead: bytes::Bytes,
    request_bytes: u64,
}

impl ContentReader {
    pub(super) fn new(content: &Arc<Content>, position: u64) -> Self {
        Self::with_request_bytes(
            content,
            position,
            if content.is_remote() { REQUEST_BYTES } else { 64 << 10 },
        )
    }

    pub(super) fn with_request_bytes(content: &Arc<Content>, position: u64, request_bytes: u64) -> Self {
        Self { content: Arc::clone(content), position, ahead: bytes::Bytes::new(), request_bytes }
    }
}

impl Read for ContentReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.len() > PIECE_BYTES_MAX {
            return Err(io::Error::other("a part of it is larger than 1 GiB"));
        }
        if self.ahead.is_empty() && !buffer.is_empty() {
            self.ahead =
                self.content.read_at(self.position, self.request_bytes.max(buffer.len() as u64) as usize)?;
        }
        let read = self.ahead.len().min(buffer.len());
        buffer[..read].copy_from_slice(&self.ahead.split_to(read));
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for ContentReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.content.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        let target = target.ok_or(io::ErrorKind::InvalidInput)?;
        match target.checked_sub(self.position) {
            Some(skipped) if skipped <= self.ahead.len() as u64 => {
                let _ = self.ahead.split_to(skipped as usize);
            }
            _ => self.ahead = bytes::Bytes::new(),
        }
        self.position = target;
        Ok(target)
    }
}
