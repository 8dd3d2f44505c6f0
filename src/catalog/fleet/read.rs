//! Reading what all nodes wrote lately.
//!
//! How old a status is, the store's last-modified time says, which is one clock for all nodes; what
//! nodes write by their own clocks is never compared with another clock. The reader's own clock says
//! what time it is now, unless an object is younger than that: then the newest object does. So a
//! reader that is behind shows no dead node as alive, and one that is ahead shows living ones as
//! silent, which is the safer mistake. The newest object alone would not do: when every node is dead,
//! it is the newest still.

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, stream};

use super::{STATUS_BYTES_MAX, StatusStore};
use crate::{
    catalog::{Error, decode, paths},
    domain::{error::ErrorKind, id::NodeId, name::RegionName},
    status::NodeStatus,
    store::{Path, Store},
};

/// Most nodes that are shown; more are counted and left off.
pub const NODES_MAX: usize = 4096;
/// Most bytes of statuses read together, so that nobody who writes to the store can fill the memory
/// of those who read: 4,096 nodes with 100 collections each.
const FLEET_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// Statuses read at the same time.
const CONCURRENCY: usize = 16;

/// How old a status may be.
#[derive(Debug, Clone, Copy)]
pub struct Ages {
    /// From this age on its node is silent: three heartbeats.
    pub silent: TimeDelta,
    /// Beyond this age it is not shown.
    pub shown: TimeDelta,
}

impl Default for Ages {
    fn default() -> Self {
        Self { silent: TimeDelta::seconds(90), shown: TimeDelta::hours(24) }
    }
}

/// All nodes that wrote lately, by region and id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fleet {
    /// The nodes.
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
    /// How long ago it wrote; never negative.
    pub age: TimeDelta,
    /// Whether that is too long ago for a node that lives.
    pub is_silent: bool,
    /// What it wrote, or the code of why that cannot be read.
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
    /// Lists and reads all statuses of at most [`Ages::shown`]. One that is damaged, too large or of a
    /// newer format is shown as unreadable; a store that does not answer is an error.
    pub async fn read(statuses: &StatusStore, now: DateTime<Utc>, ages: Ages) -> Result<Self, Error> {
        let prefix = &statuses.0.prefix;
        let store = statuses.store().await?;
        let mut listed = Vec::new();
        let mut left_off = 0;
        let oldest = now - ages.shown;
        store
            .list(prefix, None, |object| {
                let whose = paths::parse_status(prefix, &object.path);
                let Some((region, node)) = whose.filter(|_| object.modified >= oldest) else { return };
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
        let mut room = FLEET_BYTES_MAX;
        let reading = listed.into_iter().map(|listed| {
            let fits = listed.bytes <= STATUS_BYTES_MAX.min(room);
            room -= if fits { listed.bytes } else { 0 };
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

/// What a node wrote; `None` when that was deleted since it was listed.
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
