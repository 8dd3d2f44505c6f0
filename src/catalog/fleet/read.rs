//! Reads the recent statuses of all nodes.
//!
//! The age of a status comes from the store's last-modified time, which is one clock for all nodes. Times that
//! nodes write by their own clocks are never compared with another clock. "Now" is the reader's clock, or the time
//! of the newest object if that is later. A reader whose clock is behind therefore shows no dead node as alive. A
//! reader whose clock is ahead shows live nodes as silent, which is the safer error. The time of the newest object
//! alone is not enough: when every node is dead, it would never age.

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, stream};

use super::{STATUS_BYTES_MAX, StatusStore};
use crate::{
    catalog::{Error, decode, paths},
    domain::{ErrorKind, NodeId, RegionName},
    status::NodeStatus,
    store::{Path, Store},
};

/// Most nodes that are shown. Further nodes are only counted.
pub const NODES_MAX: usize = 4096;
/// Most bytes of statuses in one read, so that a writer of the store cannot exhaust a reader's memory. It fits
/// 4,096 nodes with 100 collections each.
const FLEET_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// Statuses read at the same time.
const CONCURRENCY: usize = 16;

/// How old a status may be.
#[derive(Debug, Clone, Copy)]
pub struct Ages {
    /// A node is silent above this age: three heartbeats.
    pub silent: TimeDelta,
    /// A node is not shown above this age.
    pub shown: TimeDelta,
}

impl Default for Ages {
    fn default() -> Self {
        Self { silent: TimeDelta::seconds(90), shown: TimeDelta::hours(24) }
    }
}

/// All nodes with a recent status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fleet {
    /// The nodes, ordered by region and id.
    pub nodes: Vec<FleetNode>,
    /// Nodes beyond [`NODES_MAX`], which were not read.
    pub left_off: usize,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetNode {
    /// Its region.
    pub region: RegionName,
    /// Its id.
    pub node: NodeId,
    /// Time since it wrote its status; never negative.
    pub age: TimeDelta,
    /// Whether that is too long ago for a live node.
    pub is_silent: bool,
    /// Its status, or the code of the error that makes it unreadable.
    pub status: Result<NodeStatus, &'static str>,
}

/// A status as the store lists it.
struct Listed {
    path: Path,
    region: RegionName,
    node: NodeId,
    modified: DateTime<Utc>,
    bytes: u64,
}

impl Fleet {
    /// Lists and reads all statuses of at most [`Ages::shown`]. A damaged, too large or newer status is unreadable.
    /// A store that does not answer is an error.
    pub async fn read(statuses: &StatusStore, now: DateTime<Utc>, ages: Ages) -> Result<Self, Error> {
        let prefix = &statuses.0.prefix;
        let store = statuses.store().await?;
        let mut listed = Vec::new();
        let mut left_off = 0;
        let oldest = now - ages.shown;
        store
            .list(prefix, None, |object| {
                let owner = paths::parse_status(prefix, &object.path);
                let Some((region, node)) = owner.filter(|_| object.modified >= oldest) else { return };
                if listed.len() == NODES_MAX {
                    left_off += 1;
                    return;
                }
                let (modified, bytes) = (object.modified, object.bytes);
                listed.push(Listed { path: object.path, region, node, modified, bytes });
            })
            .await?;
        let now = listed.iter().map(|listed| listed.modified).fold(now, DateTime::max);
        listed.sort_by(|a, b| (&a.region, a.node).cmp(&(&b.region, b.node)));
        let mut bytes_left = FLEET_BYTES_MAX;
        let reading = listed.into_iter().map(|listed| {
            let fits = listed.bytes <= STATUS_BYTES_MAX.min(bytes_left);
            bytes_left -= if fits { listed.bytes } else { 0 };
            async move {
                let status = if fits { status(store, &listed).await? } else { Some(Err("object_too_large")) };
                let age = now - listed.modified;
                Ok::<_, Error>(status.map(|status| FleetNode {
                    region: listed.region,
                    node: listed.node,
                    age,
                    is_silent: age > ages.silent,
                    status,
                }))
            }
        });
        let mut reading = stream::iter(reading).buffered(CONCURRENCY);
        let mut nodes = Vec::new();
        while let Some(node) = reading.next().await {
            nodes.extend(node?);
        }
        Ok(Self { nodes, left_off })
    }
}

/// Reads a listed status; `None` when it was deleted since.
async fn status(store: &Store, listed: &Listed) -> Result<Option<Result<NodeStatus, &'static str>>, Error> {
    let read: Result<NodeStatus, Error> = match store.read_small(&listed.path, STATUS_BYTES_MAX).await {
        Ok(None) => return Ok(None),
        Ok(Some(object)) => decode::status(&listed.region, listed.node, listed.path.as_ref(), &object.bytes),
        Err(error) => Err(error.into()),
    };
    match read {
        Ok(status) => Ok(Some(Ok(status))),
        Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Forbidden) => Err(error),
        Err(error) => Ok(Some(Err(error.code()))),
    }
}
