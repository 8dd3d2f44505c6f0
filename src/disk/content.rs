//! Local files named by the SHA-256 of their content: `{sha256}.{extension}` in one directory.
//!
//! A file appears whole or not at all (temporary name, then rename). Syncing to disk is a step of
//! its own, so that content can be served before the disk has it. Every reader verifies.

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

use crate::disk::buffer::{Buffer, allocate};
use crate::store::error::corrupt;
use crate::store::error::{Error, blocking};
use crate::{
    domain::digest::{Digest, Hasher},
    support::{clock::Clock, random},
};

/// A file that nothing names stays this long: whoever fetched it may be about to name it.
const UNNAMED_KEPT: Duration = Duration::from_hours(1);
/// Bytes read, hashed and written at a time: they stay in the processor's cache in between.
pub(crate) const PIECE_BYTES: usize = 256 * 1024;
/// How temporary files end.
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

    /// The directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where the content with `digest` stands, whether or not it is there.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join(format!("{digest}.{}", self.extension))
    }

    /// Whether a file of `bytes` bytes is there under `digest`. Its content is not looked at.
    pub fn has(&self, digest: &Digest, bytes: u64) -> bool {
        fs::metadata(self.path(digest)).is_ok_and(|found| found.is_file() && found.len() == bytes)
    }

    /// Marks a file as used now, which keeps [`ContentDirectory::collect`] away for an hour.
    pub(crate) fn touch(&self, digest: &Digest) {
        let times = FileTimes::new().set_modified(self.clock.now().into());
        // A file that vanishes here is fetched anew by whoever reads it.
        let _ = File::open(self.path(digest)).and_then(|file| file.set_times(times));
    }

    /// A temporary file that becomes `{digest}.{extension}` when kept. Blocks.
    pub(crate) fn draft(&self) -> Result<Draft, Error> {
        let path = self.root.join(format!("{:032x}{TEMPORARY}", u128::from_le_bytes(random::bytes())));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|source| local("create", &path, source))?;
        Ok(Draft { file, path, kept: false })
    }

    /// Stores `content` under its digest, unless it is there. Not yet synced.
    pub async fn put(&self, digest: Digest, content: Bytes) -> Result<(), Error> {
        let directory = self.clone();
        blocking(move || {
            if directory.has(&digest, content.len() as u64) {
                return Ok(());
            }
            let mut draft = directory.draft()?;
            draft.write(&content)?;
            draft.keep(&directory.path(&digest))
        })
        .await
    }

    /// The content with `digest`, verified. A damaged file is removed and reported as
    /// [`Error::Corrupt`], an absent one as [`Error::Missing`]. Blocks.
    pub(crate) fn read_verified(&self, digest: &Digest, limit: u64) -> Result<Buffer, Error> {
        let path = self.path(digest);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Missing { path: path.display().to_string() });
            }
            Err(source) => return Err(local("read", &path, source)),
        };
        let bytes = file.metadata().map_err(|source| local("read", &path, source))?.len();
        if bytes > limit {
            return Err(self.damaged(digest, "it is too long"));
        }
        let mut buffer = allocate(&path.display().to_string(), bytes)?;
        let mut hasher = Hasher::new();
        for piece in buffer.as_mut_slice().chunks_mut(PIECE_BYTES) {
            match file.read_exact(piece) {
                Ok(()) => hasher.update(piece),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(self.damaged(digest, "it is cut short"));
                }
                Err(source) => return Err(local("read", &path, source)),
            }
        }
        if hasher.finish() != *digest {
            return Err(self.damaged(digest, "its SHA-256 is another one"));
        }
        Ok(buffer)
    }

    /// The content with `digest`, verified, as segments are (absent, damaged: the same errors); at most
    /// `limit` bytes.
    pub async fn read(&self, digest: Digest, limit: u64) -> Result<Buffer, Error> {
        let directory = self.clone();
        blocking(move || directory.read_verified(&digest, limit)).await
    }

    /// Removes a damaged file, so that the next fetch replaces it, and says what was wrong.
    pub(crate) fn damaged(&self, digest: &Digest, reason: &'static str) -> Error {
        let path = self.path(digest);
        let _ = fs::remove_file(&path);
        corrupt(&path.display().to_string(), reason)
    }

    /// Makes files and their names durable. A file that is gone is not an error: whoever needs it
    /// fetches it anew.
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

    /// Removes what `keep` does not name, and temporary files left by a killed process; nothing
    /// that was written or used within the last hour. Returns the number of files removed.
    pub async fn collect(&self, keep: HashSet<Digest>) -> Result<usize, Error> {
        let directory = self.clone();
        blocking(move || {
            let root: &Path = &directory.root;
            let failed = |source| local("read", root, source);
            let mut removed = 0;
            for file in fs::read_dir(root).map_err(failed)? {
                let file = file.map_err(failed)?;
                if directory.is_garbage(&file, &keep) && fs::remove_file(file.path()).is_ok() {
                    removed += 1;
                }
            }
            Ok(removed)
        })
        .await
    }

    /// All whole files, and what killed processes left behind. Blocks.
    pub(crate) fn list(&self) -> Result<Vec<Found>, Error> {
        let root: &Path = &self.root;
        let failed = |source| local("read", root, source);
        let mut found = Vec::new();
        for file in fs::read_dir(root).map_err(failed)? {
            let file = file.map_err(failed)?;
            let Some(named) = self.named(&file) else { continue };
            let digest = if let Named::Content(digest) = named { Some(digest) } else { None };
            // One that vanishes here takes no room.
            let Ok(metadata) = file.metadata() else { continue };
            let age = self.age(&metadata).unwrap_or_default();
            if digest.is_some() || age > UNNAMED_KEPT {
                found.push(Found { path: file.path(), digest, bytes: metadata.len(), age });
            }
        }
        Ok(found)
    }

    /// Bytes that the disk has left for this user; all of them when it does not say. Blocks.
    pub(crate) fn free_bytes(&self) -> u64 {
        let disk = rustix::fs::statvfs(self.root.as_path());
        disk.map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// What a file is by its name; `None` when it is not ours.
    fn named(&self, file: &fs::DirEntry) -> Option<Named> {
        let name = file.file_name();
        let name = name.to_str()?;
        match name.strip_suffix(self.extension).and_then(|stem| stem.strip_suffix('.')) {
            Some(stem) => stem.parse().ok().map(Named::Content),
            None => name.ends_with(TEMPORARY).then_some(Named::Temporary),
        }
    }

    /// Time since a file was written or used.
    fn age(&self, metadata: &fs::Metadata) -> Option<Duration> {
        let now: std::time::SystemTime = self.clock.now().into();
        now.duration_since(metadata.modified().ok()?).ok()
    }

    fn is_garbage(&self, file: &fs::DirEntry, keep: &HashSet<Digest>) -> bool {
        let is_unnamed = match self.named(file) {
            Some(Named::Content(digest)) => !keep.contains(&digest),
            Some(Named::Temporary) => true,
            None => false,
        };
        is_unnamed
            && file.metadata().is_ok_and(|found| self.age(&found).is_some_and(|age| age > UNNAMED_KEPT))
    }
}

/// What a file's name says.
enum Named {
    Content(Digest),
    Temporary,
}

/// A file as it is found.
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    /// `None` when it is a temporary one.
    pub(crate) digest: Option<Digest>,
    pub(crate) bytes: u64,
    /// Time since it was written or used.
    pub(crate) age: Duration,
}

/// A file under a temporary name; removed when dropped before it is kept.
pub(crate) struct Draft {
    file: File,
    path: PathBuf,
    kept: bool,
}

impl Draft {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|source| local("write", &self.path, source))
    }

    pub(crate) fn keep(mut self, path: &Path) -> Result<(), Error> {
        fs::rename(&self.path, path).map_err(|source| local("write", path, source))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A failure of the local file system.
pub(crate) fn local(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Local { action, path: path.to_owned(), source }
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
    async fn content_comes_back_and_damage_is_found_and_removed() {
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
            assert!(matches!(directory.read(digest, 1 << 20).await, Err(Error::Missing { .. })));
        }
    }

    #[tokio::test]
    async fn only_old_files_that_nothing_names_are_collected() {
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
        assert_eq!(directory.collect(keep.clone()).await.unwrap(), 0, "all are young");

        clock.set(clock.now() + TimeDelta::hours(2));
        directory.touch(&digests[2]);
        assert_eq!(directory.collect(keep).await.unwrap(), 2, "b and the leftover");
        assert!(directory.has(&digests[0], 1) && directory.has(&digests[2], 1));
        assert!(!directory.has(&digests[1], 1) && !leftover.exists() && stranger.exists());
    }
}
