//! Who serves what, where, and how far behind: the fleet's statuses beside what is announced.

mod reach;
mod reader;
mod wait;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

pub use crate::catalog::Ages;
pub use reader::FleetReader;
pub use wait::{Served, await_version};

use super::{error::Error, status::Status};
use crate::{
    catalog::{Catalog, Fleet, FleetNode, StatusStore},
    domain::{
        id::NodeId,
        label::Label,
        name::{CollectionName, RegionName},
    },
    status::{CollectionStatus, LastError, NodeState, NodeStatus, Problem, PublisherStatus},
};

/// What is announced of one collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The version.
    pub version: u64,
    /// How fresh it is, where that is known.
    pub data_as_of: Option<DateTime<Utc>>,
    /// Regions that serve it; `None` means all.
    pub regions: Option<Vec<RegionName>>,
    /// Regions that are held at another version, and that version.
    pub pins: BTreeMap<RegionName, u64>,
}

/// What is announced, by collection.
pub type Announcement = BTreeMap<CollectionName, Announced>;

/// The fleet, for people and programs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FleetStatus {
    /// When it was read, by the reader's clock; `None` when it never could be.
    pub read_at: Option<DateTime<Utc>>,
    /// Why it could not be read the last time; the nodes are those of `read_at`.
    pub problem: Option<FleetProblem>,
    /// Nodes beyond the most that are shown.
    pub left_off: usize,
    /// Nodes by region and name.
    pub nodes: Vec<NodeView>,
}

/// Why the fleet could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FleetProblem {
    /// The stable code.
    pub code: &'static str,
    /// What happened.
    pub message: String,
}

/// The state of `node`, as others see it.
fn state_of(node: &FleetNode) -> NodeState {
    match &node.status {
        _ if node.is_silent => NodeState::Silent,
        Err(_) => NodeState::Unreadable,
        Ok(status) => status.state(),
    }
}

/// Whether a node in this state lives and goes on: what a waiting command waits for.
const fn is_live(state: NodeState) -> bool {
    matches!(state, NodeState::Ready | NodeState::Starting | NodeState::Unreadable)
}

/// One node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeView {
    /// Its region.
    pub region: RegionName,
    /// Its id.
    pub node: NodeId,
    /// How it stands.
    pub state: NodeState,
    /// How long ago it wrote, by the store's clock.
    pub seen_seconds: i64,
    /// Why what it wrote cannot be read.
    pub unreadable: Option<&'static str>,
    /// What it wrote.
    #[serde(flatten)]
    pub details: Option<NodeDetails>,
}

/// What a node wrote of itself. Ages are those of the moment at which it wrote.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeDetails {
    /// Its name, for people.
    pub name: Label,
    /// What it does.
    pub roles: Vec<Label>,
    /// The version of the program.
    pub build: Label,
    /// When the process started, by its own clock.
    pub started_at: DateTime<Utc>,
    /// When it wrote, by its own clock.
    pub written_at: DateTime<Utc>,
    /// Whether requests may come.
    pub ready: bool,
    /// The newest catalog document that it knows.
    pub catalog: u64,
    /// Time since the store had last answered a look at the catalog.
    pub catalog_age_seconds: Option<f64>,
    /// Revision of the keys in force.
    pub keys_revision: u64,
    /// Time since the store had last said that these are the keys in force.
    pub keys_age_seconds: Option<f64>,
    /// Why catalog or keys cannot be followed.
    pub problem: Option<Problem>,
    /// The last problem, also when it is over.
    pub last_error: Option<LastError>,
    /// Every collection that is announced for its region, and those it goes on serving; none on a node
    /// that only publishes.
    pub collections: BTreeMap<CollectionName, CollectionView>,
    /// Its publishing side, when it has one.
    pub publisher: Option<PublisherStatus>,
    /// Tasks that ended unexpectedly and are started again.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tasks: BTreeMap<Label, Problem>,
}

/// One collection on one node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CollectionView {
    /// The version that is announced; `None` when it is no more.
    pub announced_version: Option<u64>,
    /// The version that the node serves.
    pub served_version: Option<u64>,
    /// The version that its region is pinned to, which is then the announced one.
    pub pinned_version: Option<u64>,
    /// Versions between the two; all of them when none is served.
    pub versions_behind: u64,
    /// Versions by which what is served is above the pin: it is not in force on this node yet.
    pub versions_above_pin: u64,
    /// How much newer the announced data is; `None` when nothing is served or that is not known. 0
    /// at the announced version: a run without changes moves only the time, which a node tells later.
    pub seconds_behind: Option<f64>,
    /// Since when the node serves another version than it knows to be announced, by its clock.
    pub behind_since: Option<DateTime<Utc>>,
    /// When the source was last seen with the content that is served.
    pub data_as_of: Option<DateTime<Utc>>,
    /// Records served.
    pub records: u64,
    /// Bytes of the segments served.
    pub bytes: u64,
    /// Why it is not what is announced.
    pub problem: Option<Problem>,
}

/// What is announced, from catalog and head alone.
pub async fn announcement(catalog: &Catalog) -> Result<Announcement, Error> {
    let newest = catalog.newest(None).await?;
    let fresh = catalog.head().await?.map(|head| head.data_as_of).unwrap_or_default();
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

/// Regions from which a node has reported lately, or which an announced collection names. `None` when
/// there are more nodes than are read.
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
    /// What is announced, as this status tells it.
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
    /// Reads all statuses and lays them beside what is announced.
    pub async fn read(
        statuses: &StatusStore,
        announced: &Announcement,
        now: DateTime<Utc>,
        ages: Ages,
    ) -> Result<Self, Error> {
        let fleet = Fleet::read(statuses, now, ages).await?;
        let mut nodes: Vec<NodeView> = fleet.nodes.iter().map(|node| NodeView::of(node, announced)).collect();
        nodes.sort_by(|a, b| a.place().cmp(&b.place()));
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
            unreadable: node.status.as_ref().err().copied(),
            details: node.status.as_ref().ok().map(|status| NodeDetails::of(status, announced)),
        }
    }

    /// By which nodes are ordered.
    fn place(&self) -> (&RegionName, Option<&Label>, NodeId) {
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
            // The node has not heard of it yet.
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
    /// The same as `region` should serve it, with no pin but its own: a pinned version has its own time,
    /// which is not known here.
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
    fn of(one: Option<&CollectionStatus>, announced: Option<&Announced>) -> Self {
        let served = one.and_then(|one| one.served).map(|served| served.0);
        let version = announced.map(|announced| announced.version);
        let data_as_of = one.and_then(|one| one.data_as_of);
        let pinned = announced.and_then(|announced| announced.pins.values().next().copied());
        // Without a pin the node knows of a newer document than its reader.
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

/// To the millisecond; never negative, as clocks move.
fn seconds(span: TimeDelta) -> f64 {
    span.num_milliseconds().max(0) as f64 / 1000.0
}

#[cfg(test)]
mod tests;
