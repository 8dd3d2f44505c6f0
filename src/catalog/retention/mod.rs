//! Retention: deletes objects that no document refers to any more.

mod plan;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};

use self::plan::ManifestSummary;
use super::{Catalog, Error, decode, paths};
use crate::{
    domain::{
        catalog::{CatalogDocument, CollectionEntry},
        id::DeploymentId,
        name::CollectionName,
        object::Object,
    },
    store::{PROBES, Path, StoredObject},
    support::clock::Clock,
};

/// Objects deleted by one call at most: a call ends soon, and the next one continues.
const DELETIONS_MAX: usize = 10_000;
/// Manifests read, and objects deleted, at the same time.
const CONCURRENCY: usize = 8;

/// What is retained besides the objects that the catalog refers to and the young ones.
#[derive(Debug, Clone, Default)]
pub struct RetentionRules {
    /// Number of newest versions of each collection.
    pub keep_versions: usize,
    /// Paths of the manifests of runs that are held or whose outcome is unknown.
    pub manifests: HashSet<String>,
}

/// The result of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deletions {
    /// Number of deleted objects.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Whether all objects were checked. If not, call again.
    pub complete: bool,
}

/// What a catalog document refers to for one collection.
#[derive(Debug, Default, PartialEq, Eq)]
struct References {
    /// The announced entry; `None` for a collection that is not in the catalog.
    entry: Option<CollectionEntry>,
    /// The entries that regions are pinned to.
    pinned: Vec<CollectionEntry>,
}

impl References {
    fn of(document: &CatalogDocument, name: &CollectionName) -> Self {
        let entry = document.collections.get(name).cloned();
        Self { entry, pinned: document.pins_of(name).map(|(_, pinned)| pinned.clone()).collect() }
    }

    /// The entry of the manifest at `path`.
    fn entry_of(&self, path: &str) -> Option<&CollectionEntry> {
        self.entry.iter().chain(&self.pinned).find(|entry| entry.manifest == path)
    }
}

impl Catalog {
    /// Deletes objects that neither the newest document, nor `rules`, nor the grace periods retain. Without a
    /// catalog nothing is deleted. Only the holder of the housekeeping lease may call it.
    pub async fn delete_unreferenced(
        &self,
        clock: &Clock,
        deployment: Option<DeploymentId>,
        rules: &RetentionRules,
    ) -> Result<Deletions, Error> {
        let now = clock.now();
        let mut done = Deletions { objects: 0, bytes: 0, complete: true };
        self.store.delete_unfinished(now).await?;
        let Some(newest) = self.newest(deployment).await? else { return Ok(done) };
        let mut names: BTreeSet<CollectionName> = newest.collections.keys().cloned().collect();
        let listed = self.store.list_directories(&paths::collections()).await?;
        names.extend(listed.iter().filter_map(|name| CollectionName::new(name).ok()));
        for name in names {
            if done.objects >= DELETIONS_MAX {
                done.complete = false;
                return Ok(done);
            }
            let references = References::of(&newest, &name);
            let deletable = self.deletable_of_collection(now, &name, &references, rules).await?;
            if deletable.is_empty() {
                continue;
            }
            // A version that was pinned or rolled back to since is not in the plan: the next call handles it.
            let present = self.newest(deployment).await?;
            if present.is_some_and(|present| References::of(&present, &name) == references) {
                let (manifests, segments) = deletable.into_iter().partition(is_manifest);
                // A manifest goes before its segments: it must not refer to objects that do not exist.
                self.delete(manifests, &mut done).await?;
                self.delete(segments, &mut done).await?;
            } else {
                done.complete = false;
            }
        }
        self.delete(self.deletable_documents(now, &newest).await?, &mut done).await?;
        let in_force = newest.keys.as_ref().map(|keys| keys.object.as_str());
        let deletable = plan::key_sets(now, in_force, self.list(&paths::key_sets()).await?);
        self.delete(deletable, &mut done).await?;
        // Objects of processes that were killed while they probed the store.
        let probes = self.list(&Path::from(PROBES)).await?;
        let deletable = probes.into_iter().filter(|probe| plan::is_past_grace(now, probe)).collect();
        self.delete(deletable, &mut done).await?;
        Ok(done)
    }

    async fn deletable_of_collection(
        &self,
        now: DateTime<Utc>,
        name: &CollectionName,
        references: &References,
        rules: &RetentionRules,
    ) -> Result<Vec<StoredObject>, Error> {
        let objects = self.list(&paths::collection(name)).await?;
        if !objects.iter().any(|object| plan::is_past_grace(now, object)) {
            return Ok(Vec::new());
        }
        let manifests: Vec<Path> =
            objects.iter().filter(|object| is_manifest(object)).map(|object| object.path.clone()).collect();
        let mut summaries = BTreeMap::new();
        let mut reading = stream::iter(manifests)
            .map(|path| async move {
                let read = self.summarize_manifest(name, references.entry_of(path.as_ref()), &path).await;
                (path, read)
            })
            .buffer_unordered(CONCURRENCY);
        while let Some((path, read)) = reading.next().await {
            summaries.insert(path, read?);
        }
        drop(reading);
        Ok(plan::collection(now, references, objects, &summaries, rules))
    }

    /// Reads a manifest, which `entry` refers to if any entry does; `None` when it cannot be decoded.
    async fn summarize_manifest(
        &self,
        name: &CollectionName,
        entry: Option<&CollectionEntry>,
        path: &Path,
    ) -> Result<Option<ManifestSummary>, Error> {
        let read = match entry {
            Some(entry) => self.manifest(name, entry).await,
            None => match self.read_referenced(path).await {
                Ok(bytes) => decode::listed_manifest(name, path.as_ref(), &bytes),
                Err(error) => Err(error),
            },
        };
        match read {
            Ok(manifest) => Ok(Some(ManifestSummary {
                version: manifest.version,
                segments: manifest.segments.into_iter().map(|segment| segment.object).collect(),
            })),
            Err(Error::Store(error)) if error.is_of_store() => Err(error.into()),
            Err(error) => {
                tracing::warn!(code = error.code(), %error, "a manifest cannot be decoded; its segments are retained");
                Ok(None)
            }
        }
    }

    async fn deletable_documents(
        &self,
        now: DateTime<Utc>,
        newest: &CatalogDocument,
    ) -> Result<Vec<StoredObject>, Error> {
        // A head that could not be written for long may refer to an old document, which must exist.
        let head = self.head().await?.map_or(newest.n, |head| head.n);
        Ok(plan::documents(now, newest.n.min(head), self.list(&paths::catalog()).await?))
    }

    async fn list(&self, prefix: &Path) -> Result<Vec<StoredObject>, Error> {
        let mut objects = Vec::new();
        self.store.list(prefix, None, |object| objects.push(object)).await?;
        Ok(objects)
    }

    /// Deletes objects in about the given order, some at the same time.
    async fn delete(&self, objects: Vec<StoredObject>, done: &mut Deletions) -> Result<(), Error> {
        let left = DELETIONS_MAX.saturating_sub(done.objects);
        done.complete &= objects.len() <= left;
        let mut deleting = stream::iter(objects.into_iter().take(left))
            .map(|object| async move { self.store.delete(&object.path).await.map(|()| object.bytes) })
            .buffered(CONCURRENCY);
        while let Some(deleted) = deleting.next().await {
            done.bytes += deleted?;
            done.objects += 1;
        }
        Ok(())
    }
}

fn is_manifest(object: &StoredObject) -> bool {
    matches!(Object::parse(object.path.as_ref()), Some(Object::Manifest(_)))
}
