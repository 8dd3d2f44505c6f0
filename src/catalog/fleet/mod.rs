//! The fleet's statuses: one small object per node, `{region}/{node id}.json`, which its node alone
//! writes, over and over. They are for people, and for commands that wait; nothing that is served
//! depends on them.

mod read;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};

use super::{Error, paths};
use crate::domain::{limits::COLLECTIONS_MAX, name::RegionName};
use crate::status::NodeStatus;
use crate::store::{self, Location, Path, Store, blocking};

pub use read::{Ages, Fleet, FleetNode, NODES_MAX};

/// Largest status object, in bytes: as many collections as a catalog may have ([`COLLECTIONS_MAX`]),
/// each with the longest name and a problem, fit.
pub const STATUS_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Bytes of one collection in a status at most: a name and a code of 64, four numbers, three times.
const COLLECTION_BYTES_MAX: u64 = 410;
const _: () = assert!(COLLECTIONS_MAX as u64 * COLLECTION_BYTES_MAX < STATUS_BYTES_MAX);
/// Longest time of one write: a status is small, and a later one replaces it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// A status that was not written for so many days is deleted: its node is gone for good.
const KEPT_DAYS: i64 = 7;
/// Most statuses deleted by one call: a call ends soon, the next one goes on.
const DELETIONS_MAX: usize = 1000;

/// Where nodes leave their statuses. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StatusStore(Arc<Place>);

#[derive(Debug)]
struct Place {
    prefix: Path,
    /// It is opened when it is first needed: one that cannot be opened keeps no node from serving.
    location: Option<Location>,
    store: OnceLock<Store>,
}

impl StatusStore {
    /// `status/` in the object store at `location`, opened when it is needed.
    pub fn below(location: Location) -> Self {
        Self::new(Path::from(paths::STATUS), Some(location), OnceLock::new())
    }

    /// A place of its own, opened when it is needed.
    pub fn at(location: Location) -> Self {
        Self::new(Path::default(), Some(location), OnceLock::new())
    }

    /// `status/` in an object store that is open.
    pub fn within(store: Store) -> Self {
        Self::new(Path::from(paths::STATUS), None, OnceLock::from(store))
    }

    fn new(prefix: Path, location: Option<Location>, store: OnceLock<Store>) -> Self {
        Self(Arc::new(Place { prefix, location, store }))
    }

    async fn store(&self) -> Result<&Store, Error> {
        if let (None, Some(location)) = (self.0.store.get(), self.0.location.clone()) {
            let opened = blocking(move || Store::open(&location).map_err(Error::from)).await?;
            // Somebody else may have been first: one store is as good as the other.
            let _ = self.0.store.set(opened);
        }
        Ok(self.0.store.get().ok_or(store::Error::Ending)?)
    }

    /// Writes a node's status over its last one, less what only the node may know. Ends within
    /// `WRITE_TIMEOUT`.
    pub async fn write(&self, status: &NodeStatus) -> Result<(), Error> {
        let status = status.for_store();
        let path = paths::status(&self.0.prefix, &status.region, status.node);
        let malformed = |source| Error::Malformed { path: path.to_string(), source };
        let bytes = serde_json::to_vec(&status).map_err(malformed)?;
        let size = bytes.len() as u64;
        if size > STATUS_BYTES_MAX {
            let (path, limit) = (path.to_string(), STATUS_BYTES_MAX);
            return Err(store::Error::TooLarge { path, bytes: size, limit }.into());
        }
        let write = async {
            let store = self.store().await?;
            store.check_directory().await?;
            Ok(store.put(&path, bytes.into()).await?)
        };
        tokio::time::timeout(WRITE_TIMEOUT, write).await.unwrap_or_else(|_| {
            let seconds = WRITE_TIMEOUT.as_secs();
            Err(store::Error::Timeout { operation: "write", path: path.to_string(), seconds }.into())
        })
    }

    /// Lists the statuses, and with `region` also tries whether a node of it may write one, with an
    /// object that is no status; how many there are.
    ///
    /// # Errors
    /// `store_denied` when the node may not list or write; others when the store does not answer.
    pub async fn check(&self, region: Option<&RegionName>) -> Result<usize, Error> {
        let store = self.store().await?;
        if let Some(region) = region {
            let path = paths::status_trial(&self.0.prefix, region);
            store.put(&path, Bytes::from_static(b"{}")).await?;
            // Nodes need no right to delete; what stays is written over by the next check.
            let _ = store.delete(&path).await;
        }
        let mut nodes = 0;
        let prefix = &self.0.prefix;
        let mut visit = |path: &Path| nodes += usize::from(paths::parse_status(prefix, path).is_some());
        store.list(prefix, None, |object| visit(&object.path)).await?;
        Ok(nodes)
    }

    /// Deletes statuses that were not written for `KEPT_DAYS` by the store's own last-modified
    /// time; how many. Only the holder of the housekeeping lease may call it.
    pub async fn collect(&self, now: DateTime<Utc>) -> Result<usize, Error> {
        let store = self.store().await?;
        // Below the object store, retention does it as well.
        store.delete_unfinished(now).await?;
        let mut doomed = Vec::new();
        store
            .list(&self.0.prefix, None, |object| {
                let is_old = now - object.modified > TimeDelta::days(KEPT_DAYS);
                let is_status = paths::parse_status(&self.0.prefix, &object.path).is_some();
                if is_old && is_status && doomed.len() < DELETIONS_MAX {
                    doomed.push(object.path);
                }
            })
            .await?;
        for path in &doomed {
            store.delete(path).await?;
        }
        Ok(doomed.len())
    }
}
