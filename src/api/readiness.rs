//! Whether requests should be sent to a node, in one word.

use crate::{
    status::{Board, NodeState},
    support::shutdown::Shutdown,
};

/// The word of a node that may be sent requests.
pub(super) const READY: &str = NodeState::Ready.as_str();
/// The word of a node that has not loaded yet what it should serve.
pub(super) const STARTING: &str = NodeState::Starting.as_str();
/// The word of a node that ends.
pub(super) const DRAINING: &str = NodeState::Draining.as_str();
/// The word of a node that only publishes. It does all that it should, and has no records to answer with.
pub(super) const PUBLISHER: &str = NodeState::Publisher.as_str();

/// What `/readyz` answers from. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Readiness {
    board: Board,
    drain: Shutdown,
}

impl Readiness {
    /// The readiness of the node that `board` shows. `drain` is the token that the listener drains on, and
    /// ends readiness at once.
    pub fn new(board: Board, drain: Shutdown) -> Self {
        Self { board, drain }
    }

    /// `ready`, `starting`, `draining` or `publisher`. A node that only publishes has nothing to load, and is
    /// not `starting`.
    pub fn word(&self) -> &'static str {
        let (is_publisher_only, is_ready) =
            self.board.view(|status| (status.is_publisher_only(), status.ready));
        match () {
            () if self.drain.is_cancelled() => DRAINING,
            () if is_publisher_only => PUBLISHER,
            () if is_ready => READY,
            () => STARTING,
        }
    }

    /// Whether the node has what its roles need.
    pub fn is_ready(&self) -> bool {
        matches!(self.word(), READY | PUBLISHER)
    }
}
