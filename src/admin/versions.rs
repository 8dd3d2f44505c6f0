//! Finding a collection in the catalog, and its earlier versions.

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};

use super::{error::Error, publisher::Publisher};
use crate::{
    catalog::Change,
    domain::{
        catalog::{CatalogDocument, CollectionEntry},
        digest::Digest,
        manifest::{Manifest, Version},
        name::CollectionName,
    },
};

/// Attempts to announce a change of a collection; each is superseded by another announcement.
pub(super) const ATTEMPTS_MAX: usize = 5;
/// Most versions that an error names, the newest first.
const VERSIONS_NAMED_MAX: usize = 20;
/// Versions that are read at the same time, to name them.
const CONCURRENCY: usize = 8;

impl Publisher {
    /// The newest document and its entry for `name`.
    ///
    /// # Errors
    /// [`Error::UnknownCollection`].
    pub(super) async fn visible(
        &self,
        name: &CollectionName,
    ) -> Result<(CatalogDocument, CollectionEntry), Error> {
        let newest = self.catalog.newest(Some(self.deployment)).await?;
        match newest.as_ref().and_then(|document| document.collections.get(name)).cloned() {
            Some(entry) => Ok((newest.expect("it names the entry"), entry)),
            None => Err(unknown(name, newest.as_ref())),
        }
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
        if let Some((entry, manifest)) = self.announced((document, present), name, version).await?
            // Retention must not delete what is about to be announced.
            && self.catalog.is_selectable(document, name, version, self.keep_versions).await?
        {
            self.catalog.check_segments(&manifest).await?;
            return Ok((entry, manifest));
        }
        let there = self.versions_there((document, present), name).await?;
        Err(Error::UnknownVersion { collection: name.clone(), version, there })
    }

    /// The last entry that announced `version`, and its manifest, as long as that exists.
    async fn announced(
        &self,
        (document, present): (&CatalogDocument, &CollectionEntry),
        name: &CollectionName,
        version: Version,
    ) -> Result<Option<(CollectionEntry, Manifest)>, Error> {
        let mut entry = self.catalog.announced_version(document, name, version).await?;
        if entry.is_none() && version < present.version {
            // Catalog documents are deleted after a month; metadata still knows the runs.
            entry = self.metadata.announced_manifest(name, version).await?.map(|(run_id, manifest)| {
                let (manifest, sha256) = (manifest.object, manifest.sha256);
                CollectionEntry { version, run_id, regions: present.regions.clone(), manifest, sha256 }
            });
        }
        let Some(entry) = entry else { return Ok(None) };
        match self.catalog.manifest(name, &entry).await {
            Ok(manifest) => Ok(Some((entry, manifest))),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The versions that a rollback or pin can name, for people. A manifest alone is no version: a run that was
    /// held or superseded leaves one with the same number.
    async fn versions_there(
        &self,
        present: (&CatalogDocument, &CollectionEntry),
        name: &CollectionName,
    ) -> Result<String, Error> {
        let listed = self.catalog.listed_versions(name, present.1.version).await?;
        let lowest = self.catalog.lowest_selectable(present.0, name, self.keep_versions).await?;
        let is_pinned = |version| present.0.pins_of(name).any(|(_, pinned)| pinned.version == version);
        let listed = listed.into_iter().filter(|version| *version >= lowest || is_pinned(*version));
        let read = |version| async move {
            // A version that cannot be read cannot be served again.
            let (_, manifest) = self.announced(present, name, version).await.ok()??;
            Some((version, manifest.data_as_of))
        };
        let found = stream::iter(listed.collect::<Vec<_>>()).map(read).buffered(CONCURRENCY);
        Ok(named(&found.filter_map(async |found| found).collect::<Vec<_>>().await))
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

/// The change that announces `manifest`, which was made from the one with the digest `from`.
pub(super) fn change_to(manifest: &Manifest, object: String, sha256: Digest, from: Option<Digest>) -> Change {
    let Manifest { collection, version, run_id, serving, data_as_of, .. } = manifest;
    let regions = serving.regions.clone();
    let entry = CollectionEntry { version: *version, run_id: *run_id, regions, manifest: object, sha256 };
    Change::Collection { name: collection.clone(), from, entry, data_as_of: *data_as_of }
}

/// The error for a collection that `newest` does not name.
fn unknown(name: &CollectionName, newest: Option<&CatalogDocument>) -> Error {
    let known = newest.map(|document| {
        document.collections.keys().map(CollectionName::as_str).collect::<Vec<_>>().join(", ")
    });
    let known = known.filter(|known| !known.is_empty()).unwrap_or_else(|| "none".to_owned());
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
