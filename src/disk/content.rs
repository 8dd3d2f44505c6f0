//! Local files named by the SHA-256 of their content: `{sha256}.{extension}` in one directory.
//!
//! A file appears whole or not at all: it is written under a temporary name and renamed. Syncing to disk is a
//! separate step, so that content can be served before it is durable. Every reader verifies the content.

use std::{
    collections::HashSet,
    fs::{self, DirBuilder, File, FileTimes, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use super::error::{Error, local};
use crate::{
    domain::digest::{Digest, Hasher},
    segment::SegmentBuffer,
    store::blocking,
    support::{clock::Clock, random},
};

/// Age up to which an unreferenced file is kept: the task that fetched it may be about to reference it.
const UNREFERENCED_KEPT: Duration = Duration::from_hours(1);
/// Bytes read, hashed and written at a time: they fit the processor's cache.
pub(super) const PIECE_BYTES: usize = 256 * 1024;
/// Suffix of temporary files.
const TEMPORARY: &str = ".tmp";

/// A directory of files named by their content. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ContentDirectory {
    root: Arc<PathBuf>,
    extension: &'static str,
    clock: Clock,
}

impl ContentDirectory {
    /// Opens, and where needed creates (0700), the directory at `root`. Blocks.
    pub fn open(root: &Path, extension: &'static str, clock: Clock) -> Result<Self, Error> {
        let created = DirBuilder::new().recursive(true).mode(0o700).create(root);
        created.map_err(|source| local("create", root, source))?;
        Ok(Self { root: Arc::new(root.to_owned()), extension, clock })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The path of the file for `digest`, whether or not it exists.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join(format!("{digest}.{}", self.extension))
    }

    /// Whether the file for `digest` exists with `bytes` bytes. The content is not verified.
    pub fn has(&self, digest: &Digest, bytes: u64) -> bool {
        fs::metadata(self.path(digest)).is_ok_and(|found| found.is_file() && found.len() == bytes)
    }

    /// Marks a file as used now. [`ContentDirectory::delete_unreferenced`] then keeps it for an hour.
    pub(super) fn touch(&self, digest: &Digest) {
        let times = FileTimes::new().set_modified(self.clock.now().into());
        // A file that vanishes here is fetched again by its reader.
        let _ = File::open(self.path(digest)).and_then(|file| file.set_times(times));
    }

    /// Creates a temporary file. Blocks.
    pub(super) fn create_temporary(&self) -> Result<TemporaryFile, Error> {
        let path = self.root.join(format!("{:032x}{TEMPORARY}", u128::from_le_bytes(random::bytes())));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|source| local("create", &path, source))?;
        Ok(TemporaryFile { file, path, is_persisted: false })
    }

    /// Writes `content` under its digest, unless it exists. The file is not synced yet.
    pub async fn put(&self, digest: Digest, content: Bytes) -> Result<(), Error> {
        let directory = self.clone();
        blocking(move || {
            if directory.has(&digest, content.len() as u64) {
                return Ok(());
            }
            let mut file = directory.create_temporary()?;
            file.write(&content)?;
            file.persist(&directory.path(&digest))
        })
        .await
    }

    /// Reads and verifies the content with `digest`, at most `bytes_max` bytes. Blocks.
    ///
    /// # Errors
    /// [`Error::Missing`], or [`Error::Corrupt`] for a damaged file, which is deleted.
    pub(super) fn read_verified(&self, digest: &Digest, bytes_max: u64) -> Result<SegmentBuffer, Error> {
        let path = self.path(digest);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Missing(path.display().to_string()));
            }
            Err(source) => return Err(local("read", &path, source)),
        };
        let bytes = file.metadata().map_err(|source| local("read", &path, source))?.len();
        if bytes > bytes_max {
            return Err(self.delete_damaged(digest, "it is too long"));
        }
        let buffer = SegmentBuffer::with_len(bytes);
        let mut buffer = buffer.map_err(|_| self.delete_damaged(digest, "it is too long"))?;
        let mut hasher = Hasher::new();
        for piece in buffer.as_mut_slice().chunks_mut(PIECE_BYTES) {
            match file.read_exact(piece) {
                Ok(()) => hasher.update(piece),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(self.delete_damaged(digest, "it is cut short"));
                }
                Err(source) => return Err(local("read", &path, source)),
            }
        }
        if hasher.finish() != *digest {
            return Err(self.delete_damaged(digest, "its SHA-256 is another one"));
        }
        Ok(buffer)
    }

    /// Reads and verifies the content with `digest`, at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`Error::Missing`], or [`Error::Corrupt`] for a damaged file, which is deleted.
    pub async fn read(&self, digest: Digest, bytes_max: u64) -> Result<SegmentBuffer, Error> {
        let directory = self.clone();
        blocking(move || directory.read_verified(&digest, bytes_max)).await
    }

    /// Deletes a damaged file, so that the next fetch replaces it, and returns the error to report.
    pub(super) fn delete_damaged(&self, digest: &Digest, reason: &'static str) -> Error {
        let path = self.path(digest);
        let _ = fs::remove_file(&path);
        Error::Corrupt { path: path.display().to_string(), reason }
    }

    /// Makes files and their names durable. A file that does not exist is no error: its reader fetches it
    /// again.
    pub async fn sync(&self, digests: Vec<Digest>) -> Result<(), Error> {
        let directory = self.clone();
        blocking(move || {
            for digest in &digests {
                let path = directory.path(digest);
                match File::open(&path).and_then(|file| file.sync_all()) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(source) => return Err(local("sync", &path, source)),
                }
            }
            let root: &Path = &directory.root;
            File::open(root).and_then(|root| root.sync_all()).map_err(|source| local("sync", root, source))
        })
        .await
    }

    /// Deletes files that are not in `referenced`, and temporary files of killed processes. Files written or
    /// used within the last hour stay. Returns the number of deleted files.
    pub async fn delete_unreferenced(&self, referenced: HashSet<Digest>) -> Result<usize, Error> {
        let directory = self.clone();
        blocking(move || {
            let is_garbage = |file: &LocalFile| {
                file.age > UNREFERENCED_KEPT
                    && file.digest.as_ref().is_none_or(|digest| !referenced.contains(digest))
            };
            let garbage = directory.list()?.into_iter().filter(is_garbage);
            Ok(garbage.filter(|file| fs::remove_file(&file.path).is_ok()).count())
        })
        .await
    }

    /// Lists all whole files, and the temporary files of killed processes. Blocks.
    pub(super) fn list(&self) -> Result<Vec<LocalFile>, Error> {
        let root: &Path = &self.root;
        let failed = |source| local("read", root, source);
        let mut found = Vec::new();
        for file in fs::read_dir(root).map_err(failed)? {
            let file = file.map_err(failed)?;
            let Some(name) = self.parse_name(&file) else { continue };
            let digest = if let FileName::Content(digest) = name { Some(digest) } else { None };
            // A file that vanishes here takes no space.
            let Ok(metadata) = file.metadata() else { continue };
            let age = self.age(&metadata).unwrap_or_default();
            if digest.is_some() || age > UNREFERENCED_KEPT {
                found.push(LocalFile { path: file.path(), digest, bytes: metadata.len(), age });
            }
        }
        Ok(found)
    }

    /// Bytes that the disk has free for this user; `u64::MAX` when the system does not report it. Blocks.
    pub(super) fn free_bytes(&self) -> u64 {
        free_bytes(&self.root)
    }

    /// Parses the name of a file; `None` when this program did not write it.
    fn parse_name(&self, file: &fs::DirEntry) -> Option<FileName> {
        let name = file.file_name();
        let name = name.to_str()?;
        match name.strip_suffix(self.extension).and_then(|stem| stem.strip_suffix('.')) {
            Some(stem) => stem.parse().ok().map(FileName::Content),
            None => name.ends_with(TEMPORARY).then_some(FileName::Temporary),
        }
    }

    /// Time since a file was written or used.
    fn age(&self, metadata: &fs::Metadata) -> Option<Duration> {
        let now: std::time::SystemTime = self.clock.now().into();
        now.duration_since(metadata.modified().ok()?).ok()
    }
}

/// Bytes that the disk of `path` has free for this user; `u64::MAX` when the system does not report it. Blocks.
pub(super) fn free_bytes(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

enum FileName {
    Content(Digest),
    Temporary,
}

/// A file of the directory.
pub(super) struct LocalFile {
    pub(super) path: PathBuf,
    /// `None` for a temporary file.
    pub(super) digest: Option<Digest>,
    pub(super) bytes: u64,
    /// Time since it was written or used.
    pub(super) age: Duration,
}

/// A file under a temporary name; deleted when dropped before it is persisted.
pub(super) struct TemporaryFile {
    file: File,
    path: PathBuf,
    is_persisted: bool,
}

impl TemporaryFile {
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|source| local("write", &self.path, source))
    }

    /// Renames the file to its final path.
    pub(super) fn persist(mut self, path: &Path) -> Result<(), Error> {
        fs::rename(&self.path, path).map_err(|source| local("write", path, source))?;
        self.is_persisted = true;
        Ok(())
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if !self.is_persisted {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn directory(root: &Path) -> (ContentDirectory, Clock) {
        let clock = Clock::fixed(Clock::default().now());
        (ContentDirectory::open(root, "json", clock.clone()).unwrap(), clock)
    }

    #[tokio::test]
    async fn damaged_content_is_reported_and_deleted() {
        let root = tempfile::tempdir().unwrap();
        let (directory, _) = directory(root.path());
        let content = Bytes::from(vec![7; PIECE_BYTES + 1]);
        let digest = Digest::of(&content);
        directory.put(digest, content.clone()).await.unwrap();
        directory.sync(vec![digest]).await.unwrap();
        assert_eq!(directory.read(digest, 1 << 20).await.unwrap().as_slice(), content);

        for damage in [vec![7; PIECE_BYTES], vec![8; PIECE_BYTES + 1], Vec::new()] {
            fs::write(directory.path(&digest), damage).unwrap();
            assert!(matches!(directory.read(digest, 1 << 20).await, Err(Error::Corrupt { .. })));
            assert!(matches!(directory.read(digest, 1 << 20).await, Err(Error::Missing(_))));
        }
    }

    #[tokio::test]
    async fn only_old_unreferenced_files_are_deleted() {
        let root = tempfile::tempdir().unwrap();
        let (directory, clock) = directory(root.path());
        let digests = [&b"a"[..], b"b", b"c"].map(Digest::of);
        for (digest, content) in digests.iter().zip(["a", "b", "c"]) {
            directory.put(*digest, content.into()).await.unwrap();
        }
        let leftover = root.path().join("0123.tmp");
        let stranger = root.path().join("notes.txt");
        fs::write(&leftover, "half").unwrap();
        fs::write(&stranger, "mine").unwrap();
        let keep = HashSet::from([digests[0]]);
        assert_eq!(directory.delete_unreferenced(keep.clone()).await.unwrap(), 0, "all are young");

        clock.set(clock.now() + TimeDelta::hours(2));
        directory.touch(&digests[2]);
        assert_eq!(directory.delete_unreferenced(keep).await.unwrap(), 2, "b and the leftover");
        assert!(directory.has(&digests[0], 1) && directory.has(&digests[2], 1));
        assert!(!directory.has(&digests[1], 1) && !leftover.exists() && stranger.exists());
    }
}
