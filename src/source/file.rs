//! Files that other programs write: whether one changed while it was read.

use std::{
    fs::{File, Metadata},
    io,
    path::Path,
    time::SystemTime,
};

use super::error::{Error, cause};

/// What changes when a file is written to. A file that is renamed over it, or removed, does not change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { bytes: metadata.len(), modified: metadata.modified().ok() }
    }

    /// The length of the file.
    pub(super) fn bytes(self) -> u64 {
        self.bytes
    }

    /// Fails when `file`, which `path` named, was written to since this stamp was taken of it.
    pub(super) fn check(self, file: &File, path: &Path) -> Result<(), Error> {
        match file.metadata() {
            Ok(now) if Self::of(&now) == self => Ok(()),
            _ => Err(changed(path)),
        }
    }
}

pub(super) fn changed(path: &Path) -> Error {
    Error::new(cause::FILE_CHANGED, format!("{} changed while it was read", path.display()))
        .with_hint("write a new file, then rename it to this name")
}

/// Metadata of a regular file. Asked before it is opened: opening a named pipe would wait for its writer.
pub(super) fn regular(path: &Path) -> io::Result<Metadata> {
    let metadata = path.metadata()?;
    if metadata.is_file() { Ok(metadata) } else { Err(io::Error::other("it is not a regular file")) }
}
