//! The body of `GET /status`: what this node is and serves, and the fleet around it.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    admin::fleet::FleetStatus,
    domain::{
        id::{DeploymentId, NodeId},
        label::Label,
        manifest::Version,
        name::{CollectionName, RegionName},
    },
    status::{CollectionStatus, MemoryUsage, NodeState, NodeStatus, Problem, PublisherStatus},
};

/// The status of this node, and the fleet's as the store has it.
#[derive(Debug, Serialize)]
pub(in crate::api) struct StatusBody {
    version: Label,
    node: NodeId,
    name: Label,
    region: RegionName,
    roles: Vec<Label>,
    state: NodeState,
    ready: bool,
    deployment: Option<DeploymentId>,
    catalog: u64,
    polled_at: Option<DateTime<Utc>>,
    keys: KeysBody,
    problem: Option<Problem>,
    collections: BTreeMap<CollectionName, CollectionBody>,
    publisher: Option<PublisherStatus>,
    tasks: BTreeMap<Label, Problem>,
    fleet: Arc<FleetStatus>,
}

/// The keys in force.
#[derive(Debug, Serialize)]
struct KeysBody {
    revision: u64,
    count: usize,
    confirmed_at: Option<DateTime<Utc>>,
}

/// One collection that the catalog names.
#[derive(Debug, Serialize)]
struct CollectionBody {
    announced_version: Version,
    served_version: Option<Version>,
    data_as_of: Option<DateTime<Utc>>,
    served_in_other_regions: Option<Arc<[RegionName]>>,
    loaded: Option<MemoryUsage>,
    problem: Option<Problem>,
}

impl StatusBody {
    pub(super) fn new(status: NodeStatus, fleet: Arc<FleetStatus>) -> Self {
        let state = status.state();
        let collections = status.collections.iter();
        Self {
            state,
            ready: matches!(state, NodeState::Ready | NodeState::Publisher),
            version: status.build,
            node: status.node,
            name: status.name,
            region: status.region,
            roles: status.roles,
            deployment: status.deployment,
            catalog: status.catalog,
            polled_at: status.polled_at,
            keys: KeysBody {
                revision: status.keys_revision,
                count: status.keys,
                confirmed_at: status.keys_at,
            },
            problem: status.problem,
            collections: collections.map(|(name, one)| (name.clone(), CollectionBody::new(one))).collect(),
            publisher: status.publisher,
            tasks: status.tasks,
            fleet,
        }
    }
}

impl CollectionBody {
    fn new(one: &CollectionStatus) -> Self {
        Self {
            announced_version: one.wanted,
            served_version: one.served,
            data_as_of: one.data_as_of,
            served_in_other_regions: one.other_regions.clone(),
            loaded: one.loaded,
            problem: one.problem.clone(),
        }
    }
}
