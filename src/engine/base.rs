//! The base of a run: the version that was newest when it started, as a table to compare with.

use std::collections::VecDeque;

use tokio::runtime::Handle;

use super::{
    diff::{BaseTable, Location},
    error::Error,
};
use crate::{
    disk::{Buffer, SegmentDirectory},
    domain::{
        catalog::CollectionEntry,
        digest::Digest,
        manifest::{Manifest, SegmentReference},
        name::CollectionName,
    },
    segment::{self, Codec, Dictionaries, Segment},
    store::Store,
};

/// Segments read while one is taken in; each costs its size in memory.
const READ_AHEAD: usize = 1;

/// What is announced of a collection when a run starts.
pub(super) struct Base {
    /// SHA-256 of the manifest: what the announcement is made from.
    pub(super) sha256: Digest,
    pub(super) manifest: Manifest,
}

impl Base {
    /// Reads the manifest of `entry`.
    pub(super) async fn read(
        store: &Store,
        collection: &CollectionName,
        entry: CollectionEntry,
    ) -> Result<Self, Error> {
        let manifest = store.manifest(collection, &entry).await?;
        Ok(Self { sha256: entry.sha256, manifest })
    }
}

/// Reads segments of a manifest one at a time, fetching those that are missing locally. Used from
/// threads outside the async runtime.
pub(super) struct SegmentReader<'a> {
    pub(super) store: &'a Store,
    pub(super) directory: &'a SegmentDirectory,
    pub(super) runtime: &'a Handle,
    dictionaries: Dictionaries,
    /// Keeps the dictionary of the base alive for the change segments that name it.
    codec: Option<Codec>,
}

impl<'a> SegmentReader<'a> {
    pub(super) fn new(store: &'a Store, directory: &'a SegmentDirectory, runtime: &'a Handle) -> Self {
        Self { store, directory, runtime, dictionaries: Dictionaries::new(), codec: None }
    }

    /// Opens segment `number` of `manifest`, verified.
    pub(super) fn open(&mut self, manifest: &Manifest, number: usize) -> Result<Segment, Error> {
        self.open_reference(&manifest.segments[number])
    }

    /// Opens a segment, verified.
    pub(super) fn open_reference(&mut self, reference: &SegmentReference) -> Result<Segment, Error> {
        let buffer = self.runtime.block_on(self.directory.load(self.store, reference))?;
        self.take(buffer)
    }

    fn take(&mut self, buffer: Buffer) -> Result<Segment, Error> {
        let segment = Segment::parse(buffer, &mut self.dictionaries)?;
        self.codec.get_or_insert_with(|| segment.codec().clone());
        Ok(segment)
    }

    /// Makes the dictionary of `codec` known, for segments that only name it.
    pub(super) fn know(&mut self, codec: &Codec) {
        if let Codec::Zstd(dictionary) = codec {
            self.dictionaries.insert(dictionary);
        }
    }

    /// Reads every segment of `manifest` into a table of what is served. Also gives the codec of
    /// the base, in which change segments are written.
    pub(super) fn table(&mut self, manifest: &Manifest) -> Result<(BaseTable, Codec), Error> {
        let mut table = BaseTable::with_capacity(manifest.records as usize);
        let mut codec = Codec::Plain;
        let mut ahead = VecDeque::new();
        let mut references = manifest.segments.iter();
        for number in 0..manifest.segments.len() {
            // The next segment is read and verified while this one is taken in.
            while ahead.len() < READ_AHEAD {
                let Some(reference) = references.next() else { break };
                let (store, directory) = (self.store.clone(), self.directory.clone());
                let reference = reference.clone();
                ahead.push_back(self.runtime.spawn(async move { directory.load(&store, &reference).await }));
            }
            let Some(next) = ahead.pop_front() else { break };
            let buffer = self.runtime.block_on(next).map_err(|_| Error::WorkerDied)??;
            let segment = self.take(buffer)?;
            if number == 0 {
                codec = segment.codec().clone();
            }
            for row in 0..segment.rows() {
                let hash = segment::key_hash(segment.key(row));
                if segment.is_delete(row) {
                    table.delete(hash);
                } else {
                    let at = Location { segment: number as u32, row };
                    table.put(hash, segment.fingerprint(row), segment.flags(row), at);
                }
            }
        }
        Ok((table, codec))
    }
}
