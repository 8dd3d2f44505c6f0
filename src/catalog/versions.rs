//! Earlier versions of a collection: which entry announced a version, and which versions the store still has.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};

use super::{Catalog, Error, decode, paths};
use crate::{
    domain::{CatalogDocument, CollectionEntry, CollectionName, Manifest, Object, SegmentReference, Version},
    store::{Path, StoredObject},
};

/// Documents tried in place of one that cannot be read.
const TRIES_MAX: u64 = 4;
/// Objects read at the same time.
const CONCURRENCY: usize = 8;

impl Catalog {
    /// Finds the newest entry for `version` of a collection in `newest` or a document before it. `None` when no
    /// document that exists and is accepted has one. A version that was never announced is not found.
    ///
    /// Versions rise from document to document, so this is a binary search that reads at most 256 documents.
    pub async fn announced_version(
        &self,
        newest: &CatalogDocument,
        collection: &CollectionName,
        version: Version,
    ) -> Result<Option<CollectionEntry>, Error> {
        let entry = newest.collections.get(collection);
        if entry.is_none_or(|entry| entry.version <= version) {
            return Ok(entry.filter(|entry| entry.version == version).cloned());
        }
        // Document `above` has a later version, or cannot be read. Document `below` has none, or does not exist.
        let (mut below, mut above, mut found) = (0, newest.n, None);
        while above - below > 1 {
            let middle = below + (above - below) / 2;
            match self.readable_document(middle, above).await? {
                Some((at, mut document)) => match document.collections.remove(collection) {
                    Some(entry) if entry.version > version => above = at,
                    entry => (below, found) = (at, entry),
                },
                // None from here to `above`: it is before them, if anywhere.
                None if above - middle <= TRIES_MAX => above = middle,
                None => below = middle,
            }
        }
        Ok(found.filter(|entry| entry.version == version))
    }

    /// Document `n`, or the next one below `end` that can be read: one that is damaged or lost must not hide the
    /// others. None is found where documents are deleted, or unsigned or of a key that is no longer accepted.
    async fn readable_document(&self, n: u64, end: u64) -> Result<Option<(u64, CatalogDocument)>, Error> {
        for at in n..end.min(n + TRIES_MAX) {
            match self.document(at).await {
                Ok(Some(document)) => return Ok(Some((at, document))),
                Ok(None) => {}
                Err(error) if error.is_of_object() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Checks that the segments that the manifest's own run wrote exist with the right length: no document refers to
    /// them yet. The others belong to its base.
    ///
    /// # Errors
    /// As [`Catalog::check_segments`].
    pub async fn check_own_segments(&self, manifest: &Manifest) -> Result<(), Error> {
        let run = manifest.run_id.to_string();
        let mut own = manifest.clone();
        own.segments.retain(|segment| segment.object.split('/').nth(2) == Some(run.as_str()));
        self.check_segments(&own).await
    }

    /// Checks that every segment of a manifest exists with the right length.
    ///
    /// # Errors
    /// `object_missing` or `object_corrupt`; others when the store does not answer.
    pub async fn check_segments(&self, manifest: &Manifest) -> Result<(), Error> {
        let check = |segment: &SegmentReference| {
            let (store, bytes) = (self.store.clone(), segment.bytes);
            let path = paths::referenced(
                &segment.object,
                Object::Segment(manifest.collection.as_str()),
                "a manifest",
            );
            async move { Ok(store.check_length(&path?, bytes).await?) }
        };
        stream::iter(manifest.segments.iter().map(check)).buffer_unordered(CONCURRENCY).try_collect().await
    }

    /// Lists the versions up to `newest` that the store has a manifest of, the highest first. Reads at most
    /// `manifests_max` manifests, the newest ones.
    pub async fn listed_versions(
        &self,
        collection: &CollectionName,
        newest: Version,
        manifests_max: usize,
    ) -> Result<Vec<Version>, Error> {
        let mut manifests = Vec::new();
        let visit = |object: StoredObject| {
            if matches!(Object::parse(object.path.as_ref()), Some(Object::Manifest(_))) {
                manifests.push(object.path);
            }
        };
        self.store.list(&paths::collection(collection), None, visit).await?;
        // A run's id rises with time.
        manifests.sort_unstable_by(|one, other| other.cmp(one));
        manifests.truncate(manifests_max);
        let read = |path: Path| async move {
            let bytes = self.read_referenced(&path).await?;
            decode::listed_manifest(collection, path.as_ref(), &bytes).map(|manifest| manifest.version)
        };
        let read: Vec<_> = stream::iter(manifests).map(read).buffer_unordered(CONCURRENCY).collect().await;
        // A manifest that cannot be read has no version to go back to.
        let versions: BTreeSet<Version> = read.into_iter().flatten().collect();
        Ok(versions.into_iter().rev().filter(|version| *version <= newest).collect())
    }
}
