//! Making a published manifest visible.

use super::{Engine, error::Error, prepare::Published};
use crate::{
    catalog::Change,
    domain::{catalog::CollectionEntry, digest::Digest, manifest::Manifest},
};

impl Engine {
    /// Announces `published`, made from the manifest with the digest `from`. The answer comes when the outcome is known.
    pub(super) async fn announce(
        &self,
        from: Option<Digest>,
        published: &Published,
    ) -> Result<CollectionEntry, Error> {
        let Manifest { collection, version, run_id, serving, data_as_of, .. } = &published.manifest;
        let entry = CollectionEntry {
            version: *version,
            run_id: *run_id,
            regions: serving.regions.clone(),
            manifest: published.object.clone(),
            sha256: published.sha256,
        };
        let change = Change::Collection {
            name: collection.clone(),
            from,
            entry: entry.clone(),
            data_as_of: *data_as_of,
        };
        self.announcer.announce(change).await?;
        Ok(entry)
    }
}
