//! One collection in memory: its content, and the look-up.

use std::{
    cell::RefCell,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering, fence},
    },
};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};

use super::{
    Error,
    apply::Application,
    build::build,
    index::{Hashing, Index, Located, Rule},
    location::{Location, SEGMENTS_MAX, Segments},
};
use crate::{
    domain::{
        index::IndexDefinition,
        manifest::{Manifest, SegmentKind, SegmentReference},
    },
    segment::{self, Codec, Decoder, Segment},
};

/// Most retries of a look-up while changes are applied. Each retry means that a segment was appended, or an
/// overflow set removed, between two reads of a pointer; even two in a row are rare.
const RETRIES_MAX: usize = 1000;

/// Most times that the look-ups of one answer are made: changes take longer to apply than a few answers.
const ATTEMPTS_AT_ONCE_MAX: usize = 3;

/// The served state of a collection. Both fields change together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The manifest of the last version that was applied in full.
    pub manifest: Arc<Manifest>,
    /// The time of the last read of the source that had this state.
    pub data_as_of: DateTime<Utc>,
}

/// The outcome of a look-up.
#[derive(Debug)]
pub enum Lookup {
    /// The record is in the buffer.
    Hit {
        /// See [`segment::fingerprint`]; the `ETag` is made of it.
        fingerprint: u128,
    },
    /// No record holds the value.
    Miss,
    /// The collection has no such index.
    UnknownIndex,
    /// The record exists but its bytes are damaged, which never happens in a verified segment.
    Unreadable(segment::Error),
}

/// One collection: segments, indexes, state. Any number of readers, one writer at a time.
#[derive(Debug)]
pub struct Collection {
    definitions: Vec<IndexDefinition>,
    pub(super) indexes: Vec<Index>,
    pub(super) segments: ArcSwap<Segments>,
    served: ArcSwap<Served>,
    pub(super) records: AtomicU64,
    /// Odd while changes are applied; it only rises.
    changes: AtomicU64,
    /// Live rows of each segment. Its lock is the writer's.
    pub(super) live: Mutex<Vec<u64>>,
}

thread_local! {
    static DECODER: RefCell<Decoder> = RefCell::new(Decoder::new());
}

impl Collection {
    /// Builds a collection from all segments of `manifest`, in its order. Uses all cores. `seed` is random and
    /// unknown outside the process: otherwise chosen values could slow look-ups down.
    pub fn build(manifest: Arc<Manifest>, segments: Vec<Arc<Segment>>, seed: u64) -> Result<Self, Error> {
        Self::build_hashed(manifest, segments, Hashing { seed, mask: u64::MAX })
    }

    pub(super) fn build_hashed(
        manifest: Arc<Manifest>,
        segments: Vec<Arc<Segment>>,
        hashing: Hashing,
    ) -> Result<Self, Error> {
        check_segments(&manifest, &segments)?;
        check_references(&manifest.segments.iter().collect::<Vec<_>>(), &segments)?;
        if segments.len() > SEGMENTS_MAX {
            return Err(Error::TooManySegments);
        }
        let mut all = Segments::default();
        for segment in segments {
            all.push(segment);
        }
        let built = build(&all, &Rule::of_all(&manifest.indexes), manifest.records, hashing);
        if built.records != manifest.records {
            return Err(Error::Miscounted { expected: manifest.records, found: built.records });
        }
        for (number, live) in built.live.iter().enumerate() {
            if *live == 0 {
                all.drop(number);
            }
        }
        Ok(Self {
            definitions: manifest.indexes.clone(),
            indexes: built.indexes,
            segments: ArcSwap::from_pointee(all),
            served: ArcSwap::from_pointee(Served { data_as_of: manifest.data_as_of, manifest }),
            records: AtomicU64::new(built.records),
            changes: AtomicU64::new(0),
            live: Mutex::new(built.live),
        })
    }

    /// Applies change segments in place and then serves `manifest`. `segments` are those of the manifest with a
    /// version above the served one, in its order. Until the end readers see each record as before or after the
    /// change, and the version as before.
    ///
    /// Everything is checked before anything changes, except for the number of records at the end: after
    /// [`Error::Miscounted`] the collection must be built again.
    pub fn apply(&self, manifest: Arc<Manifest>, segments: Vec<Arc<Segment>>) -> Result<(), Error> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_successor(&manifest)?;
        check_segments(&manifest, &segments)?;
        let served = self.served.load().manifest.version;
        let above: Vec<_> = manifest.segments.iter().filter(|reference| reference.version > served).collect();
        if above.iter().any(|reference| reference.kind == SegmentKind::Base) {
            return Err(Error::NewBase);
        }
        check_references(&above, &segments)?;
        self.changes.fetch_add(1, Ordering::AcqRel);
        let applied = self.apply_and_serve(manifest, segments, &mut live);
        self.changes.fetch_add(1, Ordering::Release);
        applied
    }

    fn apply_and_serve(
        &self,
        manifest: Arc<Manifest>,
        segments: Vec<Arc<Segment>>,
        live: &mut Vec<u64>,
    ) -> Result<(), Error> {
        self.apply_segments(segments, live)?;
        let found = self.records.load(Ordering::Relaxed);
        if found != manifest.records {
            return Err(Error::Miscounted { expected: manifest.records, found });
        }
        self.served.store(Arc::new(Served { data_as_of: manifest.data_as_of, manifest }));
        Ok(())
    }

    /// Gives readers `segments`, applies them, and drops segments without live records. `live` is locked.
    pub(super) fn apply_segments(
        &self,
        segments: Vec<Arc<Segment>>,
        live: &mut Vec<u64>,
    ) -> Result<(), Error> {
        let mut all = Segments::clone(&self.segments.load());
        let first = all.len();
        if first + segments.len() > SEGMENTS_MAX {
            return Err(Error::TooManySegments);
        }
        for segment in segments {
            all.push(segment);
        }
        self.segments.store(Arc::new(all.clone()));
        live.resize(all.len(), 0);
        self.apply_from(first, &mut all, live);
        Ok(())
    }

    /// Applies the segments from `first` on, which readers already have, and drops those without live
    /// records.
    fn apply_from(&self, first: usize, all: &mut Segments, live: &mut [u64]) {
        let mut application = Application::new(&self.indexes, all);
        for number in first..all.len() {
            application.apply(number);
        }
        let records = application.records;
        for (live, change) in live.iter_mut().zip(application.live) {
            *live = live.saturating_add_signed(change);
        }
        self.records.fetch_add(records.cast_unsigned(), Ordering::Relaxed);
        let mut is_changed = false;
        for (number, live) in live.iter().enumerate() {
            if *live == 0 {
                is_changed |= all.drop(number);
            }
        }
        if is_changed {
            self.segments.store(Arc::new(all.clone()));
        }
    }

    /// Serves `manifest`, which has the records of the present one and other serving settings.
    pub fn update_manifest(&self, manifest: Arc<Manifest>) -> Result<(), Error> {
        let _writer = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        self.serve(manifest)
    }

    /// Serves `manifest`, whose records are those of the present one. The writer's lock is held.
    pub(super) fn serve(&self, manifest: Arc<Manifest>) -> Result<(), Error> {
        self.check_successor(&manifest)?;
        let served = self.served.load();
        let data_as_of = if manifest.version == served.manifest.version {
            manifest.data_as_of.max(served.data_as_of)
        } else {
            manifest.data_as_of
        };
        self.served.store(Arc::new(Served { manifest, data_as_of }));
        Ok(())
    }

    /// Records that the source was unchanged at `data_as_of`; an earlier time is ignored.
    pub fn set_freshness(&self, data_as_of: DateTime<Utc>) {
        let _writer = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let served = self.served.load();
        if data_as_of > served.data_as_of {
            let manifest = Arc::clone(&served.manifest);
            self.served.store(Arc::new(Served { manifest, data_as_of }));
        }
    }

    pub(super) fn check_successor(&self, manifest: &Manifest) -> Result<(), Error> {
        let served = self.served.load();
        if manifest.collection != served.manifest.collection || manifest.indexes != self.definitions {
            return Err(Error::IndexesChanged);
        }
        if manifest.version < served.manifest.version {
            return Err(Error::Older { served: served.manifest.version, offered: manifest.version });
        }
        Ok(())
    }

    /// Writes the record that holds `value` under `index` into `out`, which is cleared first. `value` is
    /// normalised here.
    ///
    /// To report a version with the record, call [`Collection::state`] *before* the look-up: then the record
    /// is of that version or a later one, never of an older one.
    pub fn lookup(&self, index: &str, value: &str, out: &mut Vec<u8>) -> Lookup {
        out.clear();
        let Some(number) = self.number_of(index) else { return Lookup::UnknownIndex };
        let Some(requested) = self.definitions[number].requested(value) else { return Lookup::Miss };
        for _ in 0..RETRIES_MAX {
            // Loaded before the index is read: it has every segment that may since have been dropped.
            let segments = self.segments.load();
            match self.indexes[number].locate(&segments, &requested) {
                Located::At(at) => return read(&segments, at, out),
                Located::Nowhere => return Lookup::Miss,
                Located::Stale => {}
            }
        }
        Lookup::Unreadable(segment::Error::Corrupt("an index leads to no record"))
    }

    /// Prefetches the memory that look-ups of `values` will read, so that the waits for memory overlap. It has no other
    /// effect.
    pub fn touch<'a>(&self, index: &str, values: impl Iterator<Item = &'a str>) {
        let Some(number) = self.number_of(index) else { return };
        let (definition, index) = (&self.definitions[number], &self.indexes[number]);
        let segments = self.segments.load();
        let located = values.filter_map(|value| index.likely(&definition.requested(value)?));
        let located: Vec<Location> = located.collect();
        let touched = located.iter().filter_map(|at| Some(segments.get(at.segment())?.touch(at.row())));
        std::hint::black_box(touched.fold(0, |all, byte| all ^ byte));
    }

    pub(super) fn definitions(&self) -> &[IndexDefinition] {
        &self.definitions
    }

    pub(super) fn number_of(&self, index: &str) -> Option<usize> {
        let is_it = |definition: &IndexDefinition| definition.name.as_str() == index && !definition.is_order;
        self.definitions.iter().position(is_it)
    }

    /// Calls `answer` with the served state, to build an answer from several look-ups. When changes are applied
    /// meanwhile, calls it again, `ATTEMPTS_AT_ONCE_MAX` times at most. Without changes during a call, all records are
    /// of the version of that state. After the last attempt, each may be of that version or of a later one.
    pub fn read_at_once<T>(&self, mut answer: impl FnMut(&Arc<Served>) -> T) -> T {
        let mut attempt = 1;
        loop {
            let before = self.changes.load(Ordering::Acquire);
            let answered = answer(&self.state());
            fence(Ordering::Acquire);
            let is_unchanged = before.is_multiple_of(2) && self.changes.load(Ordering::Relaxed) == before;
            if is_unchanged || attempt == ATTEMPTS_AT_ONCE_MAX {
                return answered;
            }
            attempt += 1;
        }
    }

    /// The state that is served now.
    pub fn state(&self) -> Arc<Served> {
        self.served.load_full()
    }

    /// Number of records.
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Claims (a record and a value of it under a secondary index) that lose to a record with a lower primary
    /// key.
    pub fn conflicts(&self) -> u64 {
        self.indexes.iter().map(Index::conflicts).sum()
    }

    /// Its memory in bytes: segments, dictionaries, indexes.
    pub fn bytes(&self) -> u64 {
        let segments = self.segments.load();
        let mut dictionaries = std::collections::HashMap::new();
        for segment in segments.iter() {
            if let Codec::Zstd(dictionary) = segment.codec() {
                dictionaries.insert(dictionary.digest(), dictionary.memory());
            }
        }
        let files: usize = segments.iter().map(|segment| segment.byte_len()).sum();
        let indexes: usize = self.indexes.iter().map(Index::memory).sum();
        (files + dictionaries.values().sum::<usize>() + indexes) as u64
    }

    /// Overflow sets of all indexes.
    #[cfg(test)]
    pub(super) fn overflow_sets(&self) -> usize {
        self.indexes.iter().map(Index::overflow_sets).sum()
    }

    /// The segments with live records, in the order in which they were applied.
    pub fn segments(&self) -> Vec<Arc<Segment>> {
        self.segments.load().iter().cloned().collect()
    }
}

/// Decodes the record at `at`.
fn read(segments: &Segments, at: Location, out: &mut Vec<u8>) -> Lookup {
    let Some(segment) = segments.get(at.segment()) else { return Lookup::Miss };
    let decoded = DECODER.with_borrow_mut(|decoder| decoder.decode(segment, at.row(), out));
    match decoded {
        Ok(()) => Lookup::Hit { fingerprint: segment.fingerprint(at.row()) },
        Err(error) => Lookup::Unreadable(error),
    }
}

/// Checks that all segments belong to the manifest's collection and have its indexes.
pub(super) fn check_segments(manifest: &Manifest, segments: &[Arc<Segment>]) -> Result<(), Error> {
    let secondary = manifest.indexes.get(1..).ok_or(Error::IndexesChanged)?;
    for (number, segment) in segments.iter().enumerate() {
        if *segment.collection() != manifest.collection {
            return Err(Error::OtherCollection(number));
        }
        let is_same = segment.secondary().len() == secondary.len()
            && segment.secondary().iter().zip(secondary).all(|(a, b)| a.name == b.name && a.each == b.each);
        if !is_same {
            return Err(Error::OtherIndexes(number));
        }
    }
    Ok(())
}

/// Checks that the segments match their references, as far as kinds and counts tell.
pub(super) fn check_references(
    references: &[&SegmentReference],
    segments: &[Arc<Segment>],
) -> Result<(), Error> {
    if references.len() != segments.len() {
        return Err(Error::OtherSegments("their number"));
    }
    for (reference, segment) in references.iter().zip(segments) {
        if reference.kind != segment.kind() {
            return Err(Error::OtherSegments("base or changes"));
        }
        if reference.rows != u64::from(segment.rows()) || reference.deletes != u64::from(segment.deletes()) {
            return Err(Error::OtherSegments("their rows"));
        }
    }
    Ok(())
}
