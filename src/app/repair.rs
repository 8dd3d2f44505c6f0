//! `larder repair` and `larder housekeeping`: opening what they need.

use std::path::PathBuf;

use super::{
    parts::{open_catalog, open_metadata, open_segments, open_statuses},
    process::PublisherProcess,
};
use crate::{
    admin::{
        CatalogRepair, Error, Housekeeper, HousekeepingRound, LocalCopies, Principal, VersionRepair,
        repair_catalog,
    },
    catalog,
    config::Config,
    replica,
    support::{blocking, clock::Clock},
};

/// Repairs the catalog, and then the versions that it names, from what the node in `data_dir` has kept.
pub async fn repair(
    config: &Config,
    principal: &Principal,
    clock: Clock,
) -> Result<(CatalogRepair, Vec<VersionRepair>), Error> {
    let metadata = open_metadata(config, clock.clone()).await?;
    let kept = kept_document(config.node.data_dir.clone()).await;
    let catalog = repair_catalog(&open_catalog(config)?, &metadata, kept, &clock).await;
    metadata.close().await;
    let catalog = catalog?;
    let process = PublisherProcess::start(config, clock.clone(), false).await?;
    let repaired = async {
        let manifests = replica::kept_manifests(&config.node.data_dir, clock.clone());
        let manifests = manifests.map_err(catalog::Error::from)?;
        let copies = LocalCopies { manifests, segments: open_segments(config, clock)? };
        // A key set that was announced in a lost document is announced again.
        process.publisher.reconcile_keys().await?;
        process.publisher.repair_versions(&copies, principal).await
    };
    let repaired = repaired.await;
    process.stop().await;
    Ok((catalog, repaired?))
}

async fn kept_document(data_dir: PathBuf) -> Option<crate::domain::catalog::CatalogDocument> {
    blocking::run(move || replica::kept_document(&data_dir)).await.flatten()
}

/// Does the hourly housekeeping of a server once; returns `None` when another process does it.
pub async fn housekeeping(config: &Config, clock: Clock) -> Result<Option<HousekeepingRound>, Error> {
    let process = PublisherProcess::start(config, clock, false).await?;
    let publisher = &process.publisher;
    let done = async {
        publisher.reconcile_keys().await?;
        publisher.reconcile_runs().await?;
        let mut housekeeper = Housekeeper::new(publisher.clone());
        let mut total: Option<HousekeepingRound> = None;
        while let Some(round) = housekeeper.delete_objects().await? {
            let sum = total.get_or_insert_default();
            sum.objects += round.objects;
            sum.bytes += round.bytes;
            if round.collections_left == 0 {
                break;
            }
        }
        publisher.delete_old_statuses(&open_statuses(config)).await?;
        publisher.prune_metadata().await?;
        Ok(total)
    };
    let done = done.await;
    process.stop().await;
    done
}
