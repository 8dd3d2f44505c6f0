//! The board that all parts of a node write to and watch.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use super::{Identity, NodeStatus, PublisherStatus};

/// The status of this node, now and whenever it changes. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Board(Arc<watch::Sender<NodeStatus>>);

impl Board {
    /// The board of a node that starts now.
    pub fn new(identity: Identity, now: DateTime<Utc>) -> Self {
        Self(Arc::new(watch::Sender::new(NodeStatus::new(identity, now))))
    }

    /// Changes the status and wakes all watchers. `change` must not read the board.
    pub fn update(&self, change: impl FnOnce(&mut NodeStatus)) {
        self.0.send_modify(|status| {
            let before = Arc::clone(&status.collections);
            change(status);
            status.note_last_error(!Arc::ptr_eq(&before, &status.collections));
        });
    }

    /// Changes the status of the publishing side.
    pub fn update_publisher(&self, change: impl FnOnce(&mut PublisherStatus)) {
        self.update(|status| change(status.publisher.get_or_insert_default()));
    }

    /// The status now.
    pub fn read(&self) -> NodeStatus {
        self.0.borrow().clone()
    }

    /// Applies `read` to the current status. `read` must be short and must not update the board.
    pub fn view<T>(&self, read: impl FnOnce(&NodeStatus) -> T) -> T {
        read(&self.0.borrow())
    }

    /// The status now, and whenever it changes.
    pub fn subscribe(&self) -> watch::Receiver<NodeStatus> {
        self.0.subscribe()
    }
}
