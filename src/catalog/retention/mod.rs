//! Removing what nothing names any more. Only the holder of the housekeeping lease may run it.

mod plan;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::{Path as FilePath, PathBuf},
    time::{Duration, SystemTime},
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, stream};
use object_store::path::Path;

use plan::{Facts, Stored};

use crate::catalog::decode;
use crate::store::Store;
use crate::store::error::{Error, blocking};
use crate::store::paths::{self, Object};
use crate::{
    domain::{
        catalog::{CatalogDocument, CollectionEntry},
        id::DeploymentId,
        name::CollectionName,
    },
    support::clock::Clock,
};

/// Most objects deleted by one call: a call ends soon, the next one goes on.
pub const DELETIONS_MAX: usize = 10_000;
/// Manifests read, and objects deleted, at the same time.
const CONCURRENCY: usize = 8;

/// What is kept beside what the catalog names and what is young.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// Versions per collection, the newest ones.
    pub keep_versions: usize,
    /// Object paths of manifests that runs name which are held or not yet settled.
    pub manifests: HashSet<String>,
}

/// What a call did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Objects deleted.
    pub deleted: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Whether everything was looked at; when not, call again.
    pub complete: bool,
}

/// Deletes what the newest document, the last versions, `kept` and the grace times do not cover.
/// In a store without a catalog nothing is deleted.
pub async fn collect(
    store: &Store,
    clock: &Clock,
    deployment: Option<DeploymentId>,
    kept: &Kept,
) -> Result<Collected, Error> {
    let now = clock.now();
    let mut done = Collected { complete: true, ..Collected::default() };
    store.sweep_staged(now).await?;
    let Some(newest) = store.newest(deployment).await? else { return Ok(done) };
    let mut names: BTreeSet<CollectionName> = newest.collections.keys().cloned().collect();
    let listed = store.children(&Path::from(paths::COLLECTIONS)).await?;
    names.extend(listed.iter().filter_map(|name| CollectionName::new(name).ok()));
    for name in names {
        if done.deleted >= DELETIONS_MAX {
            done.complete = false;
            return Ok(done);
        }
        let named = Named::of(&newest, &name);
        let doomed = doomed_of_collection(store, now, &name, &named, kept).await?;
        if doomed.is_empty() {
            continue;
        }
        // A version that is pinned or rolled back to by now is not in the plan: the next call has it.
        let present = store.newest(deployment).await?;
        if present.is_some_and(|present| Named::of(&present, &name) == named) {
            let is_manifest =
                |object: &Stored| matches!(Object::parse(&object.path), Some(Object::Manifest(_)));
            let (manifests, segments) = doomed.into_iter().partition(is_manifest);
            // One after the other: a manifest whose segments are gone would promise what is not there.
            delete(store, manifests, &mut done).await?;
            delete(store, segments, &mut done).await?;
        } else {
            done.complete = false;
        }
    }
    let doomed = doomed_documents(store, now, &newest).await?;
    delete(store, doomed, &mut done).await?;
    let keys = list(store, &Path::from(paths::KEYS)).await?;
    let doomed = plan::key_sets(now, newest.keys.as_ref().map(|keys| keys.object.as_str()), keys);
    delete(store, doomed, &mut done).await?;
    // What a process left that was killed while it tried the store out.
    let probes = list(store, &Path::from(paths::PROBES)).await?;
    let doomed = probes.into_iter().filter(|probe| plan::is_past_grace(now, probe)).collect();
    delete(store, doomed, &mut done).await?;
    Ok(done)
}

/// What a catalog document names of one collection.
#[derive(Debug, Default, PartialEq, Eq)]
struct Named {
    /// What is announced; `None` when it is not, or not any more.
    entry: Option<CollectionEntry>,
    /// What regions are pinned to.
    pinned: Vec<CollectionEntry>,
}

impl Named {
    fn of(document: &CatalogDocument, name: &CollectionName) -> Self {
        let entry = document.collections.get(name).cloned();
        Self { entry, pinned: document.pins_of(name).map(|(_, pinned)| pinned.clone()).collect() }
    }

    /// The entry that names the manifest at `path`.
    fn by_manifest(&self, path: &str) -> Option<&CollectionEntry> {
        self.entry.iter().chain(&self.pinned).find(|entry| entry.manifest == path)
    }
}

async fn doomed_of_collection(
    store: &Store,
    now: DateTime<Utc>,
    name: &CollectionName,
    named: &Named,
    kept: &Kept,
) -> Result<Vec<Stored>, Error> {
    let prefix = Path::from(format!("{}/{name}", paths::COLLECTIONS));
    let objects = list(store, &prefix).await?;
    if !objects.iter().any(|object| plan::is_past_grace(now, object)) {
        return Ok(Vec::new());
    }
    let manifests: Vec<String> = objects
        .iter()
        .filter(|object| matches!(Object::parse(&object.path), Some(Object::Manifest(_))))
        .map(|object| object.path.clone())
        .collect();
    let mut facts = BTreeMap::new();
    let mut reading = stream::iter(manifests)
        .map(|path| async move {
            let read = read_manifest(store, name, named.by_manifest(&path), &path).await;
            (path, read)
        })
        .buffer_unordered(CONCURRENCY);
    while let Some((path, read)) = reading.next().await {
        facts.insert(path, read?);
    }
    drop(reading);
    Ok(plan::collection(now, named, objects, &facts, kept))
}

/// What a manifest names, which `entry` names if anything does; `None` when it is there but cannot be
/// understood.
async fn read_manifest(
    store: &Store,
    name: &CollectionName,
    entry: Option<&CollectionEntry>,
    path: &str,
) -> Result<Option<Facts>, Error> {
    let read = match entry {
        Some(entry) => store.manifest(name, entry).await,
        None => match store.present(&Path::from(path)).await {
            Ok(bytes) => decode::unnamed_manifest(name, path, &bytes),
            Err(error) => Err(error),
        },
    };
    match read {
        Ok(manifest) => Ok(Some(Facts {
            version: manifest.version,
            segments: manifest.segments.into_iter().map(|segment| segment.object).collect(),
        })),
        Err(error) if error.is_of_store() => Err(error),
        Err(error) => {
            tracing::warn!(code = error.code(), %error, "a manifest cannot be understood");
            Ok(None)
        }
    }
}

async fn doomed_documents(
    store: &Store,
    now: DateTime<Utc>,
    newest: &CatalogDocument,
) -> Result<Vec<Stored>, Error> {
    // A head that could not be written for long may name an old document, which it must find.
    let head = store.head().await?.map_or(newest.n, |head| head.n);
    let objects = list(store, &Path::from(paths::CATALOG)).await?;
    Ok(plan::documents(now, newest.n.min(head), objects))
}

async fn list(store: &Store, prefix: &Path) -> Result<Vec<Stored>, Error> {
    let mut objects = Vec::new();
    store
        .list(prefix, None, |object| {
            objects.push(Stored {
                path: object.location.to_string(),
                modified: object.last_modified,
                bytes: object.size,
            });
        })
        .await?;
    Ok(objects)
}

/// Deletes in about the order given, some at the same time.
async fn delete(store: &Store, doomed: Vec<Stored>, done: &mut Collected) -> Result<(), Error> {
    let room = DELETIONS_MAX.saturating_sub(done.deleted);
    done.complete &= doomed.len() <= room;
    let mut deleting = stream::iter(doomed.into_iter().take(room))
        .map(|object| async move { store.delete(&Path::from(object.path)).await.map(|()| object.bytes) })
        .buffered(CONCURRENCY);
    while let Some(deleted) = deleting.next().await {
        done.bytes += deleted?;
        done.deleted += 1;
    }
    Ok(())
}

impl Store {
    /// Removes what killed writers left of a directory store's unfinished files (`name#1`), which
    /// no listing shows, once they are older than [`plan::GRACE_HOURS`].
    pub(in crate::catalog) async fn sweep_staged(&self, now: DateTime<Utc>) -> Result<(), Error> {
        let Some(root) = self.directory.clone() else { return Ok(()) };
        let before: SystemTime = (now - TimeDelta::hours(plan::GRACE_HOURS)).into();
        blocking(move || {
            sweep(&root, before, 0);
            Ok(())
        })
        .await
    }
}

/// Best effort: what cannot be read or removed now is tried at the next call.
fn sweep(directory: &FilePath, before: SystemTime, depth: u8) {
    /// The deepest path is `collections/name/run/file`.
    const DEPTH_MAX: u8 = 4;
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path: PathBuf = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < DEPTH_MAX => sweep(&path, before, depth + 1),
            Ok(kind) if kind.is_file() && is_staged(&path) => {
                let modified = entry.metadata().and_then(|found| found.modified());
                if modified.is_ok_and(|modified| {
                    before.duration_since(modified).is_ok_and(|age| age > Duration::ZERO)
                }) {
                    let _ = std::fs::remove_file(path);
                }
            }
            _ => {}
        }
    }
}

fn is_staged(path: &FilePath) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let number = name.and_then(|name| name.rsplit_once('#')).map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}
