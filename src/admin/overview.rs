//! What is announced, and which node serves it: the use cases that read the object store.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Admin, Registry,
    error::Error,
    fleet::{self, Ages, FleetStatus, Served},
    status::{CollectionStatus, Selection, Slice, Status},
    versions::{ServableVersion, VERSIONS_LISTED_MAX, Versions, entry_of},
};
use crate::{
    catalog::{Catalog, Fleet, StatusStore, lowest_kept},
    domain::{
        manifest::Version,
        name::{CollectionName, RegionName},
    },
    support::clock::Clock,
};

/// How long a silent node's reports of used keys count: a status is kept as long.
const KEY_USES_AGE_MAX: TimeDelta = TimeDelta::days(7);

/// When each key was last used, by key id and region.
pub type KeyUses = BTreeMap<String, BTreeMap<RegionName, DateTime<Utc>>>;

/// The use cases that read the object store and the statuses of nodes.
pub struct Overview {
    /// The configured syncs; `None` on a node that does not publish, which knows of none.
    pub registry: Option<Registry>,
    /// The most recent catalog that this node may read.
    pub catalog: Catalog,
    /// The statuses of nodes.
    pub statuses: StatusStore,
    /// Number of newest versions of a collection that are retained.
    pub keep_versions: usize,
    /// The time.
    pub clock: Clock,
}

impl Overview {
    /// What is announced, with runs, held runs and pauses where `admin` gives access to them. The nodes
    /// follow with [`Overview::read_fleet`].
    pub async fn status(&self, admin: Option<&Admin>) -> Result<Status, Error> {
        self.read_status(admin, Selection::All).await
    }

    /// The announced collections and configured syncs in the order of their names: at most `limit` behind `after`.
    pub async fn collections(
        &self,
        admin: Option<&Admin>,
        after: Option<&CollectionName>,
        limit: usize,
    ) -> Result<Vec<CollectionStatus>, Error> {
        let selection = Selection::Page(Slice { after: after.map(CollectionName::as_str), limit });
        Ok(self.read_status(admin, selection).await?.collections)
    }

    /// As [`Overview::status`], but the manifests of at most `limit` collections behind the name `after` are read. Records,
    /// bytes and problems of manifests are known of these alone.
    pub async fn status_with(
        &self,
        admin: Option<&Admin>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Status, Error> {
        self.read_status(admin, Selection::WithManifests(Slice { after, limit })).await
    }

    /// One announced collection or configured sync.
    ///
    /// # Errors
    /// [`Error::UnknownCollection`].
    pub async fn collection(
        &self,
        admin: Option<&Admin>,
        name: &CollectionName,
    ) -> Result<CollectionStatus, Error> {
        let found = self.read_status(admin, Selection::One(name)).await?.collections.pop();
        match found {
            Some(found) => Ok(found),
            None => Err(entry_of(self.catalog.newest(None).await?, name)
                .err()
                .unwrap_or(Error::UnknownCollection { name: name.to_string(), known: "none".to_owned() })),
        }
    }

    async fn read_status(&self, admin: Option<&Admin>, selection: Selection<'_>) -> Result<Status, Error> {
        let configured = self.registry.as_ref().map(Registry::names);
        let metadata = admin.map(|admin| &admin.metadata);
        Status::read(&self.catalog, metadata, configured.as_ref(), selection).await
    }

    /// The versions of a collection that can be served, the newest first, with their runs where `admin` gives access
    /// to them. At most the newest `limit` manifests are read.
    ///
    /// # Errors
    /// [`Error::UnknownCollection`].
    pub async fn versions(
        &self,
        admin: Option<&Admin>,
        name: &CollectionName,
        limit: usize,
    ) -> Result<Vec<ServableVersion>, Error> {
        let (document, present) = entry_of(self.catalog.newest(None).await?, name)?;
        let (document, present) = (&document, &present);
        let metadata = admin.map(|admin| &admin.metadata);
        let versions = Versions { catalog: &self.catalog, metadata, document, name, present };
        // A node that only reads cannot ask the store for its time.
        let now = self.clock.now();
        let lowest = match self.catalog.lowest_selectable(document, name, self.keep_versions, now).await {
            Ok(lowest) => lowest,
            // The catalog's past is not known; the last versions are kept in any case.
            Err(error) if error.is_of_object() => lowest_kept(present.version, self.keep_versions),
            Err(error) => return Err(error.into()),
        };
        versions.list(lowest, limit.min(VERSIONS_LISTED_MAX)).await
    }

    /// The nodes, beside what `status` has as announced.
    pub async fn read_fleet(&self, status: &Status) -> Result<FleetStatus, Error> {
        FleetStatus::read(&self.statuses, &status.announcement(), self.clock.now(), Ages::default()).await
    }

    /// When each key was last used, by region, as the nodes of the last week report.
    pub async fn key_uses(&self) -> Result<KeyUses, Error> {
        let ages = Ages { shown: KEY_USES_AGE_MAX, ..Ages::default() };
        let nodes = Fleet::read(&self.statuses, self.clock.now(), ages).await?.nodes;
        let mut uses = KeyUses::new();
        for (region, status) in nodes.into_iter().filter_map(|node| Some((node.region, node.status.ok()?))) {
            for (id, at) in status.keys_used {
                let last = uses.entry(id.to_string()).or_default().entry(region.clone()).or_insert(at);
                *last = at.max(*last);
            }
        }
        Ok(uses)
    }

    /// Waits until every live node that serves `collection` serves `version`; see [`fleet::await_version`].
    pub async fn await_version(
        &self,
        collection: &CollectionName,
        version: Version,
        patience: Duration,
    ) -> Result<Served, Error> {
        let (catalog, statuses, ages) = (&self.catalog, &self.statuses, Ages::default());
        fleet::await_version(catalog, statuses, &self.clock, ages, collection, version, patience).await
    }

    /// Regions from which a node has reported lately, or which a sync or an announced collection names. `None`
    /// when there are more nodes than are read.
    pub async fn known_regions(&self) -> Result<Option<BTreeSet<RegionName>>, Error> {
        let now = self.clock.now();
        let mut known = fleet::known_regions(&self.catalog, &self.statuses, now, Ages::default()).await?;
        if let (Some(known), Some(registry)) = (&mut known, &self.registry) {
            known.extend(registry.regions());
        }
        Ok(known)
    }
}
