//! A node: what it is, what it serves and what is wrong with it.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{CollectionStatus, LastError, Problem, PublisherStatus};
use crate::domain::{
    id::{DeploymentId, NodeId},
    label::Label,
    limits::FORMAT,
    name::{CollectionName, RegionName},
};

/// Who a node is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The node.
    pub node: NodeId,
    /// Its name, for people; several nodes may have the same.
    pub name: Label,
    /// The region that it serves.
    pub region: RegionName,
    /// What it does.
    pub roles: Vec<Label>,
}

/// What a node says of itself. Times are those of its own clock.
///
/// As JSON it is the object that a node writes to the store; a reader ignores members that it does not
/// know. Members without a place there are known to the node alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Format number; a reader refuses one above its own.
    pub format: u32,
    /// The node.
    pub node: NodeId,
    /// Its name, for people; several nodes may have the same.
    pub name: Label,
    /// The region that it serves.
    pub region: RegionName,
    /// What it does.
    pub roles: Vec<Label>,
    /// The version of the program.
    pub build: Label,
    /// When the process started.
    pub started_at: DateTime<Utc>,
    /// When this status was written.
    pub written_at: DateTime<Utc>,
    /// Whether it has loaded what it should serve; stays so. Never on a node that only publishes.
    pub ready: bool,
    /// Whether it ends.
    pub draining: bool,
    /// The newest catalog document that it knows; 0 before the first.
    pub catalog: u64,
    /// The deployment of that document.
    #[serde(skip)]
    pub deployment: Option<DeploymentId>,
    /// When the store last answered a poll of the catalog.
    pub polled_at: Option<DateTime<Utc>>,
    /// Polls that failed since the start, by code; those that fail one after the other count once.
    #[serde(skip)]
    pub failed_polls: BTreeMap<Label, u64>,
    /// Revision of the keys in force; never falls.
    pub keys_revision: u64,
    /// How many keys are in force.
    #[serde(skip)]
    pub keys: usize,
    /// Entries of the key set that this build does not understand.
    #[serde(skip)]
    pub keys_refused: usize,
    /// When the store last said that these are the keys in force.
    pub keys_at: Option<DateTime<Utc>>,
    /// Local segments.
    #[serde(skip)]
    pub disk: DiskUsage,
    /// Why the catalog or the keys cannot be followed now.
    pub problem: Option<Problem>,
    /// The last problem of the node or of a collection, or the last run that failed here; also when it
    /// is over.
    pub last_error: Option<LastError>,
    /// The collections that the catalog names. In the store, those that it gives to the node's region.
    pub collections: Arc<BTreeMap<CollectionName, CollectionStatus>>,
    /// The publishing side, on a node that has one; older builds do not tell.
    #[serde(default)]
    pub publisher: Option<PublisherStatus>,
    /// Tasks of the process that ended unexpectedly and are started again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tasks: BTreeMap<Label, Problem>,
}

/// Bytes of local segments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskUsage {
    /// Bytes used.
    pub bytes: u64,
    /// Most bytes.
    pub bytes_max: u64,
}

/// The state of a node in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// It may be sent requests.
    Ready,
    /// It has not loaded yet what it should serve, or its publishing side is not up yet.
    Starting,
    /// It publishes, and serves no records.
    Publisher,
    /// It ends.
    Draining,
    /// It has not written for three heartbeats: it is dead, cut off, or may not write.
    Silent,
    /// What it wrote lately cannot be read.
    Unreadable,
}

impl NodeState {
    /// The word that is shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Publisher => "publisher",
            Self::Draining => "draining",
            Self::Silent => "silent",
            Self::Unreadable => "unreadable",
        }
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
            keys_at: None,
            disk: DiskUsage::default(),
            problem: None,
            last_error: None,
            collections: Arc::default(),
            publisher: has_publisher.then(PublisherStatus::default),
            tasks: BTreeMap::new(),
        }
    }

    /// Whether the node only publishes: nobody waits for it to serve anything.
    pub fn is_publisher_only(&self) -> bool {
        publishes_only(&self.roles)
    }

    /// Its state, as it shows itself and as others see it while it writes.
    pub fn state(&self) -> NodeState {
        let is_up = self.publisher.as_ref().is_some_and(|publisher| publisher.up);
        match () {
            () if self.draining => NodeState::Draining,
            () if self.is_publisher_only() && is_up => NodeState::Publisher,
            () if !self.is_publisher_only() && self.ready => NodeState::Ready,
            () => NodeState::Starting,
        }
    }

    /// Whether it can answer: it has keys, and has tried to load all that its own files have.
    pub fn can_answer(&self) -> bool {
        let is_settled = || self.collections.values().all(CollectionStatus::is_settled);
        self.is_publisher_only() || self.ready || (self.keys_revision > 0 && is_settled())
    }

    /// The collections that the catalog gives to this node.
    pub fn collections_here(&self) -> impl Iterator<Item = (&CollectionName, &CollectionStatus)> {
        self.collections.iter().filter(|(_, status)| status.is_here())
    }

    /// The status as the store may have it: no messages, and only the collections of its region.
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

    /// Whether something differs that somebody may wait for: a version served, the keys in force, the
    /// state, a problem. Times that move on by themselves do not count.
    pub fn differs_from(&self, other: &Self) -> bool {
        let code = |problem: &Option<Problem>| problem.as_ref().map(|problem| problem.code.clone());
        let of_node = |status: &Self| {
            let publisher = status.publisher.as_ref().map(|side| (side.up, code(&side.problem)));
            let tasks: Vec<_> = status.tasks.keys().cloned().collect();
            (status.ready, status.draining, status.keys_revision, code(&status.problem), publisher, tasks)
        };
        let of_collections = |status: &Self| -> Vec<_> {
            let here = status.collections_here();
            here.map(|(name, one)| (name.clone(), one.served, code(&one.problem))).collect()
        };
        of_node(self) != of_node(other)
            || (!Arc::ptr_eq(&self.collections, &other.collections)
                && of_collections(self) != of_collections(other))
    }

    /// Notes the problem that began last. `collections_changed` spares a look at each of them.
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

/// Whether a node of these roles only publishes: it follows no catalog and serves nothing.
pub fn publishes_only(roles: &[Label]) -> bool {
    has_role(roles, "publisher") && !has_role(roles, "replica")
}

fn has_role(roles: &[Label], role: &str) -> bool {
    roles.iter().any(|label| label.as_str() == role)
}
