//! Waits until all nodes serve a version.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::reach::{Reach, Regions};
use crate::{
    admin::error::Error,
    catalog::{Ages, Catalog, Fleet, StatusStore},
    domain::{CollectionName, RegionName, Version},
    support::clock::Clock,
};

/// Time between two polls of the statuses. A node writes its status at most once a second.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Longest time of the poll that is running, or starts, at the deadline.
const LAST_POLL_MAX: Duration = Duration::from_secs(2);

/// The nodes and regions that serve a version.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// Number of live nodes, which all serve it.
    pub nodes: usize,
    /// Number of their regions.
    pub regions: usize,
    /// Descriptions of silent and replaced nodes, which were not waited for.
    pub silent: Vec<String>,
    /// Pinned regions, which were not waited for.
    pub pinned: BTreeSet<RegionName>,
}

/// Waits until every live node of every region that serves `collection` serves `version` or a later one. Nodes
/// that are silent, draining or replaced are not waited for. Neither are pinned regions.
///
/// # Errors
/// After `wait_max`: [`Error::NodesBehind`]; [`Error::NoLiveNode`] when no node is live; or the error of reading
/// the statuses.
pub async fn await_version(
    catalog: &Catalog,
    statuses: &StatusStore,
    clock: &Clock,
    ages: Ages,
    collection: &CollectionName,
    version: Version,
    wait_max: Duration,
) -> Result<Served, Error> {
    let deadline = Instant::now() + wait_max;
    let mut last: Option<Error> = None;
    let mut regions: Option<Regions> = None;
    loop {
        let next = Instant::now() + POLL_INTERVAL;
        let poll = async {
            if regions.is_none() {
                regions = Some(regions_of(catalog, collection).await?);
            }
            let fleet = Fleet::read(statuses, clock.now(), ages).await?;
            Ok::<_, Error>(Reach::of(&fleet, collection, version, regions.get_or_insert_default()))
        };
        match timeout_at(deadline + LAST_POLL_MAX, poll).await {
            Ok(Ok(reach)) if reach.is_everywhere() => {
                let Reach { nodes, regions, silent, pinned, .. } = reach;
                return Ok(Served { nodes, regions, silent, pinned });
            }
            Ok(Ok(reach)) => last = Some(failed(collection, version, wait_max, &reach)),
            Ok(Err(error)) => last = Some(error),
            Err(_) => {}
        }
        if Instant::now() >= deadline {
            return Err(last.unwrap_or_else(|| {
                let path = "the fleet's statuses".to_owned();
                let seconds = wait_max.as_secs();
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

fn failed(collection: &CollectionName, version: Version, wait_max: Duration, reach: &Reach) -> Error {
    let (collection, seconds) = (collection.clone(), wait_max.as_secs());
    if reach.has_live_node() {
        Error::NodesBehind { collection, version, seconds, nodes: reach.to_string() }
    } else {
        let silent = if reach.silent.is_empty() { String::new() } else { format!(": {reach}") };
        Error::NoLiveNode { collection, version, seconds, silent }
    }
}
