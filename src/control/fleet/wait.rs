//! Waiting until a version is served everywhere.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::reach::Reach;
use crate::{
    control::error::Error,
    domain::{
        manifest::Version,
        name::{CollectionName, RegionName},
    },
    publication::{Ages, Fleet, StatusStore, Store},
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
    /// Nodes that have fallen silent, in words; they were not waited for.
    pub silent: Vec<String>,
}

/// Returns when every live node of every region that serves `collection` serves `version` or a later
/// one. A node that is silent or drains is not waited for.
///
/// # Errors
/// After `patience`: [`Error::NodesBehind`], or [`Error::NoLiveNode`] when no node lives, or what
/// kept the statuses from being read.
pub async fn await_version(
    store: &Store,
    statuses: &StatusStore,
    clock: &Clock,
    ages: Ages,
    collection: &CollectionName,
    version: Version,
    patience: Duration,
) -> Result<Served, Error> {
    let deadline = Instant::now() + patience;
    let mut last: Option<Error> = None;
    let mut regions: Option<Option<Vec<RegionName>>> = None;
    loop {
        let next = Instant::now() + LOOK_INTERVAL;
        let look = async {
            if regions.is_none() {
                let newest = store.newest(None).await?;
                let entry = newest.and_then(|newest| newest.collections.get(collection).cloned());
                regions = Some(entry.and_then(|entry| entry.regions));
            }
            let fleet = Fleet::read(statuses, clock.now(), ages).await?;
            Ok::<_, Error>(Reach::of(
                &fleet,
                collection,
                version,
                regions.as_ref().and_then(Option::as_deref),
            ))
        };
        match timeout_at(deadline + LAST_LOOK_MAX, look).await {
            Ok(Ok(reach)) if reach.is_everywhere() => {
                let Reach { nodes, regions, silent, .. } = reach;
                return Ok(Served { nodes, regions, silent });
            }
            Ok(Ok(reach)) => last = Some(failed(collection, version, patience, &reach)),
            Ok(Err(error)) => last = Some(error),
            Err(_) => {}
        }
        if Instant::now() >= deadline {
            return Err(last.unwrap_or_else(|| {
                let path = "the fleet's statuses".to_owned();
                let seconds = patience.as_secs();
                crate::publication::Error::Timeout { operation: "read", path, seconds }.into()
            }));
        }
        sleep_until(next.min(deadline)).await;
    }
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
