//! Looking a collection up in the catalog, and an earlier version of it.

use super::{error::Error, publisher::Publisher};
use crate::{
    domain::{
        catalog::{CatalogDocument, CollectionEntry},
        manifest::{Manifest, Version},
        name::CollectionName,
    },
    publication,
};

/// Times that a change of a collection is built again because another announcement came first.
pub(super) const ATTEMPTS_MAX: usize = 5;
/// Versions that an error names; whoever wants an older one will ask for a newer one of them first.
const VERSIONS_NAMED_MAX: usize = 20;

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
        let mut entry = self.store.announced_version(document, name, version).await?;
        if entry.is_none() && version < present.version {
            // Documents go after a month. What a run announced is still known.
            entry = self.metadata.announced_manifest(name, version).await?.map(|(run_id, manifest)| {
                let (manifest, sha256) = (manifest.object, manifest.sha256);
                CollectionEntry { version, run_id, regions: present.regions.clone(), manifest, sha256 }
            });
        }
        if let Some(entry) = entry {
            match self.store.manifest(name, &entry).await {
                Ok(manifest) => {
                    self.store.check_segments(&manifest).await?;
                    return Ok((entry, manifest));
                }
                Err(publication::Error::Missing { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let there = self.store.listed_versions(name, present.version).await?;
        let there: Vec<String> = there.iter().take(VERSIONS_NAMED_MAX).map(ToString::to_string).collect();
        Err(Error::UnknownVersion { collection: name.clone(), version, there: there.join(", ") })
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
