//! Announcing a published manifest: from then on its version is visible.

use tracing::info;

use super::{Engine, base::Base, error::Error, lease::SyncLease, spec::SyncSpec};
use crate::{
    catalog::Change,
    domain::{catalog::CollectionEntry, digest::Digest, manifest::Manifest},
};

/// A manifest in the store.
pub(super) struct PublishedManifest {
    pub(super) manifest: Manifest,
    pub(super) object: String,
    pub(super) sha256: Digest,
}

impl Engine {
    /// Writes `manifest` to the store. No reader sees it before it is announced.
    pub(super) async fn publish(&self, manifest: Manifest) -> Result<PublishedManifest, Error> {
        let (object, sha256) = self.catalog.publish_manifest(&manifest).await?;
        Ok(PublishedManifest { manifest, object, sha256 })
    }

    /// Announces `published`, which was made from the manifest with the digest `from`. Returns when
    /// the outcome is known. A run that was suspended for long may have lost its segments to retention, so they are
    /// checked first.
    pub(super) async fn announce(
        &self,
        from: Option<Digest>,
        published: &PublishedManifest,
    ) -> Result<(), Error> {
        let Manifest { collection, version, run_id, serving, data_as_of, .. } = &published.manifest;
        let entry = CollectionEntry {
            version: *version,
            run_id: *run_id,
            regions: serving.regions.clone(),
            manifest: published.object.clone(),
            sha256: published.sha256,
        };
        self.catalog.check_own_segments(&published.manifest).await?;
        let (name, data_as_of) = (collection.clone(), *data_as_of);
        self.announcer.announce(Change::Collection { name, from, entry, data_as_of, pause: None }).await?;
        Ok(())
    }

    /// Publishes and announces `manifest` in place of `base`. Its records are those of `base`.
    pub(super) async fn replace_manifest(
        &self,
        lease: &SyncLease,
        base: &Base,
        manifest: Manifest,
    ) -> Result<(), Error> {
        let published = self.publish(manifest).await?;
        lease.confirm().await?;
        self.announce(Some(base.sha256), &published).await
    }

    /// Announces the serving settings of `spec` when they differ from the announced ones, and
    /// returns whether they did. No row is read; no record and no version changes.
    ///
    /// # Errors
    /// [`Error::LeaseHeld`] when a run of the sync is in progress, which announces them itself;
    /// [`Error::ConfigurationOutdated`].
    pub async fn announce_settings(&self, spec: &SyncSpec) -> Result<bool, Error> {
        let name = &spec.collection;
        let Some(base) = self.announced(name).await?.base else { return Ok(false) };
        if base.manifest.serving == spec.serving {
            return Ok(false);
        }
        spec.check_newest(&base.manifest)?;
        let lease = SyncLease::acquire(&self.metadata, name).await?;
        let created_at = self.clock.now();
        let manifest = Manifest {
            run_id: self.new_run_id(),
            created_at,
            serving: spec.serving.clone(),
            configuration: Some(spec.configuration().announced_at(created_at)),
            ..base.manifest.clone()
        };
        let replaced = self.replace_manifest(&lease, &base, manifest).await;
        lease.release().await;
        replaced?;
        info!(collection = %name, "announced changed serving settings");
        Ok(true)
    }
}
