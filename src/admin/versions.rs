//! Looking a collection up in the catalog, and an earlier version of it.

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};

use super::{error::Error, publisher::Publisher};
use crate::{
    domain::{
        catalog::{CatalogDocument, CollectionEntry},
        manifest::{Manifest, Version},
        name::CollectionName,
    },
    store,
};

/// Times that a change of a collection is built again because another announcement came first.
pub(super) const ATTEMPTS_MAX: usize = 5;
/// Versions that an error names; whoever wants an older one will ask for a newer one of them first.
const VERSIONS_NAMED_MAX: usize = 20;
/// Versions looked for at the same time, to name them.
const CONCURRENCY: usize = 8;

impl Publisher {
    /// The newest document, and what it announces of `name`.
    pub(super) async fn visible(
        &self,
        name: &CollectionName,
    ) -> Result<(CatalogDocument, CollectionEntry), Error> {
        let newest = self.store.newest(Some(self.deployment)).await?;
        match newest.as_ref().and_then(|document| document.collections.get(name)).cloned() {
            Some(entry) => Ok((newest.expect("it names the entry"), entry)),
            None => Err(unknown(name, newest.as_ref())),
        }
    }

    /// The entry and manifest under which `version` of `name` was announced last.
    ///
    /// # Errors
    /// [`Error::UnknownVersion`], with those that are there, when nothing was announced under that
    /// number or its manifest is gone; `object_missing` when a segment of it is.
    pub(super) async fn find_version(
        &self,
        (document, present): (&CatalogDocument, &CollectionEntry),
        name: &CollectionName,
        version: Version,
    ) -> Result<(CollectionEntry, Manifest), Error> {
        if let Some((entry, manifest)) = self.announced((document, present), name, version).await? {
            self.store.check_segments(&manifest).await?;
            return Ok((entry, manifest));
        }
        let there = self.versions_there((document, present), name).await?;
        Err(Error::UnknownVersion { collection: name.clone(), version, there })
    }

    /// What was announced last as `version`, as long as its manifest is there.
    async fn announced(
        &self,
        (document, present): (&CatalogDocument, &CollectionEntry),
        name: &CollectionName,
        version: Version,
    ) -> Result<Option<(CollectionEntry, Manifest)>, Error> {
        let mut entry = self.store.announced_version(document, name, version).await?;
        if entry.is_none() && version < present.version {
            // Documents go after a month. What a run announced is still known.
            entry = self.metadata.announced_manifest(name, version).await?.map(|(run_id, manifest)| {
                let (manifest, sha256) = (manifest.object, manifest.sha256);
                CollectionEntry { version, run_id, regions: present.regions.clone(), manifest, sha256 }
            });
        }
        let Some(entry) = entry else { return Ok(None) };
        match self.store.manifest(name, &entry).await {
            Ok(manifest) => Ok(Some((entry, manifest))),
            Err(store::Error::Missing { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The versions that can be gone back to, for people. A manifest alone is none: a run that was
    /// held or superseded leaves one of the same number.
    async fn versions_there(
        &self,
        present: (&CatalogDocument, &CollectionEntry),
        name: &CollectionName,
    ) -> Result<String, Error> {
        let listed = self.store.listed_versions(name, present.1.version).await?;
        let look = |version| async move {
            // One that cannot be read is no version to go back to.
            let (_, manifest) = self.announced(present, name, version).await.ok()??;
            Some((version, manifest.data_as_of))
        };
        let found = stream::iter(listed).map(look).buffered(CONCURRENCY);
        Ok(named(&found.filter_map(async |found| found).collect::<Vec<_>>().await))
    }
}

/// Versions and the times of their data as a message names them.
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

/// The error for a collection that `newest` does not name.
pub(super) fn unknown(name: &CollectionName, newest: Option<&CatalogDocument>) -> Error {
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
