//! Rolling a collection back to an earlier version.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::{ATTEMPTS_MAX, Principal, error::Error, publisher::Publisher, versions::change_to};
use crate::{
    catalog::AnnounceError,
    domain::{
        catalog::{CollectionEntry, Pause},
        digest::Digest,
        error::ErrorKind,
        id::RunId,
        manifest::{Manifest, ServingSettings, Version},
        name::{CollectionName, RegionName},
        run::{RunCounts, RunError, RunRecord, RunStatus},
    },
    engine::Trigger,
    metadata::AuditEntry,
    support::random,
};

/// A collection that was rolled back.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolledBack {
    /// The collection.
    pub collection: CollectionName,
    /// The version that it had.
    pub from: Version,
    /// The earlier version whose content it has again.
    pub to: Version,
    /// The new version that was announced with that content.
    pub version: Version,
    /// Records of the new version.
    pub records: u64,
    /// When the source had this content.
    pub data_as_of: DateTime<Utc>,
    /// Regions that are pinned and do not follow.
    pub pinned: Vec<RegionName>,
}

impl Publisher {
    /// Announces the content of version `to` as a new version, and pauses the sync: its scheduled runs wait
    /// for [`Publisher::resume`]. A run in progress is not waited for. The version that it was compared
    /// with is no longer the newest, so it ends as superseded.
    ///
    /// # Errors
    /// [`Error::UnknownVersion`], [`Error::VersionInForce`], another rollback that is under way. When the
    /// announcement failed, the sync keeps the pause that it had before, or none.
    pub async fn rollback(
        &self,
        name: &CollectionName,
        to: Version,
        principal: &Principal,
    ) -> Result<RolledBack, Error> {
        let lease = self.engine.begin_rollback(name).await?;
        let done = self.rollback_leased(name, to, principal).await;
        lease.release().await;
        done
    }

    async fn rollback_leased(
        &self,
        name: &CollectionName,
        to: Version,
        principal: &Principal,
    ) -> Result<RolledBack, Error> {
        let (document, present) = self.visible(name).await?;
        if present.version == to {
            return Err(Error::VersionInForce { collection: name.clone(), version: to });
        }
        let (_, target) = self.find_version((&document, &present), name, to).await?;
        let act = Box::pin(self.announce_again(name, &target, principal));
        let done = self.audited(principal, "collection.rollback", name, act, |done| {
            format!("from {} to {to} as {}", done.from, done.version)
        });
        let done = done.await?;
        info!(collection = %name, from = %done.from, %to, version = %done.version, "rolled back");
        let why = Some(format!("rolled back to {to}"));
        let paused = AuditEntry::new(self.clock.now(), principal, "sync.pause", name, why);
        if let Err(error) = self.metadata.audit(&paused).await {
            warn!(sync = %name, %error, "the pause of the sync could not be written to the audit log");
        }
        Ok(done)
    }

    /// Announces the content of `target` as the version after the present one, together with the pause: a run that
    /// starts from the announcement sees it, and a rollback that is not announced leaves none.
    async fn announce_again(
        &self,
        name: &CollectionName,
        target: &Manifest,
        principal: &Principal,
    ) -> Result<RolledBack, Error> {
        let why = format!("rolled back to {}", target.version);
        for _ in 0..ATTEMPTS_MAX {
            let (document, present) = self.visible(name).await?;
            let now = self.clock.now();
            // No object is written twice: each attempt publishes a manifest of its own.
            let manifest = Manifest {
                format: Manifest::format_of(&target.indexes),
                version: Version(present.version.0.saturating_add(1)),
                run_id: RunId::from_uuid(random::uuid_at(now.timestamp_millis().unsigned_abs())),
                created_at: now,
                serving: self.serving(name, &present, target).await?,
                ..target.clone()
            };
            let (object, sha256) = self.catalog.publish_manifest(&manifest).await?;
            let mut run = self.begin_run(&manifest, &object, sha256).await?;
            let pause = Pause { at: now, by: principal.to_string(), why: why.clone() };
            let change = change_to(&manifest, object, sha256, Some(present.sha256), Some(pause));
            let announced = self.announcer.announce(change).await;
            self.end_run(&mut run, announced.as_ref().err()).await;
            match announced {
                Ok(_) => {
                    return Ok(RolledBack {
                        collection: name.clone(),
                        from: present.version,
                        to: target.version,
                        version: manifest.version,
                        records: manifest.records,
                        data_as_of: manifest.data_as_of,
                        pinned: document.pins_of(name).map(|(region, _)| region.clone()).collect(),
                    });
                }
                Err(AnnounceError::Superseded) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AnnounceError::Superseded.into())
    }

    /// Stores the run of a rollback: it leads to the version when the catalog's documents are deleted, and
    /// housekeeping keeps its objects while the outcome of the announcement is unknown.
    async fn begin_run(&self, manifest: &Manifest, object: &str, sha256: Digest) -> Result<RunRecord, Error> {
        let run = RunRecord {
            id: manifest.run_id,
            sync: manifest.collection.clone(),
            status: RunStatus::Announcing,
            trigger: Trigger::Rollback.as_str().to_owned(),
            started_at: manifest.created_at,
            finished_at: None,
            data_as_of: Some(manifest.data_as_of),
            version: Some(manifest.version),
            counts: RunCounts { records: manifest.records, left: manifest.left, ..RunCounts::default() },
            error: None,
        };
        self.metadata.insert_run(&run).await?;
        self.metadata.set_run_manifest(run.id, object, sha256).await?;
        Ok(run)
    }

    async fn end_run(&self, run: &mut RunRecord, error: Option<&AnnounceError>) {
        run.status = match error {
            None => RunStatus::Announced,
            // The next run of the sync reconciles it with the catalog.
            Some(AnnounceError::Unknown) => return,
            Some(AnnounceError::Superseded) => RunStatus::Superseded,
            Some(_) => RunStatus::Failed,
        };
        run.finished_at = Some(self.clock.now());
        run.error = error.map(|error| RunError { code: error.code().to_owned(), message: error.to_string() });
        if let Err(error) = self.metadata.update_run(run).await {
            warn!(run = %run.id, %error, "the end of a rollback could not be recorded");
        }
    }

    /// The present serving settings, which a rollback keeps.
    async fn serving(
        &self,
        name: &CollectionName,
        present: &CollectionEntry,
        target: &Manifest,
    ) -> Result<ServingSettings, Error> {
        match self.catalog.manifest(name, present).await {
            Ok(manifest) => Ok(manifest.serving),
            // A damaged or missing manifest is a reason to roll back, not an obstacle.
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => {
                warn!(code = error.code(), collection = %name, %error, "the present manifest cannot be read");
                Ok(ServingSettings { regions: present.regions.clone(), ..target.serving.clone() })
            }
            Err(error) => Err(error.into()),
        }
    }
}
