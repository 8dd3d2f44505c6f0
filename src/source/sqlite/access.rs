//! How a SQLite file is opened, so that the program that writes it can go on writing.
//!
//! A reader of a file in WAL mode makes the files `-wal` and `-shm` when they are not there. Made by another
//! user than the file's owner, they would keep the owner from writing. So SQLite opens a file in its usual way
//! only when it can make no file, or when what it makes belongs to the owner. See
//! `docs/adr/sqlite-leaves-no-files.md`.

use std::{
    fs::{self, File, Metadata},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustix::fs::{Access, AtFlags, CWD, StatVfsMountFlags, accessat, statvfs};
use sqlx::sqlite::SqliteConnectOptions;

use crate::source::{
    error::{Error, cause, file_error},
    file::{Stamp, changed, regular},
};

/// Where the header of a file has the versions of its format for writers and readers; 2 is WAL
/// (<https://www.sqlite.org/fileformat2.html#file_format_version_numbers>).
const VERSIONS_AT: u64 = 18;
const VERSION_WAL: u8 = 2;

/// A database file.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    /// Kept open: closing any descriptor of a file ends the locks that this process has on it for SQLite.
    opened: Mutex<Option<Arc<File>>>,
}

/// How SQLite opens a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// As SQLite does it.
    Usual,
    /// With the index of the log (`-shm`) that is there; none is made.
    GivenIndex,
    /// Without locks and without other files: nobody can be writing.
    Immutable,
}

/// Why a file is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// SQLite would make files that the owner cannot use.
    WouldBlockOwner,
    /// SQLite would give a file to another owner.
    OtherOwner,
    /// The log holds changes, and its index is missing.
    IndexMissing,
    /// Neither log nor index is there, none can be made, and somebody may be writing.
    LogMissing,
}

/// What the decision depends on.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a file and its directory")]
struct Facts {
    /// The header says so, or there is a log.
    is_wal: bool,
    wal_bytes: Option<u64>,
    journal_bytes: u64,
    has_index: bool,
    /// This process can make files in the directory.
    can_create: bool,
    /// What this process makes belongs to the file's owner.
    creates_as_owner: bool,
    /// Nobody has the right to write the file, or its file system is read-only.
    nobody_can_write: bool,
    /// SQLite would change the owner of a log or index that is there.
    would_change_owner: bool,
}

impl Facts {
    fn decide(self) -> Result<Mode, Refusal> {
        if !self.is_wal {
            return Ok(Mode::Usual);
        }
        let is_log_empty = self.wal_bytes.is_none() || (self.wal_bytes == Some(0) && !self.has_index);
        if self.nobody_can_write && is_log_empty && self.journal_bytes == 0 {
            return Ok(Mode::Immutable);
        }
        if self.would_change_owner {
            return Err(Refusal::OtherOwner);
        }
        match (self.can_create, self.wal_bytes) {
            (true, _) if self.creates_as_owner => Ok(Mode::Usual),
            (true, _) => Err(Refusal::WouldBlockOwner),
            (false, Some(_)) if self.has_index => Ok(Mode::GivenIndex),
            (false, Some(1..)) => Err(Refusal::IndexMissing),
            (false, _) => Err(Refusal::LogMissing),
        }
    }
}

impl DatabaseFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, opened: Mutex::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Finds out how to open the file. Reads the file system: may block.
    pub(super) fn access(&self) -> Result<FileAccess, Error> {
        let unopened = |error| file_error(&self.path, &error);
        // The other files are beside the file that a link leads to.
        let path = self.path.canonicalize().map_err(unopened)?;
        let metadata = regular(&path).map_err(unopened)?;
        let file = self.opened(&path, &metadata).map_err(unopened)?;
        let mut versions = [0; 2];
        let is_wal =
            file.read_exact_at(&mut versions, VERSIONS_AT).is_ok() && versions.contains(&VERSION_WAL);
        let facts = facts(&path, &metadata, is_wal).map_err(unopened)?;
        let mode = facts.decide().map_err(|refusal| self.refused(refusal))?;
        Ok(FileAccess { path, mode, stamp: Stamp::of(&metadata), file })
    }

    /// The file, opened for reading once for as long as it is the same file.
    fn opened(&self, path: &Path, metadata: &Metadata) -> std::io::Result<Arc<File>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*opened
            && is_same(&file.metadata()?, metadata)
        {
            return Ok(Arc::clone(file));
        }
        Ok(Arc::clone(opened.insert(Arc::new(File::open(path)?))))
    }

    fn refused(&self, refusal: Refusal) -> Error {
        let path = self.path.display();
        let (reason, hint) = match refusal {
            Refusal::WouldBlockOwner => (
                "SQLite would make files beside it that its owner cannot use",
                "run larder as the file's owner, or take from its user the right to write in the directory, or \
                 let the writer use journal_mode = delete",
            ),
            Refusal::OtherOwner => (
                "its -wal or -shm file has another owner than the file itself, and SQLite would change that",
                "give all three files one owner, or run larder as another user than root",
            ),
            Refusal::IndexMissing => (
                "a writer left a -wal file with changes, without its -shm file",
                "let the program that writes the file open it once, or copy the -shm file, too",
            ),
            Refusal::LogMissing => (
                "it has no -wal and -shm files, this user cannot make them, and somebody may write to it meanwhile",
                "let the writer keep a connection open, or let it use journal_mode = delete, or run larder as the \
                 file's owner, or take everybody's right to write the file (chmod a-w) once it is complete",
            ),
        };
        let message = format!("cannot read {path}, which is in WAL mode: {reason}");
        Error::new(cause::FILE_UNREADABLE, message).with_hint(hint)
    }
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

fn facts(path: &Path, metadata: &Metadata, is_wal: bool) -> std::io::Result<Facts> {
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        fs::metadata(name).ok()
    };
    let (wal, index, journal) = (beside("-wal"), beside("-shm"), beside("-journal"));
    let is_read_only = statvfs(path)?.f_flag.contains(StatVfsMountFlags::RDONLY);
    let directory = path.parent().unwrap_or(Path::new("/"));
    let user = rustix::process::geteuid();
    // SQLite running as root gives each file that it makes or opens the owner of the database.
    let changes_owners = user.is_root() && can_change_owners();
    let owner = (metadata.uid(), metadata.gid());
    let others = [&wal, &index].into_iter().flatten().any(|file| (file.uid(), file.gid()) != owner);
    Ok(Facts {
        is_wal: is_wal || wal.is_some(),
        wal_bytes: wal.as_ref().map(Metadata::len),
        journal_bytes: journal.map_or(0, |file| file.len()),
        has_index: index.is_some(),
        can_create: accessat(CWD, directory, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).is_ok(),
        creates_as_owner: changes_owners || user.as_raw() == metadata.uid(),
        nobody_can_write: is_read_only || metadata.mode() & 0o222 == 0,
        would_change_owner: changes_owners && others && !is_read_only,
    })
}

/// Whether root may change owners: in a container it often may not.
fn can_change_owners() -> bool {
    rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(rustix::thread::CapabilitySet::CHOWN))
}

/// How one call opens the file.
#[derive(Debug)]
pub(super) struct FileAccess {
    path: PathBuf,
    mode: Mode,
    stamp: Stamp,
    file: Arc<File>,
}

impl FileAccess {
    /// The options of the connection.
    pub(super) fn options(&self) -> SqliteConnectOptions {
        let options = SqliteConnectOptions::new().read_only(true).create_if_missing(false);
        match self.mode {
            Mode::Usual => options.filename(&self.path),
            Mode::GivenIndex => options.filename(format!("file:{}?readonly_shm=1", encoded(&self.path))),
            Mode::Immutable => options.filename(&self.path).immutable(true),
        }
    }

    /// Fails when the file was read without locks and was written to meanwhile: a read-only mount keeps this
    /// process from writing, not everybody.
    pub(super) fn check_unchanged(&self) -> Result<(), Error> {
        if self.mode != Mode::Immutable {
            return Ok(());
        }
        self.stamp.check(&self.file, &self.path)?;
        let now = regular(&self.path).map_err(|error| file_error(&self.path, &error))?;
        // SQLite opened the path after this process looked at the file.
        let is_same = self.file.metadata().is_ok_and(|file| is_same(&file, &now));
        let is_quiet = facts(&self.path, &now, true).is_ok_and(|now| now.decide() == Ok(Mode::Immutable));
        if is_same && is_quiet { Ok(()) } else { Err(changed(&self.path)) }
    }
}

/// A path in a URI of SQLite (<https://www.sqlite.org/uri.html>).
fn encoded(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    bytes.fold(String::new(), |mut text, &byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_opened_only_where_its_owner_can_go_on() {
        use Mode::{GivenIndex, Immutable, Usual};
        let wal = Facts { is_wal: true, ..Facts::default() };
        let log = |bytes| Facts { wal_bytes: Some(bytes), has_index: true, ..wal };
        let can_create = |facts| Facts { can_create: true, ..facts };
        let as_owner = |facts| Facts { can_create: true, creates_as_owner: true, ..facts };
        let unwritten = |facts| Facts { nobody_can_write: true, ..facts };
        for (facts, expected) in [
            (Facts::default(), Ok(Usual)),
            (can_create(Facts::default()), Ok(Usual)),
            (as_owner(wal), Ok(Usual)),
            (as_owner(log(8)), Ok(Usual)),
            (wal, Err(Refusal::LogMissing)),
            (can_create(wal), Err(Refusal::WouldBlockOwner)),
            (can_create(log(8)), Err(Refusal::WouldBlockOwner)),
            (log(8), Ok(GivenIndex)),
            (log(0), Ok(GivenIndex)),
            (Facts { has_index: false, ..log(8) }, Err(Refusal::IndexMissing)),
            (Facts { has_index: false, ..log(0) }, Err(Refusal::LogMissing)),
            (unwritten(wal), Ok(Immutable)),
            (unwritten(as_owner(wal)), Ok(Immutable)),
            (unwritten(can_create(wal)), Ok(Immutable)),
            (unwritten(Facts { has_index: false, ..log(0) }), Ok(Immutable)),
            (unwritten(log(8)), Ok(GivenIndex)),
            (unwritten(log(0)), Ok(GivenIndex)),
            (unwritten(Facts { journal_bytes: 1, ..wal }), Err(Refusal::LogMissing)),
            (Facts { would_change_owner: true, ..as_owner(log(8)) }, Err(Refusal::OtherOwner)),
        ] {
            assert_eq!(facts.decide(), expected, "{facts:?}");
        }
    }

    #[test]
    fn paths_in_uris_are_encoded() {
        assert_eq!(encoded(Path::new("/a b/é?#%.db")), "/a%20b/%C3%A9%3F%23%25.db");
    }
}
