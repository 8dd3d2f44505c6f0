//! Whether requests should be sent to a node, in one word.

use tokio::sync::watch;

use crate::support::shutdown::Shutdown;

/// The word of a node that may be sent requests.
pub(super) const READY: &str = "ready";
/// The word of a node that has not loaded yet what it should serve.
pub(super) const STARTING: &str = "starting";
/// The word of a node that was told to end.
pub(super) const DRAINING: &str = "draining";
/// The word of a node that only publishes. It does all that it should, and has no records to answer with.
pub(super) const PUBLISHER: &str = "publisher";

/// What `/readyz` looks at. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Readiness {
    ready: Option<watch::Receiver<bool>>,
    drain: Shutdown,
}

impl Readiness {
    /// Of a node that serves records: `ready` turns true once, when requests may come. `drain` is the
    /// token that the listener drains on, and ends readiness at once.
    pub fn of_replica(ready: watch::Receiver<bool>, drain: Shutdown) -> Self {
        Self { ready: Some(ready), drain }
    }

    /// Of a node that only publishes: it has nothing to load.
    pub fn of_publisher(drain: Shutdown) -> Self {
        Self { ready: None, drain }
    }

    /// `ready`, `starting`, `draining` or `publisher`.
    pub fn word(&self) -> &'static str {
        match &self.ready {
            _ if self.drain.is_cancelled() => DRAINING,
            None => PUBLISHER,
            Some(ready) if *ready.borrow() => READY,
            Some(_) => STARTING,
        }
    }

    /// Whether the node has what its roles need.
    pub fn is_ready(&self) -> bool {
        matches!(self.word(), READY | PUBLISHER)
    }
}
