//! A sync run: one execution of a sync, and what came of it.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    id::{InvalidId, RunId},
    manifest::Version,
    name::CollectionName,
};

/// Where a run stands. Terminal states never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Reading, comparing, writing segments.
    Running,
    /// Its announcement is under way and its outcome not yet known.
    Announcing,
    /// Its version is visible.
    Announced,
    /// The model equals what is served; only freshness moved.
    Unchanged,
    /// A guard holds it: nothing changed for readers.
    Held,
    /// It ended with an error.
    Failed,
    /// An operator or a shutdown ended it.
    Cancelled,
    /// Another announcement changed the collection first.
    Superseded,
    /// Its process died; settled by the next holder of the lease.
    Interrupted,
}

impl RunStatus {
    /// Every status that a run ends with.
    pub const ENDS: [Self; 7] = [
        Self::Announced,
        Self::Unchanged,
        Self::Held,
        Self::Failed,
        Self::Cancelled,
        Self::Superseded,
        Self::Interrupted,
    ];

    /// The word used in metadata, metrics and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Announcing => "announcing",
            Self::Announced => "announced",
            Self::Unchanged => "unchanged",
            Self::Held => "held",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether the run is still under way.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Running | Self::Announcing)
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RunStatus {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        use RunStatus::{
            Announced, Announcing, Cancelled, Failed, Held, Interrupted, Running, Superseded, Unchanged,
        };
        [Running, Announcing, Announced, Unchanged, Held, Failed, Cancelled, Superseded, Interrupted]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(InvalidId { what: "run status" })
    }
}

/// What a run counted. Rows are the model's, records are the collection's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunCounts {
    /// Rows read.
    pub rows: u64,
    /// Records that are new.
    pub added: u64,
    /// Records whose content or index values changed.
    pub changed: u64,
    /// Records whose row left the model in this run (deleted, kept or cleared by `on_delete`).
    pub removed: u64,
    /// Rows rejected, twins included.
    pub rejected: u64,
    /// Served records left as they are because their row was rejected.
    pub carried: u64,
    /// Records served whose row has left the model, now or earlier (`keep`, `clear`).
    pub left: u64,
    /// Claims of index values that a record of a lower primary key holds, among all records served
    /// after the run.
    pub conflicts: u64,
    /// Values that could not be expressed and became null (NaN, infinity).
    pub nulled: u64,
    /// Records served after the run.
    pub records: u64,
}

/// A run's error: a stable code and a message with a hint; never a row's values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    /// Stable code, one of `docs/errors.md`.
    pub code: String,
    /// What happened and what to do.
    pub message: String,
}

/// One run as metadata keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its id.
    pub id: RunId,
    /// The sync, by the collection's name.
    pub sync: CollectionName,
    /// Where it stands.
    pub status: RunStatus,
    /// What started it: `schedule` or `operator`.
    pub trigger: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// The publisher's clock just before the read transaction opened.
    pub data_as_of: Option<DateTime<Utc>>,
    /// The version that it announced, or confirmed when unchanged.
    pub version: Option<Version>,
    /// What it counted.
    pub counts: RunCounts,
    /// Why it failed or is held.
    pub error: Option<RunError>,
}

/// A rejected row as metadata keeps it; shown by `larder runs RUN` only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRow {
    /// The stable reason code, or `index_conflict` for a listed conflict.
    pub reason: String,
    /// The field, index or column at fault.
    pub field: Option<String>,
    /// The row's primary key, when it has one.
    pub primary_key: Option<String>,
}

/// Most rejected rows kept per reason and run.
pub const REJECTED_PER_REASON_MAX: usize = 100;
/// Most rejected rows kept per run.
pub const REJECTED_PER_RUN_MAX: usize = 1000;
