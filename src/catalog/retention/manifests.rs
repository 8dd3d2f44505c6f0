//! The manifests of a collection that retention has read. Manifests are immutable, so each is read once.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};

use super::{CONCURRENCY, RetentionRules, is_manifest, named::References, plan};
use crate::{
    catalog::{Catalog, Error, decode, paths},
    domain::{CollectionName, Manifest, Object, RunId, Version},
    store::{Path, StoredObject},
};

/// Manifests and segments that are cached, over all collections: about 200 MB, enough for 1,000 collections that change
/// every minute. Beyond this number the cache is cleared, and manifests are read again.
pub(super) const KNOWN_MAX: usize = 4_000_000;

/// A manifest (without a number), or a segment of a run.
pub(super) type Key = (RunId, Option<u32>);

/// The key of the manifest or segment at `path`; `None` for other objects.
pub(super) fn key(path: &str) -> Option<Key> {
    let (Object::Manifest(_) | Object::Segment(_)) = Object::parse(path)? else { return None };
    let mut parts = path.rsplit('/');
    let number = parts.next()?.strip_prefix("segment-").and_then(|rest| rest.strip_suffix(".arrow"));
    Some((parts.next()?.parse().ok()?, number.and_then(|number| number.parse().ok())))
}

/// What is known of one collection: the versions of manifests, and for each segment the highest version of a manifest
/// that refers to it.
#[derive(Debug, Default)]
pub(super) struct KnownManifests(HashMap<Key, Version>);

impl KnownManifests {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The version of a manifest, or the highest one of those that refer to a segment.
    pub(super) fn version(&self, path: &Path) -> Option<Version> {
        self.0.get(&key(path.as_ref())?).copied()
    }

    /// Adds a manifest that was read from `path`.
    pub(super) fn add<'a>(
        &mut self,
        path: &'a Path,
        version: Version,
        segments: impl Iterator<Item = &'a str>,
    ) {
        for key in [path.as_ref()].into_iter().chain(segments).filter_map(key) {
            let known = self.0.entry(key).or_insert(version);
            *known = version.max(*known);
        }
    }

    /// The objects of the collection `name` that may be deleted. Reads the manifests that are not known yet, and those
    /// that are retained for another reason than their version.
    pub(super) async fn deletable(
        &mut self,
        catalog: &Catalog,
        now: DateTime<Utc>,
        name: &CollectionName,
        references: &References,
        rules: &RetentionRules,
    ) -> Result<Vec<StoredObject>, Error> {
        let objects = catalog.list(&paths::collection(name)).await?;
        if !objects.iter().any(|object| plan::is_past_grace(now, rules, object)) {
            return Ok(Vec::new());
        }
        let listed: HashSet<Key> = objects.iter().filter_map(|object| key(object.path.as_ref())).collect();
        self.0.retain(|key, _| listed.contains(key));
        let manifests = || objects.iter().filter(|object| is_manifest(object));
        let mut unreadable = HashSet::new();
        let unknown = manifests().filter(|object| self.version(&object.path).is_none());
        let unknown: Vec<Path> = unknown.map(|object| object.path.clone()).collect();
        let mut reading = read_all(catalog, name, references, unknown);
        while let Some((path, manifest)) = reading.next().await {
            match manifest? {
                Some(manifest) => {
                    let segments = manifest.segments.iter().map(|segment| segment.object.as_str());
                    self.add(&path, manifest.version, segments);
                }
                None => drop(unreadable.insert(path)),
            }
        }
        drop(reading);
        let is_special = |object: &&StoredObject| {
            plan::is_retained(now, rules, references, object)
                && self.version(&object.path).is_some_and(|version| !references.has(version))
        };
        let special: Vec<Path> = manifests().filter(is_special).map(|object| object.path.clone()).collect();
        let mut needed = HashSet::new();
        let mut reading = read_all(catalog, name, references, special);
        while let Some((path, manifest)) = reading.next().await {
            match manifest? {
                Some(manifest) => needed.extend(manifest.segments.iter().filter_map(|one| key(&one.object))),
                None => drop(unreadable.insert(path)),
            }
        }
        drop(reading);
        Ok(plan::collection(now, rules, references, objects, self, &unreadable, &needed))
    }
}

/// Reads manifests; `None` for one that cannot be decoded.
fn read_all<'a>(
    catalog: &'a Catalog,
    name: &'a CollectionName,
    references: &'a References,
    paths: Vec<Path>,
) -> impl futures::Stream<Item = (Path, Result<Option<Manifest>, Error>)> + 'a {
    let read = move |path: Path| async move {
        let manifest = match references.entry_of(path.as_ref()) {
            Some(entry) => catalog.manifest(name, entry).await,
            None => match catalog.read_referenced(&path).await {
                Ok(bytes) => decode::listed_manifest(name, path.as_ref(), &bytes),
                Err(error) => Err(error),
            },
        };
        let manifest = match manifest {
            Err(error) if error.is_of_object() => {
                tracing::warn!(code = error.code(), %error, "retention cannot read a manifest");
                Ok(None)
            }
            manifest => manifest.map(Some),
        };
        (path, manifest)
    };
    Box::pin(stream::iter(paths).map(read).buffer_unordered(CONCURRENCY))
}
