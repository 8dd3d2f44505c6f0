//! Compares the statuses of all nodes with the announced versions: who serves what, and how far behind.

mod reach;
mod reader;
mod wait;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

pub use crate::catalog::Ages;
pub use reader::FleetReader;
pub use wait::{Served, await_version};

use super::{error::Error, status::Status};
use crate::{
    catalog::{Catalog, Fleet, FleetNode, StatusStore},
    domain::{CollectionName, Label, NodeId, RegionName},
    status::{LastError, NodeCollectionStatus, NodeState, NodeStatus, Problem, PublisherStatus},
};

/// The announced version of one collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The version.
    pub version: u64,
    /// When the source was last seen with this content, if known.
    pub data_as_of: Option<DateTime<Utc>>,
    /// Regions that serve it; `None` means all.
    pub regions: Option<Vec<RegionName>>,
    /// Regions that are pinned, and their versions.
    pub pins: BTreeMap<RegionName, u64>,
}

/// The announced versions, by collection.
pub type Announcement = BTreeMap<CollectionName, Announced>;

/// The statuses of all nodes, for people and programs.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FleetStatus {
    /// When the statuses were last read, by the reader's clock; `None` when no read has succeeded.
    pub read_at: Option<DateTime<Utc>>,
    /// Why the last read failed. `nodes` are then those of `read_at`.
    pub problem: Option<StoreProblem>,
    /// Nodes left off because there are too many to show.
    pub left_off: usize,
    /// Nodes, ordered by region and name.
    pub nodes: Vec<NodeView>,
}

/// Why something could not be read from the store.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreProblem {
    /// The stable code.
    pub code: String,
    /// What happened.
    pub message: String,
}

impl StoreProblem {
    pub(super) fn of(error: &crate::catalog::Error) -> Self {
        Self { code: error.code().to_owned(), message: error.to_string() }
    }
}

/// The state of `node`, as other nodes see it.
fn state_of(node: &FleetNode) -> NodeState {
    match &node.status {
        _ if node.is_silent => NodeState::Silent,
        Err(_) => NodeState::Unreadable,
        Ok(status) => status.state(),
    }
}

/// Whether a node in this state is live, so that a waiting command waits for it.
const fn is_live(state: NodeState) -> bool {
    matches!(state, NodeState::Ready | NodeState::Starting | NodeState::Unreadable)
}

/// One node.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeView {
    /// Its region.
    pub region: RegionName,
    /// Its id.
    pub node: NodeId,
    /// Its state.
    pub state: NodeState,
    /// Seconds since it wrote its status, by the store's clock.
    pub seen_seconds: i64,
    /// The code of the error that makes its status unreadable.
    pub unreadable: Option<String>,
    /// Its status, when readable.
    #[serde(flatten)]
    pub details: Option<NodeDetails>,
}

/// The status that a node wrote. Ages are as of `written_at`.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeDetails {
    /// Its name, for people.
    pub name: Label,
    /// Its roles.
    pub roles: Vec<Label>,
    /// The version of the program.
    pub build: Label,
    /// When the process started, by its own clock.
    pub started_at: DateTime<Utc>,
    /// When it wrote the status, by its own clock.
    pub written_at: DateTime<Utc>,
    /// Whether it is ready for requests.
    pub ready: bool,
    /// The newest catalog document that it knows.
    pub catalog: u64,
    /// Seconds since the store last answered a poll of the catalog.
    pub catalog_age_seconds: Option<f64>,
    /// Revision of the keys in force.
    pub keys_revision: u64,
    /// Seconds since the store last confirmed the keys in force.
    pub keys_age_seconds: Option<f64>,
    /// Why it cannot follow the catalog or the keys.
    pub problem: Option<Problem>,
    /// The last problem, also when it is over.
    pub last_error: Option<LastError>,
    /// Every collection that is announced for its region, and every other that it still serves. Empty on a node
    /// that only publishes.
    pub collections: BTreeMap<CollectionName, CollectionView>,
    /// Its publishing side, when it has one.
    pub publisher: Option<PublisherStatus>,
    /// Tasks that ended unexpectedly and are started again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tasks: BTreeMap<Label, Problem>,
}

/// One collection on one node.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CollectionView {
    /// The announced version; `None` when the collection is no longer announced.
    pub announced_version: Option<u64>,
    /// The version that the node serves.
    pub served_version: Option<u64>,
    /// The version that its region is pinned to. It is then also `announced_version`.
    pub pinned_version: Option<u64>,
    /// Versions between the served and the announced one; all of them when none is served.
    pub versions_behind: u64,
    /// Versions by which the served one is above the pin, which is not in force on this node yet.
    pub versions_above_pin: u64,
    /// Seconds by which the announced data is newer; `None` when nothing is served or the time is not known. 0
    /// at the announced version: after a run without changes only the time differs, and nodes report it later.
    pub seconds_behind: Option<f64>,
    /// Since when the served version differs from the announced one that the node knows, by its clock.
    pub behind_since: Option<DateTime<Utc>>,
    /// When the source was last seen with the content that is served.
    pub data_as_of: Option<DateTime<Utc>>,
    /// Records served.
    pub records: u64,
    /// Bytes of the segments served.
    pub bytes: u64,
    /// Why the node does not serve the announced version.
    pub problem: Option<Problem>,
}

/// Reads the announced versions from the catalog and its head.
pub async fn announcement(catalog: &Catalog) -> Result<Announcement, Error> {
    let newest = catalog.last_readable(None).await?.document;
    let fresh = catalog.usable_head().await?.map(|head| head.data_as_of).unwrap_or_default();
    let Some(newest) = newest else { return Ok(Announcement::new()) };
    let announced = newest.collections.iter().map(|(name, entry)| {
        let fresh = fresh.get(name).filter(|fresh| fresh.version == entry.version);
        let data_as_of = fresh.map(|fresh| fresh.data_as_of);
        let pins = newest.pins_of(name).map(|(region, pinned)| (region.clone(), pinned.version.0)).collect();
        (
            name.clone(),
            Announced { version: entry.version.0, data_as_of, regions: entry.regions.clone(), pins },
        )
    });
    Ok(announced.collect())
}

/// Regions with a recent status, and regions that an announced collection names. `None` when there are too many
/// nodes to read.
pub async fn known_regions(
    catalog: &Catalog,
    statuses: &StatusStore,
    now: DateTime<Utc>,
    ages: Ages,
) -> Result<Option<BTreeSet<RegionName>>, Error> {
    let fleet = Fleet::read(statuses, now, ages).await?;
    let announced = announcement(catalog).await?;
    let named = announced.into_values().filter_map(|one| one.regions).flatten();
    let known = fleet.nodes.into_iter().map(|node| node.region).chain(named).collect();
    Ok((fleet.left_off == 0).then_some(known))
}

impl Status {
    /// The announced versions in this status.
    pub fn announcement(&self) -> Announcement {
        let announced = self.collections.iter().filter_map(|one| {
            let (version, data_as_of) = (one.version?, one.data_as_of);
            let (regions, pins) = (one.regions.clone(), one.pins.clone());
            Some((one.collection.clone(), Announced { version, data_as_of, regions, pins }))
        });
        announced.collect()
    }
}

impl FleetStatus {
    /// Reads all statuses and compares them with `announced`.
    pub async fn read(
        statuses: &StatusStore,
        announced: &Announcement,
        now: DateTime<Utc>,
        ages: Ages,
    ) -> Result<Self, Error> {
        let fleet = Fleet::read(statuses, now, ages).await?;
        let mut nodes: Vec<NodeView> = fleet.nodes.iter().map(|node| NodeView::of(node, announced)).collect();
        nodes.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        Ok(Self { read_at: Some(now), problem: None, left_off: fleet.left_off, nodes })
    }
}

impl NodeView {
    fn of(node: &FleetNode, announced: &Announcement) -> Self {
        Self {
            region: node.region.clone(),
            node: node.node,
            state: state_of(node),
            seen_seconds: node.age.num_seconds(),
            unreadable: node.status.as_ref().err().map(|code| (*code).to_owned()),
            details: node.status.as_ref().ok().map(|status| NodeDetails::of(status, announced)),
        }
    }

    /// Nodes are sorted by this key.
    fn sort_key(&self) -> (&RegionName, Option<&Label>, NodeId) {
        (&self.region, self.details.as_ref().map(|details| &details.name), self.node)
    }
}

impl NodeDetails {
    fn of(status: &NodeStatus, announced: &Announcement) -> Self {
        let age = |at: Option<DateTime<Utc>>| at.map(|at| seconds(status.written_at - at));
        let here = |name: &CollectionName| announced.get(name).map(|one| one.in_region(&status.region));
        let mut collections: BTreeMap<CollectionName, CollectionView> = status
            .collections
            .iter()
            .map(|(name, one)| (name.clone(), CollectionView::of(Some(one), here(name).as_ref())))
            .collect();
        let is_for_it = |one: &Announced| !status.is_publisher_only() && one.is_served_in(&status.region);
        for (name, _) in announced.iter().filter(|(_, one)| is_for_it(one)) {
            // The node does not know of the collection yet.
            let view = || CollectionView::of(None, here(name).as_ref());
            collections.entry(name.clone()).or_insert_with(view);
        }
        Self {
            name: status.name.clone(),
            roles: status.roles.clone(),
            build: status.build.clone(),
            started_at: status.started_at,
            written_at: status.written_at,
            ready: status.ready,
            catalog: status.catalog,
            catalog_age_seconds: age(status.polled_at),
            keys_revision: status.keys_revision,
            keys_age_seconds: age(status.keys_at),
            problem: status.problem.clone(),
            last_error: status.last_error.clone(),
            collections,
            publisher: status.publisher.clone(),
            tasks: status.tasks.clone(),
        }
    }
}

impl Announced {
    /// The version that `region` should serve, with only this region's pin. The data time of a pinned version is
    /// not known.
    fn in_region(&self, region: &RegionName) -> Self {
        match self.pins.get(region) {
            Some(&version) => {
                Self { version, data_as_of: None, pins: [(region.clone(), version)].into(), ..self.clone() }
            }
            None => Self { pins: BTreeMap::new(), ..self.clone() },
        }
    }

    fn is_served_in(&self, region: &RegionName) -> bool {
        self.regions.as_ref().is_none_or(|regions| regions.contains(region))
    }
}

impl CollectionView {
    fn of(one: Option<&NodeCollectionStatus>, announced: Option<&Announced>) -> Self {
        let served = one.and_then(|one| one.served).map(|served| served.0);
        let version = announced.map(|announced| announced.version);
        let data_as_of = one.and_then(|one| one.data_as_of);
        let pinned = announced.and_then(|announced| announced.pins.values().next().copied());
        // A version above the announced one counts only with a pin. Without one, the node knows a newer document
        // than this reader.
        let above = pinned.map_or(0, |pinned| served.unwrap_or(0).saturating_sub(pinned));
        let behind = version.map_or(0, |version| version.saturating_sub(served.unwrap_or(0)));
        let between = announced.and_then(|announced| announced.data_as_of).zip(data_as_of);
        Self {
            announced_version: version,
            served_version: served,
            pinned_version: pinned,
            versions_behind: behind,
            versions_above_pin: above,
            seconds_behind: match (served, behind) {
                (None, _) => None,
                (Some(_), 0) => Some(0.0),
                (Some(_), _) => between.map(|(announced, served)| seconds(announced - served)),
            },
            behind_since: one.and_then(|one| one.behind_since),
            data_as_of,
            records: one.map_or(0, |one| one.records),
            bytes: one.map_or(0, |one| one.bytes),
            problem: one.and_then(|one| one.problem.clone()),
        }
    }
}

/// Seconds, rounded to milliseconds. Never negative, although clocks may be set back.
fn seconds(span: TimeDelta) -> f64 {
    span.num_milliseconds().max(0) as f64 / 1000.0
}

#[cfg(test)]
mod tests;
