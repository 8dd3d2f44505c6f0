//! The statuses of all nodes: one small object per node, `{region}/{node id}.json`. Only that node writes it, and
//! overwrites it each time. Statuses are for people and for commands that wait; serving does not depend on them.

mod read;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use chrono::TimeDelta;

use super::{Error, paths};
use crate::domain::{limits::COLLECTIONS_MAX, name::RegionName};
use crate::status::{KEYS_USED_MAX, NodeStatus};
use crate::store::{self, Location, Path, Store, StoredObject, blocking};

pub use read::{Ages, Fleet, FleetNode, NODES_MAX};

/// Largest status object, in bytes. It fits as many collections as a catalog may have ([`COLLECTIONS_MAX`]), each
/// with the longest name and a problem.
pub const STATUS_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most bytes of one collection in a status: a name and a code of 64 each, four numbers and three times.
const COLLECTION_BYTES_MAX: u64 = 410;
/// Most bytes of the last use of a key in a status: its id and a time.
const KEY_USED_BYTES_MAX: u64 = 50;
const _: () = assert!(
    COLLECTIONS_MAX as u64 * COLLECTION_BYTES_MAX + KEYS_USED_MAX as u64 * KEY_USED_BYTES_MAX
        < STATUS_BYTES_MAX
);
/// Time limit of one write: a status is small, and a later one replaces it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Age in days at which a status is deleted: its node is gone for good.
const KEPT_DAYS: i64 = 7;
/// Most statuses deleted by one call. The next call continues.
const DELETIONS_MAX: usize = 1000;

/// The part of a store that holds the statuses. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StatusStore(Arc<StatusLocation>);

#[derive(Debug)]
struct StatusLocation {
    prefix: Path,
    /// The store to open on first use. A node serves also when it cannot be opened.
    location: Option<Location>,
    store: OnceLock<Store>,
}

impl StatusStore {
    /// Statuses in `status/` of the store at `location`, which is opened on first use.
    pub fn below(location: Location) -> Self {
        Self::new(Path::from(paths::STATUS), Some(location), OnceLock::new())
    }

    /// Statuses directly in `location`, which is opened on first use.
    pub fn at(location: Location) -> Self {
        Self::new(Path::default(), Some(location), OnceLock::new())
    }

    /// Statuses in `status/` of an open store.
    pub fn within(store: Store) -> Self {
        Self::new(Path::from(paths::STATUS), None, OnceLock::from(store))
    }

    fn new(prefix: Path, location: Option<Location>, store: OnceLock<Store>) -> Self {
        Self(Arc::new(StatusLocation { prefix, location, store }))
    }

    async fn store(&self) -> Result<&Store, Error> {
        if let (None, Some(location)) = (self.0.store.get(), self.0.location.clone()) {
            let opened = blocking(move || Store::open(&location).map_err(Error::from)).await?;
            // When another caller was first, its store is used.
            let _ = self.0.store.set(opened);
        }
        Ok(self.0.store.get().ok_or(store::Error::Ending)?)
    }

    /// Overwrites a node's status, without the members that only the node may know. Ends within
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

    /// Returns the number of statuses. With `region`, also checks that a node of that region may write one, with an
    /// object that is not a status.
    ///
    /// # Errors
    /// `store_denied` when the node may not list or write; other codes when the store does not answer.
    pub async fn check(&self, region: Option<&RegionName>) -> Result<usize, Error> {
        let store = self.store().await?;
        if let Some(region) = region {
            let path = paths::status_trial(&self.0.prefix, region);
            store.put(&path, Bytes::from_static(b"{}")).await?;
            // Nodes need no right to delete. A remaining object is overwritten by the next check.
            let _ = store.delete(&path).await;
        }
        let mut nodes = 0;
        let prefix = &self.0.prefix;
        let mut visit = |path: &Path| nodes += usize::from(paths::parse_status(prefix, path).is_some());
        store.list(prefix, None, |object| visit(&object.path)).await?;
        Ok(nodes)
    }

    /// Deletes statuses that are older than `KEPT_DAYS` by the store's clock, and returns their number. The newest
    /// status stands for the present time. Only the holder of the housekeeping lease may call it.
    pub async fn collect(&self) -> Result<usize, Error> {
        let store = self.store().await?;
        let mut statuses = Vec::new();
        store
            .list(&self.0.prefix, None, |object| {
                if paths::parse_status(&self.0.prefix, &object.path).is_some() {
                    statuses.push(object);
                }
            })
            .await?;
        let Some(now) = statuses.iter().map(|status| status.modified).max() else { return Ok(0) };
        // In the catalog's own store, retention does this too; `status_url` may name another store.
        store.delete_unfinished(now).await?;
        let is_expired = |status: &StoredObject| now - status.modified > TimeDelta::days(KEPT_DAYS);
        let expired = statuses.into_iter().filter(is_expired).take(DELETIONS_MAX);
        let expired: Vec<Path> = expired.map(|status| status.path).collect();
        let number = expired.len();
        store.delete_all(expired).await?;
        Ok(number)
    }
}
