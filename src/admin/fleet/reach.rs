//! Decides whether all nodes serve a version. Pure.

use std::{collections::BTreeSet, fmt};

use chrono::TimeDelta;

use super::{is_live, state_of};
use crate::{
    catalog::{Fleet, FleetNode},
    domain::{CollectionName, RegionName, Version},
    status::{NodeState, NodeStatus},
};

/// Most nodes that a message names. Further ones are counted.
const NAMED_MAX: usize = 20;

/// Age of a status that has missed a heartbeat of 30 s: its node may be dead.
const LATE: TimeDelta = TimeDelta::seconds(45);

/// The nodes and regions that a version has reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reach {
    /// Number of live nodes that serve it.
    pub(super) nodes: usize,
    /// Number of their regions.
    pub(super) regions: usize,
    /// Descriptions of live nodes that do not serve it.
    pub(super) behind: Vec<String>,
    /// Descriptions of silent and replaced nodes in regions that should serve it.
    pub(super) silent: Vec<String>,
    /// Regions with a live node that are pinned to another version.
    pub(super) pinned: BTreeSet<RegionName>,
}

/// The regions that serve a collection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Regions {
    /// `None` means all.
    pub(super) serving: Option<Vec<RegionName>>,
    /// Regions that are pinned to a version.
    pub(super) pinned: BTreeSet<RegionName>,
}

impl Reach {
    /// Finds out which nodes in `regions` serve `version` of `collection`.
    pub(super) fn of(
        fleet: &Fleet,
        collection: &CollectionName,
        version: Version,
        regions: &Regions,
    ) -> Self {
        let mut reach = Self::default();
        let mut last = None;
        let serving = regions.serving.as_ref();
        let publishes_only = |node: &FleetNode| node.status.as_ref().is_ok_and(NodeStatus::is_publisher_only);
        let serves = |node: &&FleetNode| {
            serving.is_none_or(|regions| regions.contains(&node.region)) && !publishes_only(node)
        };
        for node in fleet.nodes.iter().filter(serves) {
            let state = state_of(node);
            if regions.pinned.contains(&node.region) {
                if is_live(state) {
                    reach.pinned.insert(node.region.clone());
                }
            } else if state == NodeState::Silent {
                reach.silent.push(format!("{} is silent for {} s", name(node), node.age.num_seconds()));
            } else if is_live(state) {
                if let Some(gap) = gap(node, collection, version) {
                    if is_replaced(node, fleet) {
                        reach.silent.push(format!("{} was replaced ({})", name(node), node.node));
                    } else {
                        reach.behind.push(format!("{} {gap}{}", name(node), late_status_age(node)));
                    }
                } else {
                    reach.nodes += 1;
                    reach.regions += usize::from(last != Some(&node.region));
                    last = Some(&node.region);
                }
            }
        }
        reach
    }

    /// Whether every live node serves it and there is at least one, or all live nodes are pinned.
    pub(super) fn is_everywhere(&self) -> bool {
        self.behind.is_empty() && (self.nodes > 0 || !self.pinned.is_empty())
    }

    /// Whether any node is live.
    pub(super) fn has_live_node(&self) -> bool {
        self.nodes > 0 || !self.behind.is_empty()
    }
}

/// Lists the nodes that are behind or silent.
impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<&str> = self.behind.iter().chain(&self.silent).map(String::as_str).collect();
        let named = &all[..all.len().min(NAMED_MAX)];
        f.write_str(&named.join("; "))?;
        match all.len() - named.len() {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

fn name(node: &FleetNode) -> String {
    match &node.status {
        Ok(status) => format!("{}/{}", node.region, status.name),
        Err(_) => format!("{}/{}", node.region, node.node),
    }
}

/// Whether this node has missed a heartbeat and a node of the same name started after its last status. That
/// happens when a machine loses its `data_dir`, and with it the node's id.
fn is_replaced(node: &FleetNode, fleet: &Fleet) -> bool {
    let Ok(status) = &node.status else { return false };
    let is_successor = |other: &FleetNode| {
        let other_status = other.status.as_ref();
        other.node != node.node
            && other.region == node.region
            && !other.is_silent
            && other_status
                .is_ok_and(|other| other.name == status.name && other.started_at > status.written_at)
    };
    node.age > LATE && fleet.nodes.iter().any(is_successor)
}

/// The age of a status that has missed a heartbeat, else empty. A dead node counts as behind until it is silent.
fn late_status_age(node: &FleetNode) -> String {
    if node.age > LATE { format!(", last status {} s ago", node.age.num_seconds()) } else { String::new() }
}

/// Describes why a node does not serve the version; `None` when it does.
fn gap(node: &FleetNode, collection: &CollectionName, version: Version) -> Option<String> {
    let status = match &node.status {
        Ok(status) => status,
        Err(code) => return Some(format!("cannot be read ({code})")),
    };
    let one = status.collections.get(collection);
    let served = match one.and_then(|one| one.served) {
        Some(served) if served >= version => return None,
        Some(served) => format!("serves version {served}"),
        None => "has not loaded it".to_owned(),
    };
    let problem = one.and_then(|one| one.problem.as_ref()).or(status.problem.as_ref());
    Some(problem.map_or(served.clone(), |problem| format!("{served} ({})", problem.code)))
}
