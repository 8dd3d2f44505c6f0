//! A sync run: one execution of a sync, and its outcome.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoEnumIterator as _, IntoStaticStr};

use super::{id::RunId, manifest::Version, name::CollectionName};

/// The status of a run. A run that has ended keeps its status.
#[derive(
    utoipa::ToSchema,
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum RunStatus {
    /// Reading, comparing, writing segments.
    Running,
    /// Its announcement is in progress; the outcome is not known yet.
    Announcing,
    /// Its version is visible.
    Announced,
    /// The model equals the served records; only `data_as_of` advanced.
    Unchanged,
    /// A guard holds it. Nothing changed for readers.
    Held,
    /// A guard would hold it as it holds an earlier run, which stays held in its place. It wrote nothing.
    StillHeld,
    /// It failed with an error.
    Failed,
    /// An operator or a shutdown cancelled it.
    Cancelled,
    /// Another announcement changed the collection first.
    Superseded,
    /// Its process died. The next holder of the lease sets this status.
    Interrupted,
}

impl RunStatus {
    /// Every status in which a run can end.
    pub fn ends() -> impl Iterator<Item = Self> {
        Self::iter().filter(|status| !status.is_open())
    }

    /// The word used in metadata, metrics and output.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the run has read its model to a result: announced, unchanged or held.
    pub const fn is_result(self) -> bool {
        matches!(self, Self::Announced | Self::Unchanged | Self::Held | Self::StillHeld)
    }

    /// Whether the run has not ended.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Running | Self::Announcing)
    }
}

/// The counts of a run. Rows belong to the model, records to the collection.
#[derive(utoipa::ToSchema, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunCounts {
    /// Rows read.
    pub rows: u64,
    /// Records that are new.
    pub added: u64,
    /// Records whose content or index values changed.
    pub changed: u64,
    /// Records whose row left the model in this run; `on_delete` deletes, keeps or clears them.
    pub removed: u64,
    /// Rows rejected, duplicate keys included.
    pub rejected: u64,
    /// Records kept unchanged because their row was rejected.
    pub carried: u64,
    /// Retained records: their row has left the model, in this run or earlier (`keep`, `clear`).
    pub left: u64,
    /// Index values that a record does not hold because other records have them, too,
    /// among all records served after the run.
    pub conflicts: u64,
    /// Records that a run which read an increment left as they were without reading their row; 0 for a run that read
    /// the whole model.
    pub unread: u64,
    /// Values that JSON cannot express and that became null (NaN, infinity).
    pub nulled: u64,
    /// Records served after the run.
    pub records: u64,
}

/// What a run has done so far.
#[derive(utoipa::ToSchema, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunProgress {
    /// Rows read.
    pub rows: u64,
    /// New and changed records.
    pub changed: u64,
    /// Records served when the run began, an estimate of its rows; 0 when unknown.
    pub expected: u64,
}

/// A run's error: a stable code and a message with a hint; never a row's values.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    /// Stable code, one of `docs/errors.md`.
    pub code: String,
    /// What happened and what to do.
    pub message: String,
}

/// One run as stored in metadata.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its id.
    pub id: RunId,
    /// The sync, by the collection's name.
    pub sync: CollectionName,
    /// Its status.
    pub status: RunStatus,
    /// What started it: `schedule`, `operator`, or `dbt:` and the id of an invocation; `rollback` for a rollback, which
    /// reads no row.
    pub trigger: String,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// The publisher's clock just before the read transaction opened.
    pub data_as_of: Option<DateTime<Utc>>,
    /// The version that it announced, or confirmed when unchanged.
    pub version: Option<Version>,
    /// Its counts.
    pub counts: RunCounts,
    /// Why it failed or is held.
    pub error: Option<RunError>,
}

/// A rejected row as stored in metadata. Only `larder runs RUN` shows it.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRow {
    /// The stable reason code, or `index_conflict` for a listed conflict.
    pub reason: String,
    /// The field, index or column at fault.
    pub field: Option<String>,
    /// The row's primary key, when it has one.
    pub primary_key: Option<String>,
}

/// The reason of a listed conflict: a record that another one takes an index value from.
pub const INDEX_CONFLICT: &str = "index_conflict";

/// Most rejected rows kept per reason and run.
pub const REJECTED_PER_REASON_MAX: usize = 100;
/// Most rejected rows kept per run.
pub const REJECTED_PER_RUN_MAX: usize = 1000;
