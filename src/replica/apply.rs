//! Applying to the cache.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::target::{Refusal, Target};
use crate::{
    cache::{self, Cache, Collection, Slot},
    domain::{
        error::ErrorKind,
        manifest::Manifest,
        name::{CollectionName, RegionName},
    },
    publication::Buffer,
    segment::{self, Codec, Dictionaries, Segment},
    support::random,
};

/// The cache as a replica's target.
pub struct CacheTarget {
    cache: Cache,
    /// Seed of the index hashes: random per process, so that nobody can aim collisions at it.
    seed: u64,
}

impl CacheTarget {
    /// Serves from `cache`.
    pub fn new(cache: Cache) -> Self {
        Self { cache, seed: random::seed() }
    }

    fn collection(&self, name: &CollectionName) -> Option<Arc<Collection>> {
        match self.cache.collection(name.as_str()) {
            Slot::Loaded(collection) => Some(collection),
            Slot::Unknown | Slot::Loading | Slot::OtherRegion(_) => None,
        }
    }

    fn loaded(&self, name: &CollectionName) -> Result<Arc<Collection>, Refusal> {
        self.collection(name).ok_or_else(|| Refusal {
            kind: ErrorKind::Conflict,
            code: "collection_gone",
            source: "the collection is not served any more".into(),
        })
    }
}

fn parse(buffers: Vec<Buffer>, dictionaries: &mut Dictionaries) -> Result<Vec<Arc<Segment>>, segment::Error> {
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

    fn build(&self, manifest: Arc<Manifest>, segments: Vec<Buffer>) -> Result<(), Refusal> {
        let segments = parse(segments, &mut Dictionaries::new())?;
        let name = manifest.collection.clone();
        let collection = Collection::build(manifest, segments, self.seed)?;
        self.cache.replace(&name, Slot::Loaded(Arc::new(collection)));
        Ok(())
    }

    fn apply(&self, manifest: Arc<Manifest>, segments: Vec<Buffer>) -> Result<(), Refusal> {
        let collection = self.loaded(&manifest.collection)?;
        let mut dictionaries = Dictionaries::new();
        let served = collection.segments();
        for segment in &served {
            if let Codec::Zstd(dictionary) = segment.codec() {
                dictionaries.insert(dictionary);
            }
        }
        let segments = parse(segments, &mut dictionaries)?;
        Ok(collection.apply(manifest, segments)?)
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
}
