//! Exit codes, which scripts rely on.

use std::process::ExitCode;

use crate::domain::{ErrorKind, RunStatus};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Announced or unchanged; rejected rows are a warning.
    Success = 0,
    Failed = 1,
    /// Configuration or usage is wrong.
    Usage = 2,
    /// A guard holds the run.
    Held = 3,
    /// Another announcement came first, or the lease is held elsewhere.
    Superseded = 4,
    /// A task that a node needs ended unexpectedly.
    TaskFailed = 5,
    /// Interrupted by a signal.
    Interrupted = 130,
}

impl Exit {
    /// The code for how a run ended.
    pub(super) fn of_run(status: RunStatus, kind: Option<ErrorKind>) -> Self {
        match status {
            RunStatus::Announced | RunStatus::Unchanged => Self::Success,
            RunStatus::Held | RunStatus::StillHeld => Self::Held,
            RunStatus::Superseded => Self::Superseded,
            RunStatus::Cancelled => Self::Interrupted,
            RunStatus::Failed if kind == Some(ErrorKind::Conflict) => Self::Superseded,
            RunStatus::Failed | RunStatus::Running | RunStatus::Announcing | RunStatus::Interrupted => {
                Self::Failed
            }
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
