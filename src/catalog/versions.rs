//! Finding an earlier version of a collection: what was announced under its number, and which
//! versions are still there.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;

use crate::catalog::decode;
use crate::domain::{
    catalog::{CatalogDocument, CollectionEntry},
    manifest::{Manifest, SegmentReference, Version},
    name::CollectionName,
};
use crate::store::Store;
use crate::store::error::Error;
use crate::store::paths::{self, Object};

/// Manifests read to say which versions are there: a hint for people, who want the newest ones.
const MANIFESTS_READ_MAX: usize = 64;
/// Manifests read at the same time.
const CONCURRENCY: usize = 8;

impl Store {
    /// The newest entry that `newest`, or a document before it, names for `version` of a collection;
    /// `None` when no document that still exists and is believed does. What was made under that number but not
    /// announced is never found.
    ///
    /// Versions rise from document to document, so this looks at no more than 64 of them.
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
        // The document `above` names a later version; `below` does not, or is gone.
        let (mut below, mut above, mut found) = (0, newest.n, None);
        while above - below > 1 {
            let middle = below + (above - below) / 2;
            let document = match self.document(middle).await {
                // From before announcements were signed, or by a key that is believed no more: it
                // is as good as gone.
                Err(Error::Untrusted { .. }) => None,
                document => document?,
            };
            match document.and_then(|mut document| document.collections.remove(collection)) {
                Some(entry) if entry.version > version => above = middle,
                entry => (below, found) = (middle, entry),
            }
        }
        Ok(found.filter(|entry| entry.version == version))
    }

    /// Checks that every segment of a manifest is there, with the length that it names.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Corrupt`]; others when the store does not answer.
    pub async fn check_segments(&self, manifest: &Manifest) -> Result<(), Error> {
        let check = |segment: &SegmentReference| {
            let (store, segment) = (self.clone(), segment.clone());
            async move { store.check(&paths::any_segment(&segment.object)?, segment.bytes).await }
        };
        stream::iter(manifest.segments.iter().map(check)).buffer_unordered(CONCURRENCY).try_collect().await
    }

    /// The versions up to `newest` of which the store has a manifest, the highest first: those that
    /// the newest 64 manifests are of.
    pub async fn listed_versions(
        &self,
        collection: &CollectionName,
        newest: Version,
    ) -> Result<Vec<Version>, Error> {
        let mut manifests = Vec::new();
        self.list(&Path::from(format!("{}/{collection}", paths::COLLECTIONS)), None, |object| {
            if matches!(Object::parse(object.location.as_ref()), Some(Object::Manifest(_))) {
                manifests.push(object.location);
            }
        })
        .await?;
        // A run's id rises with time.
        manifests.sort_unstable_by(|one, other| other.cmp(one));
        manifests.truncate(MANIFESTS_READ_MAX);
        let read = |path: Path| async move {
            let bytes = self.present(&path).await?;
            decode::unnamed_manifest(collection, path.as_ref(), &bytes).map(|manifest| manifest.version)
        };
        let read: Vec<_> = stream::iter(manifests).map(read).buffer_unordered(CONCURRENCY).collect().await;
        // One that cannot be read is no version to go back to.
        let versions: BTreeSet<Version> = read.into_iter().flatten().collect();
        Ok(versions.into_iter().rev().filter(|version| *version <= newest).collect())
    }
}
