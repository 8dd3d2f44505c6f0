//! Files that were computed from segments and can be computed again: one per collection, `{collection}.table`.
//!
//! A file appears whole or not at all: it is written under a temporary name and renamed. It ends with a checksum of
//! everything before it, because it is not synced: after a power loss any part of it may be missing. A file that is
//! damaged is deleted, and its reader computes its content again.

use std::{
    fs::{self, DirBuilder, File, FileTimes, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use xxhash_rust::xxh3::Xxh3;

use super::{
    budget::FREE_BYTES_MIN,
    content::{PIECE_BYTES, free_bytes},
    error::{Error, local},
};
use crate::{
    domain::name::CollectionName,
    support::{clock::Clock, random},
};

/// A file that nobody used for this long is deleted: its collection was dropped, or another node publishes it.
const UNUSED_KEPT: Duration = Duration::from_hours(7 * 24);
/// Bytes of the checksum at a file's end.
const CHECKSUM_BYTES: u64 = 16;

/// The directory `tables` of a publisher. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TableDirectory {
    root: Arc<PathBuf>,
    clock: Clock,
}

impl TableDirectory {
    /// Opens the directory at `root`, created with mode 0700 if needed. Blocks.
    pub fn open(root: &Path, clock: Clock) -> Result<Self, Error> {
        let created = DirBuilder::new().recursive(true).mode(0o700).create(root);
        created.map_err(|source| local("create", root, source))?;
        Ok(Self { root: Arc::new(root.to_owned()), clock })
    }

    /// The path of the file of `collection`, whether or not it exists.
    pub fn path(&self, collection: &CollectionName) -> PathBuf {
        self.root.join(format!("{}.table", collection.as_str()))
    }

    /// Reads the file of `collection` through `parse`, which must read it to its end. `None` when the file does not
    /// exist, and when it is damaged or `parse` refuses it: then it is deleted. Blocks.
    pub fn read<T>(
        &self,
        collection: &CollectionName,
        parse: impl FnOnce(&mut TableReader) -> Option<T>,
    ) -> Option<T> {
        let path = self.path(collection);
        let file = File::open(&path).ok()?;
        let parsed = TableReader::new(file).and_then(|mut reader| {
            let parsed = parse(&mut reader)?;
            reader.finish(self.clock.now().into())?;
            Some(parsed)
        });
        if parsed.is_none() {
            self.delete(collection);
        }
        parsed
    }

    /// Replaces the file of `collection` by what `write` writes, about `bytes` bytes. Nothing is written to a disk
    /// that has less than twice as much free. Blocks.
    pub fn write(
        &self,
        collection: &CollectionName,
        bytes: u64,
        write: impl FnOnce(&mut TableWriter) -> io::Result<()>,
    ) -> Result<(), Error> {
        self.delete_unused();
        let path = self.path(collection);
        let failed = |source| local("write", &path, source);
        if free_bytes(&self.root) < bytes.saturating_mul(2).saturating_add(FREE_BYTES_MIN) {
            return Err(failed(io::ErrorKind::StorageFull.into()));
        }
        let temporary = self.root.join(format!("{:032x}.tmp", u128::from_le_bytes(random::bytes())));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
        let mut writer = TableWriter::new(file.map_err(failed)?);
        let written =
            write(&mut writer).and_then(|()| writer.finish()).and_then(|()| fs::rename(&temporary, &path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written.map_err(failed)
    }

    /// Deletes the file of `collection`. Blocks.
    pub fn delete(&self, collection: &CollectionName) {
        // A file that stays is refused again by its next reader.
        let _ = fs::remove_file(self.path(collection));
    }

    fn delete_unused(&self) {
        let now: std::time::SystemTime = self.clock.now().into();
        for file in fs::read_dir(&*self.root).into_iter().flatten().flatten() {
            let used = file.metadata().and_then(|metadata| metadata.modified());
            let age = used.ok().and_then(|used| now.duration_since(used).ok());
            if age.is_some_and(|age| age > UNUSED_KEPT) {
                let _ = fs::remove_file(file.path());
            }
        }
    }
}

/// Reads a file up to its checksum.
pub struct TableReader {
    file: BufReader<File>,
    hasher: Xxh3,
    left: u64,
}

impl TableReader {
    fn new(file: File) -> Option<Self> {
        let left = file.metadata().ok()?.len().checked_sub(CHECKSUM_BYTES)?;
        Some(Self { file: BufReader::with_capacity(PIECE_BYTES, file), hasher: Xxh3::new(), left })
    }

    /// Bytes that are not read yet.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Fills `bytes`; `None` when the file has fewer. What it returns is not verified before the end of
    /// [`TableDirectory::read`].
    pub fn fill(&mut self, bytes: &mut [u8]) -> Option<()> {
        self.left = self.left.checked_sub(bytes.len() as u64)?;
        self.file.read_exact(bytes).ok()?;
        self.hasher.update(bytes);
        Some(())
    }

    /// Fills an array.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes).map(|()| bytes)
    }

    /// Verifies the checksum and marks the file as used.
    fn finish(mut self, now: std::time::SystemTime) -> Option<()> {
        let mut checksum = [0; CHECKSUM_BYTES as usize];
        self.file.read_exact(&mut checksum).ok()?;
        let is_whole = self.left == 0 && checksum == self.hasher.digest128().to_le_bytes();
        let _ = self.file.get_ref().set_times(FileTimes::new().set_modified(now));
        is_whole.then_some(())
    }
}

/// Writes a file and its checksum.
pub struct TableWriter {
    file: BufWriter<File>,
    hasher: Xxh3,
}

impl TableWriter {
    fn new(file: File) -> Self {
        Self { file: BufWriter::with_capacity(PIECE_BYTES, file), hasher: Xxh3::new() }
    }

    /// Appends `bytes`.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.file.write_all(bytes)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.file.write_all(&self.hasher.digest128().to_le_bytes())?;
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn read_all(reader: &mut TableReader) -> Option<Vec<u8>> {
        let mut bytes = vec![0; reader.left() as usize];
        reader.fill(&mut bytes).map(|()| bytes)
    }

    #[test]
    fn damaged_file_is_not_read_and_deleted() {
        let root = tempfile::tempdir().unwrap();
        let directory = TableDirectory::open(root.path(), Clock::default()).unwrap();
        let name = CollectionName::new("a").unwrap();
        let content: Vec<u8> = (0..100_u8).collect();
        let write = || directory.write(&name, 100, |writer| writer.append(&content)).unwrap();
        write();
        assert_eq!(directory.read(&name, read_all), Some(content.clone()));
        let whole = fs::read(directory.path(&name)).unwrap();
        let cut = (0..whole.len()).map(|length| whole[..length].to_vec());
        let flipped = (0..whole.len()).map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            bytes
        });
        for damaged in cut.chain(flipped).chain([[whole.as_slice(), b"x"].concat()]) {
            fs::write(directory.path(&name), damaged).unwrap();
            assert_eq!(directory.read(&name, read_all), None);
            assert!(!directory.path(&name).exists());
        }
        write();
        assert_eq!(directory.read(&name, TableReader::array::<10>), None, "not read to its end");
    }

    #[test]
    fn failed_write_keeps_the_file_and_leaves_no_other() {
        let root = tempfile::tempdir().unwrap();
        let directory = TableDirectory::open(root.path(), Clock::default()).unwrap();
        let name = CollectionName::new("a").unwrap();
        directory.write(&name, 1, |writer| writer.append(b"old")).unwrap();
        let fail = |writer: &mut TableWriter| {
            writer.append(b"new")?;
            Err(io::ErrorKind::Other.into())
        };
        assert!(directory.write(&name, 1, fail).is_err());
        assert!(directory.write(&name, u64::MAX, |writer| writer.append(b"new")).is_err(), "no space");
        assert_eq!(directory.read(&name, read_all).as_deref(), Some(&b"old"[..]));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn files_that_were_not_used_for_a_week_are_deleted() {
        let root = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(Clock::default().now());
        let directory = TableDirectory::open(root.path(), clock.clone()).unwrap();
        let [used, unused, new] = ["used", "unused", "new"].map(|name| CollectionName::new(name).unwrap());
        for name in [&used, &unused] {
            directory.write(name, 1, |writer| writer.append(b"x")).unwrap();
        }
        fs::write(root.path().join("0123.tmp"), "of a killed process").unwrap();
        clock.set(clock.now() + TimeDelta::days(5));
        directory.read(&used, read_all).unwrap();
        clock.set(clock.now() + TimeDelta::days(5));
        directory.write(&new, 1, |writer| writer.append(b"x")).unwrap();
        let exists = [&used, &unused, &new].map(|name| directory.path(name).exists());
        assert_eq!(exists, [true, false, true]);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
    }
}
