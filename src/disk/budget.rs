//! The disk budget: the bound on the bytes of local segments, and the eviction of unused ones.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    content::{ContentDirectory, LocalFile},
    error::Error,
};
use crate::domain::{digest::Digest, name::CollectionName};

/// Youngest file that may be evicted: the task that fetched a younger one may be about to read it.
const EVICTION_AGE_MIN: Duration = Duration::from_mins(1);

/// Bytes of the disk that segments leave free, for the key set and the state: a revocation must be saved also when no
/// further segment fits.
pub(super) const FREE_BYTES_MIN: u64 = 1024 * 1024;

/// A part of the node that needs a set of segments.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SegmentUser {
    /// The saved state, from which the next start serves.
    State,
    /// The served version of a collection.
    Served(CollectionName),
    /// The version of a collection that is being fetched and applied.
    Incoming(CollectionName),
}

/// The budget of one directory, shared by all of its handles.
#[derive(Debug)]
pub(super) struct DiskBudget {
    bytes_max: u64,
    usage: Mutex<Usage>,
}

#[derive(Debug, Default)]
struct Usage {
    /// Bytes of whole files; `None` when they must be counted again.
    written: Option<u64>,
    /// Bytes reserved for files that are being written.
    reserved: u64,
    /// Segments that must not be evicted; `None` in a process that must not evict.
    in_use: Option<BTreeMap<SegmentUser, Vec<Digest>>>,
}

impl DiskBudget {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, usage: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes taken, as far as they were counted, and the budget.
    pub(super) fn usage(&self) -> (u64, u64) {
        let usage = self.lock();
        (usage.written.unwrap_or(0) + usage.reserved, self.bytes_max)
    }

    /// Counts the files again before the next one is written.
    pub(super) fn count_again(&self) {
        self.lock().written = None;
    }

    pub(super) fn allow_eviction(&self) {
        self.lock().in_use.get_or_insert_default();
    }

    /// Replaces the segments that `user` needs.
    pub(super) fn set_in_use(&self, user: SegmentUser, digests: Vec<Digest>) {
        let mut usage = self.lock();
        let in_use = usage.in_use.get_or_insert_default();
        if digests.is_empty() {
            in_use.remove(&user);
        } else {
            in_use.insert(user, digests);
        }
    }

    /// Reserves `bytes` for a file to be written, until the reservation is dropped. Blocks.
    pub(super) fn reserve(
        self: &Arc<Self>,
        files: &ContentDirectory,
        bytes: u64,
    ) -> Result<Reservation, Error> {
        let mut usage = self.lock();
        self.ensure_space(&mut usage, files, bytes)?;
        usage.reserved += bytes;
        Ok(Reservation { budget: Arc::clone(self), bytes })
    }

    /// Ensures that `bytes` more fit, without reserving them. Blocks.
    pub(super) fn check(&self, files: &ContentDirectory, bytes: u64) -> Result<(), Error> {
        self.ensure_space(&mut self.lock(), files, bytes)
    }

    fn ensure_space(&self, usage: &mut Usage, files: &ContentDirectory, bytes: u64) -> Result<(), Error> {
        let wanted = usage.reserved.saturating_add(bytes);
        let fits = |written: u64, free: u64| {
            let is_free = wanted.saturating_add(FREE_BYTES_MIN) <= free;
            written.saturating_add(wanted) <= self.bytes_max && is_free
        };
        let mut free = files.free_bytes();
        if usage.written.is_some_and(|written| fits(written, free)) {
            return Ok(());
        }
        let found = files.list()?;
        let mut written: u64 = found.iter().map(|file| file.bytes).sum();
        if !fits(written, free) {
            for file in usage.evictable(found) {
                if fits(written, free) {
                    break;
                }
                if std::fs::remove_file(&file.path).is_ok() {
                    tracing::info!(
                        bytes = file.bytes,
                        "an unused local segment was deleted to free disk space"
                    );
                    written -= file.bytes;
                    free = free.saturating_add(file.bytes);
                }
            }
        }
        usage.written = Some(written);
        if fits(written, free) {
            return Ok(());
        }
        let (path, limit) = (files.root().to_owned(), self.bytes_max);
        Err(Error::BudgetExceeded { path, bytes, taken: written + usage.reserved, limit, free })
    }
}

impl Usage {
    /// Unused files, the least recently used first.
    fn evictable(&self, found: Vec<LocalFile>) -> Vec<LocalFile> {
        let Some(in_use) = &self.in_use else { return Vec::new() };
        let in_use: HashSet<&Digest> = in_use.values().flatten().collect();
        let is_evictable = |file: &LocalFile| {
            file.age >= EVICTION_AGE_MIN && file.digest.as_ref().is_none_or(|digest| !in_use.contains(digest))
        };
        let mut evictable: Vec<LocalFile> = found.into_iter().filter(is_evictable).collect();
        evictable.sort_by_key(|file| Reverse(file.age));
        evictable
    }
}

/// Bytes of the budget for a file that is being written.
#[derive(Debug)]
pub(super) struct Reservation {
    budget: Arc<DiskBudget>,
    bytes: u64,
}

impl Reservation {
    /// Counts the file as written: it is whole and stays.
    pub(super) fn commit(self) {
        let mut usage = self.budget.lock();
        usage.written = usage.written.map(|written| written + self.bytes);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.lock().reserved -= self.bytes;
    }
}
