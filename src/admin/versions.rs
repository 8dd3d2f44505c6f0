//! Finding a collection in the catalog, and its earlier versions.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{error::Error, listed, publisher::Publisher};
use crate::{
    catalog::{Catalog, Change},
    domain::{
        CatalogDocument, CollectionEntry, CollectionName, Digest, ErrorKind, Manifest, Pause, RegionName,
        RunCounts, RunId, RunRecord, Version,
    },
    metadata::{Metadata, RunManifest},
};

/// Most versions that an error names, the newest first.
const VERSIONS_NAMED_MAX: usize = 20;
/// Manifests that are read to name versions in an error.
const NAMED_MANIFESTS_MAX: usize = 64;
/// Most manifests that are read to list versions: a held run leaves one, too.
pub const VERSIONS_LISTED_MAX: usize = 1_000;
/// Versions that are read at the same time.
const CONCURRENCY: usize = 8;

/// A version that can be served: `rollback` and `pin` can name it.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServableVersion {
    /// The version.
    pub version: Version,
    /// Whether it is the newest one.
    pub newest: bool,
    /// Regions that are pinned to it.
    pub pinned: Vec<RegionName>,
    /// What announced it: `schedule`, `operator`, `rollback`; `takeover` for a version that metadata took over. `None` when metadata does not know its run.
    pub origin: Option<String>,
    /// The run that announced it.
    pub run: Option<RunId>,
    /// When its manifest was made, also by a later compaction.
    pub created_at: DateTime<Utc>,
    /// When the source had its content.
    pub data_as_of: DateTime<Utc>,
    /// Records served.
    pub records: u64,
    /// Bytes of its segments.
    pub bytes: u64,
    /// The counts of its run.
    pub counts: Option<RunCounts>,
}

/// The run that announced each version, and its manifest.
type Runs = BTreeMap<Version, (RunRecord, RunManifest)>;

/// The versions of one collection, in the store and in metadata.
pub(super) struct Versions<'a> {
    pub(super) catalog: &'a Catalog,
    /// Knows the runs of versions whose catalog documents are deleted.
    pub(super) metadata: Option<&'a Metadata>,
    /// The newest document.
    pub(super) document: &'a CatalogDocument,
    /// The collection.
    pub(super) name: &'a CollectionName,
    /// Its entry in that document.
    pub(super) present: &'a CollectionEntry,
}

impl Versions<'_> {
    /// The last entry that announced `version`, and its manifest, as long as that exists.
    async fn announced(
        &self,
        version: Version,
        runs: &Runs,
    ) -> Result<Option<(CollectionEntry, Manifest)>, Error> {
        let mut entry = self.catalog.announced_version(self.document, self.name, version).await?;
        if entry.is_none() && version < self.present.version {
            // Catalog documents are deleted after a month; metadata still knows the runs.
            entry = runs.get(&version).map(|(run, manifest)| {
                let RunManifest { object, sha256 } = manifest.clone();
                let regions = self.present.regions.clone();
                CollectionEntry { version, run_id: run.id, regions, manifest: object, sha256 }
            });
        }
        let Some(entry) = entry else { return Ok(None) };
        match self.catalog.manifest(self.name, &entry).await {
            Ok(manifest) => Ok(Some((entry, manifest))),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The runs that announced the versions between two.
    async fn runs(&self, lowest: Version, highest: Version) -> Result<Runs, Error> {
        match self.metadata {
            Some(metadata) => Ok(metadata.announced_versions(self.name, (lowest, highest)).await?),
            None => Ok(Runs::new()),
        }
    }

    /// The versions that can be served, the newest first. A manifest alone is no version: a run that was held or
    /// superseded leaves one with the same number. Neither is one below `lowest`, unless it is pinned: retention may
    /// delete it before it is announced again. Reads the newest `manifests_max` manifests.
    pub(super) async fn list(
        &self,
        lowest: Version,
        manifests_max: usize,
    ) -> Result<Vec<ServableVersion>, Error> {
        let mut listed = self.catalog.listed_versions(self.name, self.present.version, manifests_max).await?;
        let is_pinned =
            |version| self.document.pins_of(self.name).any(|(_, pinned)| pinned.version == version);
        listed.retain(|version| *version >= lowest || is_pinned(*version));
        let (Some(highest), Some(lowest)) = (listed.first(), listed.last()) else { return Ok(Vec::new()) };
        let runs = &self.runs(*lowest, *highest).await?;
        // A version that cannot be read cannot be served again.
        let read = |version| async move { self.announced(version, runs).await.ok().flatten() };
        let found: Vec<_> = stream::iter(listed).map(read).buffered(CONCURRENCY).collect().await;
        let (mut versions, mut sound) = (Vec::new(), HashSet::new());
        for (entry, manifest) in found.into_iter().flatten() {
            let mut unchecked = manifest.clone();
            unchecked.segments.retain(|segment| !sound.contains(&segment.object));
            match self.catalog.check_segments(&unchecked).await {
                Ok(()) => sound.extend(unchecked.segments.into_iter().map(|segment| segment.object)),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) => continue,
                Err(error) => return Err(error.into()),
            }
            versions.push(self.view(entry.version, &manifest, runs));
        }
        Ok(versions)
    }

    fn view(&self, version: Version, manifest: &Manifest, runs: &Runs) -> ServableVersion {
        let run = runs.get(&version).map(|(run, _)| run);
        let pins = self.document.pins_of(self.name).filter(|(_, pinned)| pinned.version == version);
        ServableVersion {
            version,
            newest: version == self.present.version,
            pinned: pins.map(|(region, _)| region.clone()).collect(),
            origin: run.map(|run| run.trigger.clone()),
            run: run.map(|run| run.id),
            created_at: manifest.created_at,
            data_as_of: manifest.data_as_of,
            records: manifest.records,
            bytes: manifest.segments.iter().map(|segment| segment.bytes).sum(),
            counts: run.map(|run| run.counts),
        }
    }
}

/// The entry of `name` in the newest document.
///
/// # Errors
/// [`Error::UnknownCollection`].
pub(super) fn entry_of(
    newest: Option<CatalogDocument>,
    name: &CollectionName,
) -> Result<(CatalogDocument, CollectionEntry), Error> {
    match newest.as_ref().and_then(|document| document.collections.get(name)).cloned() {
        Some(entry) => Ok((newest.expect("it names the entry"), entry)),
        None => Err(unknown(name, newest.as_ref())),
    }
}

impl Publisher {
    /// The newest document and its entry for `name`.
    ///
    /// # Errors
    /// [`Error::UnknownCollection`].
    pub(super) async fn visible(
        &self,
        name: &CollectionName,
    ) -> Result<(CatalogDocument, CollectionEntry), Error> {
        entry_of(self.catalog.newest_of(&self.authority).await?, name)
    }

    /// The entry and manifest under which `version` of `name` was announced last.
    ///
    /// # Errors
    /// [`Error::UnknownVersion`] with the versions that exist, when the version was never announced or its
    /// manifest is deleted; `object_missing` when one of its segments is.
    pub(super) async fn find_version(
        &self,
        (document, present): (&CatalogDocument, &CollectionEntry),
        name: &CollectionName,
        version: Version,
    ) -> Result<(CollectionEntry, Manifest), Error> {
        let (catalog, metadata) = (&self.catalog, Some(&self.metadata));
        let versions = Versions { catalog, metadata, document, name, present };
        if let Some((entry, manifest)) = versions.announced(version, &versions.runs(version, version).await?).await?
            // Retention must not delete what is about to be announced.
            && catalog.is_selectable(document, name, version, self.keep_versions).await?
        {
            catalog.check_segments(&manifest).await?;
            return Ok((entry, manifest));
        }
        let now = catalog.store_time().await?;
        let lowest = catalog.lowest_selectable(document, name, self.keep_versions, now).await?;
        let there = versions.list(lowest, NAMED_MANIFESTS_MAX).await?;
        let there: Vec<_> = there.iter().map(|one| (one.version, one.data_as_of)).collect();
        Err(Error::UnknownVersion { collection: name.clone(), version, there: named(&there) })
    }
}

/// Versions and the times of their data, as a message has them.
fn named(versions: &[(Version, DateTime<Utc>)]) -> String {
    if versions.is_empty() {
        return "none".to_owned();
    }
    let shown = versions.iter().take(VERSIONS_NAMED_MAX);
    let shown = shown.map(|(version, at)| format!("{version} ({})", at.format("%Y-%m-%dT%H:%MZ")));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match versions.len().saturating_sub(VERSIONS_NAMED_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The change that announces `manifest`, which was made from the one with the digest `from`, and pauses its sync
/// when there is a `pause`.
pub(super) fn change_to(
    manifest: &Manifest,
    object: String,
    sha256: Digest,
    from: Option<Digest>,
    pause: Option<Pause>,
) -> Change {
    let Manifest { collection, version, run_id, serving, data_as_of, .. } = manifest;
    let regions = serving.regions.clone();
    let entry = CollectionEntry { version: *version, run_id: *run_id, regions, manifest: object, sha256 };
    Change::Collection { name: collection.clone(), from, entry, data_as_of: *data_as_of, pause }
}

/// The error for a collection that `newest` does not name.
fn unknown(name: &CollectionName, newest: Option<&CatalogDocument>) -> Error {
    let known = newest.iter().flat_map(|document| document.collections.keys());
    let known = listed(known.map(CollectionName::as_str));
    Error::UnknownCollection { name: name.to_string(), known }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_versions_are_named_and_the_others_counted() {
        let at: DateTime<Utc> = "2026-11-20T10:00:59Z".parse().unwrap();
        let versions: Vec<_> = (1..=22).rev().map(|version| (Version(version), at)).collect();
        assert_eq!(named(&[]), "none");
        assert_eq!(named(&versions[20..]), "2 (2026-11-20T10:00Z), 1 (2026-11-20T10:00Z)");
        assert!(named(&versions).ends_with(", 3 (2026-11-20T10:00Z) and 2 more"));
    }
}
