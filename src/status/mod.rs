//! The status of a node: its collections, its publishing side, its tasks and their problems.
//!
//! There is one model, behind one watch board. Each part writes its own members; `/readyz`,
//! `GET /status`, the metrics and the object in the store are made from it.

mod board;
mod collection;
mod node;
mod problem;
mod publisher;

pub use board::Board;
pub use collection::{MemoryUsage, NodeCollectionStatus};
pub use node::{DiskUsage, Identity, KEYS_USED_MAX, NodeState, NodeStatus, publishes_only};
pub use problem::{CLOCK_AHEAD, LastError, Problem};
pub use publisher::PublisherStatus;
