//! Letting another metadata database publish.

use serde::Serialize;
use tracing::{info, warn};

use super::{Principal, error::Error, publisher::Publisher};
use crate::{
    catalog::Change,
    domain::{CollectionEntry, CollectionName, MetadataId, RunCounts, RunId, RunRecord, RunStatus},
    engine::Trigger,
    support::random,
};

/// Which database publishes after a takeover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TakenOver {
    /// The database that published before; `None` when the catalog named none.
    pub from: Option<MetadataId>,
    /// This node's database, which publishes now.
    pub to: MetadataId,
}

impl Publisher {
    /// Makes this node's metadata database the one that publishes. Publishers with the former one are refused from
    /// then on. Announces nothing when it publishes already, and in an empty store. In any case this database then
    /// knows the announced versions.
    ///
    /// # Errors
    /// `superseded` when another takeover came first.
    pub async fn take_over(&self, principal: &Principal) -> Result<TakenOver, Error> {
        let to = self.authority.metadata();
        let newest = self.catalog.newest(Some(self.authority.deployment())).await?;
        let from = newest.as_ref().and_then(|document| document.metadata);
        if newest.is_none() || from == Some(to) {
            self.adopt_versions().await?;
            return Ok(TakenOver { from, to });
        }
        let act = async {
            self.announcer.announce(Change::Takeover { from, to }).await?;
            info!(metadata = %to, "this metadata database publishes from now on");
            Ok(TakenOver { from, to })
        };
        let named = from.map_or_else(|| "no database".to_owned(), |from| from.to_string());
        let done = self.audited(principal, "catalog.takeover", &to, act, |_| format!("from {named}")).await?;
        self.adopt_versions().await?;
        // A publisher does the same every minute.
        if let Err(error) = self.reconcile_keys().await {
            warn!(code = error.code(), %error, "the announced keys are not adopted yet");
        }
        Ok(done)
    }

    /// Records the announced versions that this database does not know, because it is a restored backup or took
    /// over: the next run of each collection is compared with them. A version that appears later was announced by
    /// somebody else.
    ///
    /// # Errors
    /// The catalog cannot be read, or another database publishes.
    pub async fn adopt_versions(&self) -> Result<(), Error> {
        let Some(newest) = self.catalog.newest_of(&self.authority).await? else { return Ok(()) };
        for (name, entry) in &newest.collections {
            if !self.metadata.has_version(name, entry.version).await? {
                self.adopt_version(name, entry).await?;
                info!(collection = %name, version = %entry.version, "metadata takes over a version that it did not know");
            }
        }
        Ok(())
    }

    async fn adopt_version(&self, name: &CollectionName, entry: &CollectionEntry) -> Result<(), Error> {
        let now = self.clock.now();
        // A lost manifest is the problem of its collection alone.
        let manifest = self.catalog.manifest(name, entry).await.ok();
        let is_known = self.metadata.run(entry.run_id).await?.is_some();
        let another = || RunId::from_uuid(random::uuid_at(now.timestamp_millis().unsigned_abs()));
        let created_at = manifest.as_ref().map_or(now, |manifest| manifest.created_at.min(now));
        let counts = manifest.as_ref().map(|manifest| (manifest.records, manifest.left)).unwrap_or_default();
        let mut run = RunRecord {
            id: if is_known { another() } else { entry.run_id },
            sync: name.clone(),
            status: RunStatus::Announcing,
            trigger: Trigger::Takeover.as_str().to_owned(),
            started_at: created_at,
            finished_at: Some(created_at),
            data_as_of: manifest.as_ref().map(|manifest| manifest.data_as_of),
            version: Some(entry.version),
            counts: RunCounts { records: counts.0, left: counts.1, ..RunCounts::default() },
            error: None,
        };
        self.metadata.insert_run(&run).await?;
        self.metadata.set_run_manifest(run.id, &entry.manifest, entry.sha256).await?;
        run.status = RunStatus::Announced;
        self.metadata.update_run(&run).await?;
        Ok(())
    }
}
