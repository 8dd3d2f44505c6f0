//! Locks that the operating system releases when the process ends, also after `kill -9`.

use std::{
    fs::{File, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use super::private_file;

/// Longest text read from a lock file: a process id in decimal digits.
const PROCESS_ID_BYTES_MAX: u64 = 20;
/// The lock file in a locked directory.
const DIRECTORY_LOCK_NAME: &str = "larder.lock";

/// An exclusive lock on a file (`flock`). Two open files conflict, also within one process. The lock is
/// released by [`FileLock::release`], on drop, and when the process ends. The file itself is never deleted:
/// otherwise two processes could lock two different files of one name.
#[derive(Debug)]
pub struct FileLock(File);

impl FileLock {
    /// Locks the file at `path`, which is created (0600) if missing. `None` when the lock is held elsewhere.
    /// Does not wait.
    pub fn try_acquire(path: &Path) -> io::Result<Option<Self>> {
        let file = private_file::options().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Releases the lock. A second call has no effect.
    pub fn release(&self) -> io::Result<()> {
        self.0.unlock()
    }
}

/// Why a directory could not be locked.
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another server holds the lock.
    #[error(
        "another larder server{} uses the directory {}; stop it, or give this one another data_dir",
        process.map(|process| format!(" (process {process})")).unwrap_or_default(),
        directory.display()
    )]
    Held {
        directory: PathBuf,
        /// The process id that the holder wrote.
        process: Option<u32>,
    },
    /// The directory or its lock file could not be created or opened.
    #[error("cannot create or lock the directory {}: {source}; check that it may be written", directory.display())]
    Io { directory: PathBuf, source: io::Error },
}

impl LockError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Held { .. } => "data_dir_locked",
            Self::Io { .. } => "data_dir_unusable",
        }
    }
}

/// A server's lock on its `data_dir`, released on drop and when the process ends.
#[derive(Debug)]
pub struct DirectoryLock {
    _lock: FileLock,
}

impl DirectoryLock {
    /// Locks `directory`, which is created (0700) if missing. Blocks for a disk access; does not wait for the
    /// lock.
    pub fn acquire(directory: &Path) -> Result<Self, LockError> {
        let unusable = |source| LockError::Io { directory: directory.to_owned(), source };
        private_file::create_directory(directory).map_err(unusable)?;
        let path = directory.join(DIRECTORY_LOCK_NAME);
        let Some(lock) = FileLock::try_acquire(&path).map_err(unusable)? else {
            return Err(LockError::Held { directory: directory.to_owned(), process: read_process_id(&path) });
        };
        // The id only improves the other server's message; a full disk must not prevent the start.
        let _ = write_process_id(&lock.0);
        Ok(Self { _lock: lock })
    }
}

fn write_process_id(mut file: &File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}

fn read_process_id(path: &Path) -> Option<u32> {
    let mut text = String::new();
    File::open(path).ok()?.take(PROCESS_ID_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::{
        io::BufRead,
        process::{Command, Stdio},
        time::{Duration, Instant},
    };

    use super::*;

    #[test]
    fn a_lock_excludes_others_until_it_is_released_or_dropped() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("l");
        let first = FileLock::try_acquire(&path).unwrap().unwrap();
        assert!(FileLock::try_acquire(&path).unwrap().is_none());
        first.release().unwrap();
        first.release().unwrap();
        let second = FileLock::try_acquire(&path).unwrap().unwrap();
        assert!(FileLock::try_acquire(&path).unwrap().is_none());
        drop(first);
        assert!(FileLock::try_acquire(&path).unwrap().is_none(), "the first's drop frees only the first");
        drop(second);
        assert!(FileLock::try_acquire(&path).unwrap().is_some());
    }

    #[test]
    fn a_second_server_learns_directory_and_process_of_the_holder() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("data");
        let held = DirectoryLock::acquire(&directory).unwrap();
        let error = DirectoryLock::acquire(&directory).unwrap_err();
        assert_eq!(error.code(), "data_dir_locked");
        let message = error.to_string();
        assert!(message.contains(directory.to_str().unwrap()), "{message}");
        assert!(message.contains(&format!("(process {})", std::process::id())), "{message}");
        drop(held);
        DirectoryLock::acquire(&directory).unwrap();

        let file = root.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = DirectoryLock::acquire(&file).unwrap_err();
        assert_eq!(error.code(), "data_dir_unusable");
        assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    }

    #[test]
    fn a_killed_holder_releases_the_directory() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(DIRECTORY_LOCK_NAME);
        // flock(1) takes the same kind of lock; without a fork it is the process that holds it.
        let mut child = Command::new("flock")
            .arg("--no-fork")
            .arg(&path)
            .args(["sh", "-c", "echo held; exec sleep 600"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        let error = DirectoryLock::acquire(root.path()).unwrap_err();
        assert!(matches!(error, LockError::Held { process: None, .. }), "{error}");
        child.kill().unwrap();
        child.wait().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while DirectoryLock::acquire(root.path()).is_err() {
            assert!(Instant::now() < deadline, "a dead process still holds the lock");
            std::thread::yield_now();
        }
    }
}
