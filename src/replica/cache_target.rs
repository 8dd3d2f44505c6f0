//! Applies collections to the cache and keys to the key ring.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};

use super::target::{Exchange, Refusal, Target};
use crate::{
    auth::KeyRing,
    cache::{self, Cache, Collection, Relocation, Slot},
    disk::SegmentBuffer,
    domain::{
        error::ErrorKind,
        keyset::KeySet,
        manifest::Manifest,
        name::{CollectionName, RegionName},
    },
    segment::{self, Codec, Dictionaries, Segment},
    status::MemoryUsage,
    support::random,
};

/// Longest wait for the last look-ups in a replaced collection, which take microseconds.
const READERS_WAIT_MAX: Duration = Duration::from_millis(100);

/// The cache and the key ring as a replica's target.
pub struct CacheTarget {
    cache: Cache,
    keys: KeyRing,
    /// Seed of the index hashes. It is random per process, so that a client cannot choose colliding values.
    seed: u64,
}

impl CacheTarget {
    /// Serves from `cache`. Every request is refused until keys are in force.
    pub fn new(cache: Cache) -> Self {
        Self { cache, keys: KeyRing::new(), seed: random::seed() }
    }

    /// Puts announced keys in force in `keys`.
    #[must_use]
    pub fn with_keys(self, keys: KeyRing) -> Self {
        Self { keys, ..self }
    }

    fn collection(&self, name: &CollectionName) -> Option<Arc<Collection>> {
        match self.cache.collection(name.as_str()) {
            Slot::Loaded(collection) => Some(collection),
            Slot::Unknown | Slot::Loading | Slot::OtherRegion(_) => None,
        }
    }

    fn loaded(&self, name: &CollectionName) -> Result<Arc<Collection>, Refusal> {
        self.collection(name).ok_or_else(gone)
    }
}

fn gone() -> Refusal {
    Refusal {
        kind: ErrorKind::Conflict,
        code: "collection_gone",
        source: "the collection is no longer served".into(),
    }
}

/// The exchange of a cached collection's segments.
struct CacheExchange {
    cache: Cache,
    collection: Arc<Collection>,
    relocation: Relocation,
    manifest: Arc<Manifest>,
}

impl CacheExchange {
    /// Checks that the collection was not removed or replaced meanwhile.
    fn check_served(&self) -> Result<(), Refusal> {
        match self.cache.collection(self.manifest.collection.as_str()) {
            Slot::Loaded(served) if Arc::ptr_eq(&served, &self.collection) => Ok(()),
            _ => Err(gone()),
        }
    }
}

impl Exchange for CacheExchange {
    fn exchange(&self, number: usize, segment: SegmentBuffer) -> Result<(), Refusal> {
        self.check_served()?;
        let segment = Segment::parse(segment, &mut dictionaries(&self.collection))?;
        Ok(self.collection.relocate(&self.manifest, number, Arc::new(segment))?)
    }

    fn finish(&self) -> Result<(), Refusal> {
        self.check_served()?;
        Ok(self.collection.finish_relocation(self.relocation, Arc::clone(&self.manifest))?)
    }
}

/// The dictionaries of the served segments.
fn dictionaries(collection: &Collection) -> Dictionaries {
    let mut dictionaries = Dictionaries::new();
    for segment in collection.segments() {
        if let Codec::Zstd(dictionary) = segment.codec() {
            dictionaries.insert(dictionary);
        }
    }
    dictionaries
}

/// Frees a replaced collection once no reader holds it. Freeing a million records takes a large part of a
/// second, and the holder of the last reference pays for it: that must not be a reader.
fn free_after_readers(collection: Arc<Collection>) {
    let deadline = Instant::now() + READERS_WAIT_MAX;
    while Arc::strong_count(&collection) > 1 && Instant::now() < deadline {
        std::thread::yield_now();
    }
    drop(collection);
}

fn parse(
    buffers: Vec<SegmentBuffer>,
    dictionaries: &mut Dictionaries,
) -> Result<Vec<Arc<Segment>>, segment::Error> {
    buffers.into_iter().map(|buffer| Segment::parse(buffer, dictionaries).map(Arc::new)).collect()
}

impl From<segment::Error> for Refusal {
    fn from(error: segment::Error) -> Self {
        Self { kind: error.kind(), code: error.code(), source: Box::new(error) }
    }
}

impl From<cache::Error> for Refusal {
    fn from(error: cache::Error) -> Self {
        Self { kind: error.kind(), code: error.code(), source: Box::new(error) }
    }
}

impl Target for CacheTarget {
    fn served(&self, name: &CollectionName) -> Option<Arc<Manifest>> {
        self.collection(name).map(|collection| collection.state().manifest.clone())
    }

    fn build(&self, manifest: Arc<Manifest>, segments: Vec<SegmentBuffer>) -> Result<(), Refusal> {
        let segments = parse(segments, &mut Dictionaries::new())?;
        let name = manifest.collection.clone();
        let version = manifest.version;
        let collection = Collection::build(manifest, segments, self.seed)?;
        let before = self.collection(&name);
        if let Some(served) = before.as_ref().map(|before| before.state())
            && served.manifest.version == version
        {
            collection.set_freshness(served.data_as_of);
        }
        self.cache.replace(&name, Slot::Loaded(Arc::new(collection)));
        if let Some(before) = before {
            free_after_readers(before);
        }
        Ok(())
    }

    fn apply(&self, manifest: Arc<Manifest>, segments: Vec<SegmentBuffer>) -> Result<(), Refusal> {
        let collection = self.loaded(&manifest.collection)?;
        let segments = parse(segments, &mut dictionaries(&collection))?;
        Ok(collection.apply(manifest, segments)?)
    }

    fn begin_exchange(&self, manifest: &Arc<Manifest>) -> Option<Arc<dyn Exchange>> {
        let collection = self.collection(&manifest.collection)?;
        let (cache, relocation, manifest) =
            (self.cache.clone(), collection.begin_relocation(), Arc::clone(manifest));
        Some(Arc::new(CacheExchange { cache, collection, relocation, manifest }))
    }

    fn adopt(&self, manifest: Arc<Manifest>) -> Result<(), Refusal> {
        Ok(self.loaded(&manifest.collection)?.update_manifest(manifest)?)
    }

    fn set_freshness(&self, name: &CollectionName, data_as_of: DateTime<Utc>) {
        if let Some(collection) = self.collection(name) {
            collection.set_freshness(data_as_of);
        }
    }

    fn set_loading(&self, name: &CollectionName) {
        self.cache.replace(name, Slot::Loading);
    }

    fn set_elsewhere(&self, name: &CollectionName, regions: Arc<[RegionName]>) {
        self.cache.replace(name, Slot::OtherRegion(regions));
    }

    fn remove(&self, name: &CollectionName) {
        self.cache.remove(name.as_str());
    }

    fn use_keys(&self, keys: &KeySet) {
        self.keys.replace(keys);
    }

    fn memory_usage(&self, name: &CollectionName) -> Option<MemoryUsage> {
        self.collection(name).map(|collection| MemoryUsage {
            records: collection.records(),
            bytes: collection.bytes(),
            conflicts: collection.conflicts(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        digest::Digest,
        id::RunId,
        index::IndexDefinition,
        limits::FORMAT,
        manifest::{SegmentKind, SegmentReference, ServingSettings, Version},
        name::IndexName,
        row::ColumnKind,
    };
    use crate::segment::{SegmentBuilder, SegmentHeader};

    /// The manifest of an empty collection.
    fn manifest(version: u64, segments: Vec<SegmentReference>) -> Arc<Manifest> {
        Arc::new(Manifest {
            format: FORMAT,
            collection: CollectionName::new("a").unwrap(),
            version: Version(version),
            run_id: RunId::from_uuid(random::uuid()),
            created_at: DateTime::UNIX_EPOCH,
            data_as_of: DateTime::UNIX_EPOCH,
            indexes: vec![IndexDefinition::plain(IndexName::new("id").unwrap(), "id", ColumnKind::Integer)],
            columns: Vec::new(),
            fields: Vec::new(),
            mapping: Digest::of(b""),
            configuration: None,
            fingerprint_seed: 7,
            serving: ServingSettings::default(),
            segments,
            records: 0,
            left: 0,
            cursor: None,
        })
    }

    #[test]
    fn rebuild_of_same_version_keeps_data_as_of() {
        let mut file = Vec::new();
        let header = SegmentHeader {
            collection: CollectionName::new("a").unwrap(),
            kind: SegmentKind::Base,
            secondary: Vec::new(),
            codec: Codec::Plain,
            embed_dictionary: false,
        };
        SegmentBuilder::new(header).finish(&mut file).unwrap();
        let buffer = || {
            let mut buffer = SegmentBuffer::with_len(file.len() as u64).unwrap();
            buffer.as_mut_slice().copy_from_slice(&file);
            buffer
        };
        let reference = |version| SegmentReference {
            object: "collections/a".into(),
            sha256: Digest::of(&file),
            bytes: file.len() as u64,
            rows: 0,
            deletes: 0,
            kind: SegmentKind::Base,
            version: Version(version),
        };
        let target = CacheTarget::new(Cache::new());
        let build =
            |version| target.build(manifest(version, vec![reference(version)]), vec![buffer()]).unwrap();
        let name = CollectionName::new("a").unwrap();
        let data_as_of = || target.loaded(&name).unwrap().state().data_as_of;
        build(1);
        let seen = DateTime::UNIX_EPOCH + chrono::TimeDelta::hours(1);
        target.set_freshness(&name, seen);
        build(1);
        assert_eq!(data_as_of(), seen);
        build(2);
        assert_eq!(data_as_of(), DateTime::UNIX_EPOCH, "a new version takes the manifest's time");
    }

    #[test]
    fn collection_without_content_says_why() {
        let (cache, name) = (Cache::new(), CollectionName::new("a").unwrap());
        let target = CacheTarget::new(cache.clone());
        let slot = || cache.collection("a");
        assert!(matches!(slot(), Slot::Unknown));
        target.set_loading(&name);
        assert!(matches!(slot(), Slot::Loading));
        assert!(target.memory_usage(&name).is_none());
        let regions: Arc<[RegionName]> = [RegionName::new("eu").unwrap()].into();
        target.set_elsewhere(&name, Arc::clone(&regions));
        assert!(matches!(slot(), Slot::OtherRegion(found) if found == regions));

        target.build(manifest(1, Vec::new()), Vec::new()).unwrap();
        let usage = target.memory_usage(&name).unwrap();
        assert_eq!((usage.records, usage.conflicts), (0, 0));
        target.set_elsewhere(&name, regions);
        assert!(target.served(&name).is_none() && matches!(slot(), Slot::OtherRegion(_)));
        target.remove(&name);
        assert!(matches!(slot(), Slot::Unknown));
    }
}
