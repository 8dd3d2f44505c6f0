//! Announcing changed serving settings of a collection that is served already. No row is read, no
//! record and no version changes.

use std::sync::Arc;

use tracing::info;

use super::{Engine, base::Base, error::Error, lease::KeptLease, prepare::Published, spec::SyncSpec};
use crate::{
    catalog,
    domain::{id::RunId, manifest::Manifest},
    support::random,
};

impl Engine {
    /// Announces the serving settings of `spec` when they differ from what is announced; whether
    /// they did. [`Error::LeaseHeld`] when a run is in progress, which announces them itself.
    pub async fn announce_settings(&self, spec: &SyncSpec) -> Result<bool, Error> {
        let (Some(base), _) = self.base_of(spec).await? else { return Ok(false) };
        if base.manifest.serving == spec.serving {
            return Ok(false);
        }
        let lease = KeptLease::take(&self.metadata, &spec.collection).await?;
        let announced = self.announce_settings_of(&base, spec, &lease).await;
        lease.release().await;
        announced.map(|()| true)
    }

    async fn announce_settings_of(
        &self,
        base: &Arc<Base>,
        spec: &SyncSpec,
        lease: &KeptLease,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let manifest = Manifest {
            run_id: RunId::from_uuid(random::uuid_at(now.timestamp_millis().unsigned_abs())),
            created_at: now,
            serving: spec.serving.clone(),
            ..base.manifest.clone()
        };
        let (object, sha256) = catalog::publish_manifest(&self.store, &manifest).await?;
        lease.confirm().await?;
        self.announce(Some(base.sha256), &Published { manifest, object, sha256 }).await?;
        info!(collection = %spec.collection, "announced changed serving settings");
        Ok(())
    }
}
