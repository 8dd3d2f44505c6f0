//! The status of a node: its identity, its collections and its problems.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{LastError, NodeCollectionStatus, Problem, PublisherStatus};
use crate::domain::{
    id::{DeploymentId, NodeId},
    label::Label,
    limits::FORMAT,
    name::{CollectionName, RegionName},
};

/// Most keys whose last use a node reports: a status stays small, and most deployments have fewer keys.
pub const KEYS_USED_MAX: usize = 1000;

/// The identity of a node.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The node.
    pub node: NodeId,
    /// Its name, for people; several nodes may have the same.
    pub name: Label,
    /// The region that it serves.
    pub region: RegionName,
    /// Its roles.
    pub roles: Vec<Label>,
}

/// The status of a node. Times are those of its own clock.
///
/// Its JSON form is in `GET /status`, and in the object that a node writes to the store. Readers ignore unknown
/// members.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Format number. A reader refuses a higher one than its own.
    pub format: u32,
    /// The node.
    pub node: NodeId,
    /// Its name, for people; several nodes may have the same.
    pub name: Label,
    /// The region that it serves.
    pub region: RegionName,
    /// Its roles.
    pub roles: Vec<Label>,
    /// The version of the program.
    pub build: Label,
    /// When the process started.
    pub started_at: DateTime<Utc>,
    /// When this status was written.
    pub written_at: DateTime<Utc>,
    /// Whether it has loaded the collections that it should serve; never goes back to false. Always false on a node
    /// that only publishes.
    pub ready: bool,
    /// Whether it is shutting down.
    pub draining: bool,
    /// The newest catalog document that it knows; 0 before the first.
    pub catalog: u64,
    /// The deployment of that document.
    #[serde(default)]
    pub deployment: Option<DeploymentId>,
    /// When the store last answered a poll of the catalog.
    pub polled_at: Option<DateTime<Utc>>,
    /// Failed polls since the start, by code. Consecutive failures with one code count once.
    #[serde(default)]
    pub failed_polls: BTreeMap<Label, u64>,
    /// Revision of the keys in force; never falls.
    pub keys_revision: u64,
    /// How many keys are in force.
    #[serde(default)]
    pub keys: usize,
    /// Entries of the key set that this version does not understand.
    #[serde(default)]
    pub keys_refused: usize,
    /// When each key was last used here, by its id; at most [`KEYS_USED_MAX`], those used last. Older versions do not
    /// report it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys_used: BTreeMap<Label, DateTime<Utc>>,
    /// When the store last confirmed the keys in force.
    pub keys_at: Option<DateTime<Utc>>,
    /// Local segments.
    #[serde(default)]
    pub disk: DiskUsage,
    /// Why the node cannot follow the catalog or the keys now.
    pub problem: Option<Problem>,
    /// The last problem of the node or of a collection, or the last run that failed here. It stays after the problem
    /// is over.
    pub last_error: Option<LastError>,
    /// The collections that the catalog names. In the store, only those of the node's region.
    #[schema(value_type = BTreeMap<CollectionName, NodeCollectionStatus>)]
    pub collections: Arc<BTreeMap<CollectionName, NodeCollectionStatus>>,
    /// The publishing side, on a node that has one. Older versions do not report it.
    #[serde(default)]
    pub publisher: Option<PublisherStatus>,
    /// Tasks of the process that ended unexpectedly and are started again.
    #[serde(default)]
    pub tasks: BTreeMap<Label, Problem>,
}

/// Bytes of local segments.
#[derive(utoipa::ToSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskUsage {
    /// Bytes used.
    pub bytes: u64,
    /// The limit in bytes.
    pub bytes_max: u64,
}

/// The state of a node in one word.
#[derive(
    utoipa::ToSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum NodeState {
    /// It is ready for requests.
    Ready,
    /// It has not loaded its collections yet, or its publishing side is not up yet.
    Starting,
    /// It only publishes and serves no records.
    Publisher,
    /// It is shutting down.
    Draining,
    /// It has missed three heartbeats: it is dead, cut off, or may not write.
    Silent,
    /// Its recent status cannot be read.
    Unreadable,
}

impl NodeState {
    /// The state as shown.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl NodeStatus {
    /// A node that starts now.
    pub fn new(identity: Identity, now: DateTime<Utc>) -> Self {
        let Identity { node, name, region, roles } = identity;
        let has_publisher = has_role(&roles, "publisher");
        Self {
            format: FORMAT,
            node,
            name,
            region,
            roles,
            build: Label::fitted(env!("CARGO_PKG_VERSION")),
            started_at: now,
            written_at: now,
            ready: false,
            draining: false,
            catalog: 0,
            deployment: None,
            polled_at: None,
            failed_polls: BTreeMap::new(),
            keys_revision: 0,
            keys: 0,
            keys_refused: 0,
            keys_used: BTreeMap::new(),
            keys_at: None,
            disk: DiskUsage::default(),
            problem: None,
            last_error: None,
            collections: Arc::default(),
            publisher: has_publisher.then(PublisherStatus::default),
            tasks: BTreeMap::new(),
        }
    }

    /// Notes that these keys were used at `now`. Forgets the keys that were not used for longest if there are too many.
    pub fn note_used_keys(&mut self, ids: impl IntoIterator<Item = Label>, now: DateTime<Utc>) {
        for id in ids {
            let last = self.keys_used.entry(id).or_insert(now);
            *last = now.max(*last);
        }
        while self.keys_used.len() > KEYS_USED_MAX {
            let oldest = self.keys_used.iter().min_by_key(|(_, at)| **at).map(|(id, _)| id.clone());
            oldest.and_then(|id| self.keys_used.remove(&id));
        }
    }

    /// Whether the node only publishes and serves no records.
    pub fn is_publisher_only(&self) -> bool {
        publishes_only(&self.roles)
    }

    /// Its state. Other nodes see the same while it writes its status.
    pub fn state(&self) -> NodeState {
        let is_up = self.publisher.as_ref().is_some_and(|publisher| publisher.up);
        match () {
            () if self.draining => NodeState::Draining,
            () if self.is_publisher_only() && is_up => NodeState::Publisher,
            () if !self.is_publisher_only() && self.ready => NodeState::Ready,
            () => NodeState::Starting,
        }
    }

    /// Whether it can answer requests: it has keys and has tried to load every collection.
    pub fn can_answer(&self) -> bool {
        let have_outcomes = || self.collections.values().all(NodeCollectionStatus::has_load_outcome);
        self.is_publisher_only() || self.ready || (self.keys_revision > 0 && have_outcomes())
    }

    /// The collections that this node serves or should serve.
    pub fn collections_here(&self) -> impl Iterator<Item = (&CollectionName, &NodeCollectionStatus)> {
        self.collections.iter().filter(|(_, status)| status.is_here())
    }

    /// The status for the store: without messages, and only with the collections of its region.
    #[must_use]
    pub fn for_store(&self) -> Self {
        let mut status = self.clone();
        let here = self.collections_here().map(|(name, one)| (name.clone(), one.clone()));
        let mut collections: BTreeMap<_, _> = here.collect();
        let of_collections = collections.values_mut().map(|one| &mut one.problem);
        let of_publisher = status.publisher.iter_mut().map(|publisher| &mut publisher.problem);
        let problems = of_collections.chain(of_publisher).chain([&mut status.problem]).flatten();
        for problem in problems.chain(status.tasks.values_mut()) {
            *problem = problem.without_message();
        }
        status.collections = Arc::new(collections);
        status
    }

    /// Whether a significant part differs, which somebody may wait for: a served version, the keys in force, the first use
    /// of a key, the state, a problem. Timestamps alone are not significant.
    pub fn differs_from(&self, other: &Self) -> bool {
        let code = |problem: &Option<Problem>| problem.as_ref().map(|problem| problem.code.clone());
        let of_node = |status: &Self| {
            let publisher = status.publisher.as_ref().map(|side| (side.up, code(&side.problem)));
            let tasks: Vec<_> = status.tasks.keys().cloned().collect();
            let keys = (status.keys_revision, status.keys_used.keys().cloned().collect::<Vec<_>>());
            (status.ready, status.draining, keys, code(&status.problem), publisher, tasks)
        };
        let of_collections = |status: &Self| -> Vec<_> {
            let here = status.collections_here();
            here.map(|(name, one)| (name.clone(), one.served, code(&one.problem))).collect()
        };
        of_node(self) != of_node(other)
            || (!Arc::ptr_eq(&self.collections, &other.collections)
                && of_collections(self) != of_collections(other))
    }

    /// Records the most recent problem. Collections are read only with `collections_changed`.
    pub(super) fn note_last_error(&mut self, collections_changed: bool) {
        let of_publisher = self.publisher.as_ref().and_then(|side| side.problem.as_ref());
        let of_node = self.problem.iter().chain(of_publisher).chain(self.tasks.values());
        let of_node = of_node.map(|problem| (problem, None));
        let of_collections = self.collections.iter().filter(|_| collections_changed);
        let of_collections =
            of_collections.filter_map(|(name, one)| Some((one.problem.as_ref()?, Some(name))));
        let errors = of_node.chain(of_collections).map(|(problem, collection)| LastError {
            code: problem.code.clone(),
            collection: collection.cloned(),
            at: problem.since,
        });
        let of_run = self.publisher.as_ref().and_then(|side| side.last_error.clone());
        let newest = errors.chain(of_run).max_by_key(|error| error.at);
        if let Some(newest) = newest
            && self.last_error.as_ref().is_none_or(|last| last.at <= newest.at)
        {
            self.last_error = Some(newest);
        }
    }
}

/// Whether a node with these roles only publishes: it follows no catalog and serves no records.
pub fn publishes_only(roles: &[Label]) -> bool {
    has_role(roles, "publisher") && !has_role(roles, "replica")
}

fn has_role(roles: &[Label], role: &str) -> bool {
    roles.iter().any(|label| label.as_str() == role)
}
