//! The readiness of a node for requests, in one word.

use crate::{
    status::{Board, NodeState},
    support::shutdown::Shutdown,
};

/// The state behind `/readyz`. Cheap to clone.
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
    pub fn state(&self) -> NodeState {
        let (is_publisher_only, is_ready) =
            self.board.view(|status| (status.is_publisher_only(), status.ready));
        match () {
            () if self.drain.is_cancelled() => NodeState::Draining,
            () if is_publisher_only => NodeState::Publisher,
            () if is_ready => NodeState::Ready,
            () => NodeState::Starting,
        }
    }

    /// Whether the node has everything that its roles need.
    pub fn is_ready(&self) -> bool {
        matches!(self.state(), NodeState::Ready | NodeState::Publisher)
    }
}
