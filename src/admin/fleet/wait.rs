//! Waiting until a version is served everywhere.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::{Instant, sleep_until, timeout_at};

use super::reach::{Reach, Regions};
use crate::{
    admin::error::Error,
    catalog::{Ages, Catalog, Fleet, StatusStore},
    domain::{
        manifest::Version,
        name::{CollectionName, RegionName},
    },
    support::clock::Clock,
};

/// Time between two looks at the statuses, which are written once a second at most.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Longest time of the look that is under way, or begins, when patience ends.
const LAST_LOOK_MAX: Duration = Duration::from_secs(2);

/// Where a version is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Live nodes: all of them.
    pub nodes: usize,
    /// Their regions.
    pub regions: usize,
    /// Nodes that have fallen silent or were replaced, in words; they were not waited for.
    pub silent: Vec<String>,
    /// Regions that are pinned to a version of their own; they were not waited for.
    pub pinned: BTreeSet<RegionName>,
}

/// Returns when every live node of every region that serves `collection` serves `version` or a later
/// one. A node that is silent, drains or was replaced is not waited for, nor a region that is pinned.
///
/// # Errors
/// After `patience`: [`Error::NodesBehind`], or [`Error::NoLiveNode`] when no node lives, or what
/// kept the statuses from being read.
pub async fn await_version(
    catalog: &Catalog,
    statuses: &StatusStore,
    clock: &Clock,
    ages: Ages,
    collection: &CollectionName,
    version: Version,
    patience: Duration,
) -> Result<Served, Error> {
    let deadline = Instant::now() + patience;
    let mut last: Option<Error> = None;
    let mut regions: Option<Regions> = None;
    loop {
        let next = Instant::now() + LOOK_INTERVAL;
        let look = async {
            if regions.is_none() {
                regions = Some(regions_of(catalog, collection).await?);
            }
            let fleet = Fleet::read(statuses, clock.now(), ages).await?;
            Ok::<_, Error>(Reach::of(&fleet, collection, version, regions.get_or_insert_default()))
        };
        match timeout_at(deadline + LAST_LOOK_MAX, look).await {
            Ok(Ok(reach)) if reach.is_everywhere() => {
                let Reach { nodes, regions, silent, pinned, .. } = reach;
                return Ok(Served { nodes, regions, silent, pinned });
            }
            Ok(Ok(reach)) => last = Some(failed(collection, version, patience, &reach)),
            Ok(Err(error)) => last = Some(error),
            Err(_) => {}
        }
        if Instant::now() >= deadline {
            return Err(last.unwrap_or_else(|| {
                let path = "the fleet's statuses".to_owned();
                let seconds = patience.as_secs();
                crate::catalog::Error::from(crate::store::Error::Timeout { operation: "read", path, seconds })
                    .into()
            }));
        }
        sleep_until(next.min(deadline)).await;
    }
}

async fn regions_of(catalog: &Catalog, collection: &CollectionName) -> Result<Regions, Error> {
    let Some(newest) = catalog.newest(None).await? else { return Ok(Regions::default()) };
    let serving = newest.collections.get(collection).and_then(|entry| entry.regions.clone());
    Ok(Regions { serving, pinned: newest.pins_of(collection).map(|(region, _)| region.clone()).collect() })
}

fn failed(collection: &CollectionName, version: Version, patience: Duration, reach: &Reach) -> Error {
    let (collection, seconds) = (collection.clone(), patience.as_secs());
    if reach.has_live_node() {
        Error::NodesBehind { collection, version, seconds, nodes: reach.to_string() }
    } else {
        let silent = if reach.silent.is_empty() { String::new() } else { format!(": {reach}") };
        Error::NoLiveNode { collection, version, seconds, silent }
    }
}
