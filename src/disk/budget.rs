//! The bound on the bytes of local segments, and what goes when there is no room for more.

use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::disk::content::{ContentDirectory, Found};
use crate::domain::{digest::Digest, name::CollectionName};
use crate::store::error::Error;

/// What nothing needs stays this long even when room is wanted: whoever fetched it may be about to
/// read it.
const PRESSED_KEPT: Duration = Duration::from_mins(1);

/// Who needs a segment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The state on the disk, from which the next start serves.
    State,
    /// A collection as it is served.
    Served(CollectionName),
    /// What a collection is becoming.
    Coming(CollectionName),
}

/// The room of one directory, shared by all of its handles.
#[derive(Debug)]
pub(crate) struct Room {
    bytes_max: u64,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    /// Bytes of files, as counted last and added since; `None` when they are to be counted.
    kept: Option<u64>,
    /// Bytes promised to files that are being written.
    claimed: u64,
    /// What must stay; `None` in a process that must not remove anything.
    needed: Option<BTreeMap<Need, Vec<Digest>>>,
}

impl Room {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, taken: Mutex::default() }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes taken, as far as they were counted, and the bound.
    pub(crate) fn usage(&self) -> (u64, u64) {
        let taken = self.taken();
        (taken.kept.unwrap_or(0) + taken.claimed, self.bytes_max)
    }

    /// Files are counted again before the next one is written.
    pub(crate) fn count_again(&self) {
        self.taken().kept = None;
    }

    /// From now on this process removes what nothing needs when room is wanted.
    pub(crate) fn own(&self) {
        self.taken().needed.get_or_insert_default();
    }

    /// `digests` are what `need` needs; what it needed before goes.
    pub(crate) fn need(&self, need: Need, digests: Vec<Digest>) {
        let mut taken = self.taken();
        let needed = taken.needed.get_or_insert_default();
        if digests.is_empty() {
            needed.remove(&need);
        } else {
            needed.insert(need, digests);
        }
    }

    /// Room for a file of `bytes` bytes, which is the claim's until it is dropped. Blocks.
    pub(crate) fn claim(self: &Arc<Self>, files: &ContentDirectory, bytes: u64) -> Result<Claim, Error> {
        let mut taken = self.taken();
        self.make_room(&mut taken, files, bytes)?;
        taken.claimed += bytes;
        Ok(Claim { room: Arc::clone(self), bytes })
    }

    /// Makes sure that there is room for `bytes`, without taking it. Blocks.
    pub(crate) fn check(&self, files: &ContentDirectory, bytes: u64) -> Result<(), Error> {
        self.make_room(&mut self.taken(), files, bytes)
    }

    fn make_room(&self, taken: &mut Taken, files: &ContentDirectory, bytes: u64) -> Result<(), Error> {
        let wanted = taken.claimed.saturating_add(bytes);
        let fits = |kept: u64, free: u64| kept.saturating_add(wanted) <= self.bytes_max && wanted <= free;
        let mut free = files.free_bytes();
        if taken.kept.is_some_and(|kept| fits(kept, free)) {
            return Ok(());
        }
        let found = files.list()?;
        let mut kept: u64 = found.iter().map(|file| file.bytes).sum();
        if !fits(kept, free) {
            for file in taken.dispensable(found) {
                if fits(kept, free) {
                    break;
                }
                if std::fs::remove_file(&file.path).is_ok() {
                    tracing::info!(bytes = file.bytes, "a local segment that nothing needs made room");
                    kept -= file.bytes;
                    free = free.saturating_add(file.bytes);
                }
            }
        }
        taken.kept = Some(kept);
        if fits(kept, free) {
            return Ok(());
        }
        let (path, limit): (PathBuf, u64) = (files.root().to_owned(), self.bytes_max);
        Err(Error::NoRoom { path, bytes, taken: kept + taken.claimed, limit, free })
    }
}

impl Taken {
    /// Files that nothing needs, those first that were used least recently.
    fn dispensable(&self, found: Vec<Found>) -> Vec<Found> {
        let Some(needed) = &self.needed else { return Vec::new() };
        let needed: HashSet<&Digest> = needed.values().flatten().collect();
        let is_dispensable = |file: &Found| {
            file.age >= PRESSED_KEPT && file.digest.as_ref().is_none_or(|digest| !needed.contains(digest))
        };
        let mut dispensable: Vec<Found> = found.into_iter().filter(is_dispensable).collect();
        dispensable.sort_by_key(|file| std::cmp::Reverse(file.age));
        dispensable
    }
}

/// Room for a file that is being written.
#[derive(Debug)]
pub(crate) struct Claim {
    room: Arc<Room>,
    bytes: u64,
}

impl Claim {
    /// The file is whole and stays.
    pub(crate) fn keep(self) {
        let mut taken = self.room.taken();
        taken.kept = taken.kept.map(|kept| kept + self.bytes);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.room.taken().claimed -= self.bytes;
    }
}
