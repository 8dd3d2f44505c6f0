//! What a caller requests of the engine: one run of a sync.

use std::borrow::Cow;

use super::{progress::Progress, spec::SyncSpec};
use crate::{model::Invocation, source::Source, support::shutdown::Shutdown};

/// What started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// Its schedule.
    Schedule,
    /// An operator.
    Operator,
    /// A rollback: it announces an earlier content and reads no row.
    Rollback,
    /// Nothing: metadata takes over a version that was announced with another database, or since its backup.
    Takeover,
}

impl Trigger {
    /// As run records have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Operator => "operator",
            Self::Rollback => "rollback",
            Self::Takeover => "takeover",
        }
    }
}

/// One requested run: what to run, what started it, and the handles to watch and cancel it.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The sync.
    pub spec: SyncSpec,
    /// The source that the sync's model reads.
    pub source: Source,
    /// What started the run.
    pub trigger: Trigger,
    /// The invocation of dbt that a scheduled run comes after.
    pub invocation: Option<Invocation>,
    /// Waive the guards for this run.
    pub accept: bool,
    /// Read the whole model, also of a sync that reads increments.
    pub full: bool,
    /// Read and compare only: no lease, no record of the run, nothing written.
    pub dry_run: bool,
    /// Counts rows and records while the run is under way.
    pub progress: Progress,
    /// Cancels the run.
    pub cancel: Shutdown,
}

/// How the record of a run names the invocation of dbt that it comes after.
pub fn after(invocation: &Invocation) -> String {
    format!("dbt:{}", invocation.id())
}

impl RunRequest {
    /// What started the run, as its record has it.
    pub(super) fn started_by(&self) -> Cow<'static, str> {
        match &self.invocation {
            Some(invocation) => after(invocation).into(),
            None => self.trigger.as_str().into(),
        }
    }

    /// A run that respects the guards and announces, with a progress and a cancellation of its own.
    pub fn new(spec: SyncSpec, source: Source, trigger: Trigger) -> Self {
        let (progress, cancel) = (Progress::default(), Shutdown::new());
        let invocation = None;
        Self {
            spec,
            source,
            trigger,
            invocation,
            accept: false,
            full: false,
            dry_run: false,
            progress,
            cancel,
        }
    }
}
