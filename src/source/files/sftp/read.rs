//! Reading the files of a session from a thread that may block.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use russh_sftp::{
    client::error::Error as SftpError,
    protocol::{FileAttributes, OpenFlags, StatusCode},
};
use tokio::runtime::Runtime;

use super::{Server, connection::Session, fault};
use crate::source::{error::Error, file::changed, files::own_runtime};

/// Bytes of one request: what every server takes (the protocol promises 32,768).
const REQUEST_BYTES: u32 = 32 << 10;
/// Requests under way for one read: they fill a connection of 100 MB/s with 20 ms between the machines.
const REQUESTS_MAX: usize = 64;

/// What changes when a file is written to. Servers tell times in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Stamp {
    bytes: u64,
    modified: Option<u32>,
}

impl Stamp {
    /// `None` for what is not a regular file.
    pub(super) fn of(attributes: &FileAttributes) -> Option<Self> {
        let bytes = attributes.size.filter(|_| attributes.file_type().is_file())?;
        Some(Self { bytes, modified: attributes.mtime })
    }

    pub(in super::super) fn bytes(self) -> u64 {
        self.bytes
    }
}

/// A session with a runtime of its own: the caller's may end while a request is under way.
pub(in super::super) struct SftpReader {
    server: Arc<Server>,
    session: Arc<Session>,
    /// `None` only while this is dropped.
    runtime: Option<Runtime>,
}

impl Drop for SftpReader {
    fn drop(&mut self) {
        // A runtime that is dropped waits for its threads, which asynchronous code must not do.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl SftpReader {
    /// Connects, from a thread that may block.
    pub(super) fn connect(server: Arc<Server>) -> Result<Self, Error> {
        let runtime = own_runtime()?;
        let session = Arc::new(runtime.block_on(server.connect())?);
        Ok(Self { server, session, runtime: Some(runtime) })
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is taken when the reader is dropped")
    }

    /// Runs `work` with the session.
    pub(super) fn run<'a, T, F: Future<Output = T>>(
        &'a self,
        work: impl FnOnce(Arc<Session>, &'a Server) -> F,
    ) -> T {
        self.runtime().block_on(work(Arc::clone(&self.session), &self.server))
    }

    /// Opens a file of the snapshot, which must be as it was.
    pub(in super::super) fn open(self: &Arc<Self>, name: &str, stamp: Stamp) -> Result<RemoteFile, Error> {
        let path = self.server.path(name);
        let opened = self.session.sftp.open(path.as_str(), OpenFlags::READ, FileAttributes::empty());
        let handle = self.runtime().block_on(opened).map_err(|error| fault::of_path(&error, &path))?.handle;
        let file = RemoteFile { reader: Arc::clone(self), handle, path, stamp };
        file.check_unchanged().map(|()| file)
    }
}

/// An open file.
pub(in super::super) struct RemoteFile {
    reader: Arc<SftpReader>,
    handle: String,
    path: String,
    stamp: Stamp,
}

impl Drop for RemoteFile {
    fn drop(&mut self) {
        // The runtime closes it while it does what comes next; or the session ends.
        let (session, handle) = (Arc::clone(&self.reader.session), std::mem::take(&mut self.handle));
        self.reader.runtime().spawn(async move { session.sftp.close(handle).await });
    }
}

impl RemoteFile {
    /// Fails when the file was written to since the snapshot. A file that was renamed over it does no harm.
    pub(in super::super) fn check_unchanged(&self) -> Result<(), Error> {
        let asked = self.reader.runtime().block_on(self.reader.session.sftp.fstat(self.handle.as_str()));
        let found = asked.map_err(|error| fault::of_path(&error, &self.path))?;
        if Stamp::of(&found.attrs) == Some(self.stamp) { Ok(()) } else { Err(self.changed()) }
    }

    /// Reads `length` bytes from `offset`, which the file had when the snapshot was taken.
    pub(in super::super) fn read(&self, offset: u64, length: usize) -> Result<Bytes, Error> {
        let (end, step) = (offset + length as u64, u64::from(REQUEST_BYTES));
        let pieces =
            (offset..end).step_by(REQUEST_BYTES as usize).map(|at| self.piece(at, end.min(at + step)));
        let read = stream::iter(pieces).buffered(REQUESTS_MAX).try_fold(
            Vec::with_capacity(length),
            async |mut all, piece| {
                all.extend_from_slice(&piece);
                Ok(all)
            },
        );
        self.reader.runtime().block_on(read).map(Bytes::from)
    }

    /// A server may answer with fewer bytes than were asked for.
    async fn piece(&self, mut from: u64, to: u64) -> Result<Vec<u8>, Error> {
        let mut piece = Vec::new();
        while from < to {
            let asked = self.reader.session.sftp.read(self.handle.as_str(), from, (to - from) as u32).await;
            let data = match asked {
                Ok(answer) if !answer.data.is_empty() && answer.data.len() as u64 <= to - from => answer.data,
                Ok(_) => return Err(self.changed()),
                Err(SftpError::Status(status)) if status.status_code == StatusCode::Eof => {
                    return Err(self.changed());
                }
                Err(error) => return Err(fault::of_path(&error, &self.path)),
            };
            from += data.len() as u64;
            piece.extend(data);
        }
        Ok(piece)
    }

    fn changed(&self) -> Error {
        changed(self.path.as_ref())
    }
}
