//! The directory in which a query of DuckDB keeps what does not fit into its memory.
//!
//! DuckDB gives these files the same names in every process. Two that share a directory read each other's rows as their
//! own, so each worker has one for itself. It is removed with the worker, or by a later one when the worker was killed.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use uuid::Uuid;

use super::job::Job;
use crate::support::{file_lock::FileLock, private_file};

/// The entry point of DuckDB's library, by which it is known whatever its file is called.
pub(super) const DUCKDB: &str = "duckdb_adbc_init";
/// DuckDB's option; empty to fail a query that needs more than its memory.
const OPTION: &str = "temp_directory";
/// What the names of directories begin with, and what a lock's name has behind the directory's.
const PREFIX: &str = "larder-duckdb-";
const LOCK_SUFFIX: &str = ".lock";
/// Most names that are looked at for directories of workers that were killed: others may use the place, too.
const NAMES_MAX: usize = 10_000;

/// That of this process, to be removed at its end.
static OWN: OnceLock<Scratch> = OnceLock::new();

#[derive(Debug)]
struct Scratch {
    directory: PathBuf,
    _lock: FileLock,
}

/// Gives the job of a worker of DuckDB a directory of its own, below the one that its options name or `temp_dir`.
pub(super) fn give_directory(job: &mut Job) {
    if job.entrypoint.as_deref() != Some(DUCKDB) {
        return;
    }
    let named = job.options.iter().position(|(name, _)| name == OPTION);
    let base = named.map_or_else(|| job.temp_dir.clone(), |at| PathBuf::from(job.options.remove(at).1));
    remove_abandoned(&base);
    // Most queries need none, so a place that cannot be written fails those only that do.
    let directory = Scratch::create(&base).ok().and_then(|scratch| {
        let directory = scratch.directory.to_str().map(str::to_owned);
        OWN.set(scratch).ok().and(directory)
    });
    job.options.push((OPTION.to_owned(), directory.unwrap_or_default()));
}

/// Removes the directory of this process. Nothing may be asked of the driver any more.
pub(super) fn remove_own() {
    if let Some(scratch) = OWN.get() {
        remove(&scratch.directory);
    }
}

impl Scratch {
    fn create(base: &Path) -> io::Result<Self> {
        let directory = base.join(format!("{PREFIX}{}", Uuid::now_v7()));
        let lock = FileLock::try_acquire(&lock_of(&directory))?.ok_or(io::ErrorKind::WouldBlock)?;
        private_file::create_directory(&directory)?;
        Ok(Self { directory, _lock: lock })
    }
}

fn lock_of(directory: &Path) -> PathBuf {
    let mut path = directory.as_os_str().to_owned();
    path.push(LOCK_SUFFIX);
    path.into()
}

/// Removes the directories whose worker has ended: nobody holds their locks.
fn remove_abandoned(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten().take(NAMES_MAX) {
        let name = entry.file_name();
        let Some(name) = name.to_str().and_then(|name| name.strip_suffix(LOCK_SUFFIX)) else { continue };
        if name.starts_with(PREFIX) && matches!(FileLock::try_acquire(&entry.path()), Ok(Some(_))) {
            remove(&base.join(name));
        }
    }
}

/// The lock goes last: what is left over is found by it.
fn remove(directory: &Path) {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {}
        _ => drop(fs::remove_file(lock_of(directory))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_workers_that_have_ended_are_removed_and_no_others() {
        let base = tempfile::tempdir().unwrap();
        let names = || {
            let names = fs::read_dir(base.path()).unwrap().map(|entry| entry.unwrap().file_name());
            names.map(|name| name.into_string().unwrap()).collect::<Vec<_>>()
        };
        let living = Scratch::create(base.path()).unwrap();
        let ended = Scratch::create(base.path()).unwrap();
        assert_ne!(living.directory, ended.directory);
        for scratch in [&living, &ended] {
            fs::write(scratch.directory.join("rows"), "text").unwrap();
        }
        for other in ["larder-duckdb-mine", "other.lock"] {
            fs::write(base.path().join(other), "").unwrap();
        }
        let before = names().len();
        drop(ended);
        remove_abandoned(base.path());
        assert_eq!(names().len(), before - 2);
        assert!(living.directory.join("rows").exists());
        remove(&living.directory);
        assert_eq!(names().len(), before - 4);
    }
}
