//! Rolling a collection back to an earlier version.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tracing::{info, warn};

use super::{
    Principal,
    error::Error,
    publisher::Publisher,
    versions::{ATTEMPTS_MAX, change_to},
};
use crate::{
    catalog::AnnounceError,
    domain::{
        catalog::CollectionEntry,
        error::ErrorKind,
        id::RunId,
        limits::FORMAT,
        manifest::{Manifest, ServingSettings, Version},
        name::{CollectionName, RegionName},
    },
    metadata::Pause,
    support::random,
};

/// A collection that was rolled back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
    /// for [`super::Admin::resume`]. A run in progress is not waited for. The version that it was compared
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
        let act = Box::pin(self.pause_and_announce(name, &target, principal));
        self.audited(principal, "collection.rollback", name, act, |done| {
            format!("from {} to {to} as {}", done.from, done.version)
        })
        .await
    }

    async fn pause_and_announce(
        &self,
        name: &CollectionName,
        target: &Manifest,
        principal: &Principal,
    ) -> Result<RolledBack, Error> {
        let (to, now) = (target.version, self.clock.now());
        // The pause comes first: a run that starts from the announcement below must see it.
        let why = format!("rolled back to {to}");
        let mut pause = Pause { at: now, by: principal.to_string(), why, pending: Some(self.new_run()) };
        let before = self.metadata.pause_sync(name, &pause).await?;
        match self.announce_again(name, target, &mut pause).await {
            Ok(done) => {
                let RolledBack { from, version, .. } = done;
                info!(collection = %name, %from, %to, %version, "rolled back");
                self.keep_pause(name, pause).await;
                Ok(done)
            }
            Err(error @ Error::Announce(AnnounceError::Unknown)) => {
                warn!(sync = %name, "it is not known whether the rollback was announced; its sync stays paused");
                self.keep_pause(name, pause).await;
                Err(error)
            }
            Err(error) => {
                self.undo_pause(name, &pause, before).await;
                Err(error)
            }
        }
    }

    /// Makes the pending pause an ordinary one. When that fails, the next reconciliation learns the same from
    /// the catalog.
    async fn keep_pause(&self, name: &CollectionName, pause: Pause) {
        let Some(run) = pause.pending else { return };
        let kept = match self.metadata.confirm_pause(name, run).await {
            // An operator ended the pause before the rollback was announced.
            Ok(false) => self.metadata.pause_sync(name, &Pause { pending: None, ..pause }).await.map(drop),
            kept => kept.map(drop),
        };
        if let Err(error) = kept {
            warn!(sync = %name, %error, "the pause of its sync could not be confirmed; a publisher does that later");
        }
    }

    fn new_run(&self) -> RunId {
        RunId::from_uuid(random::uuid_at(self.clock.now().timestamp_millis().unsigned_abs()))
    }

    /// Announces the content of `target` as the version after the present one, under the run id that `pause`
    /// has as pending.
    async fn announce_again(
        &self,
        name: &CollectionName,
        target: &Manifest,
        pause: &mut Pause,
    ) -> Result<RolledBack, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let run_id = *pause.pending.get_or_insert_with(|| self.new_run());
            let (document, present) = self.visible(name).await?;
            let manifest = Manifest {
                format: FORMAT,
                version: Version(present.version.0.saturating_add(1)),
                run_id,
                created_at: self.clock.now(),
                serving: self.serving(name, &present, target).await?,
                ..target.clone()
            };
            let (object, sha256) = self.catalog.publish_manifest(&manifest).await?;
            let change = change_to(&manifest, object, sha256, Some(present.sha256));
            match self.announcer.announce(change).await {
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
                Err(AnnounceError::Superseded) => {
                    // No object is written twice: the next attempt publishes a manifest of its own.
                    pause.pending = Some(self.new_run());
                    self.metadata.pause_sync(name, pause).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(AnnounceError::Superseded.into())
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

    /// Restores the pause that a sync had before a failed rollback, unless `own` has been replaced since.
    async fn undo_pause(&self, name: &CollectionName, own: &Pause, before: Option<Pause>) {
        let undone = match self.metadata.pause(name).await {
            Ok(present) if present.as_ref().is_none_or(|present| !is_same(present, own)) => return,
            Ok(_) => match before {
                Some(before) => self.metadata.pause_sync(name, &before).await,
                None => self.metadata.resume_sync(name, &own.by, Some("the rollback failed")).await,
            },
            Err(error) => Err(error),
        };
        if let Err(error) = undone {
            warn!(sync = %name, %error, "nothing was rolled back, but the sync stays paused; give `larder resume`");
        }
    }
}

/// Compares times to the microsecond, as databases keep them.
fn is_same(one: &Pause, other: &Pause) -> bool {
    one.at.timestamp_micros() == other.at.timestamp_micros() && one.why == other.why
}
