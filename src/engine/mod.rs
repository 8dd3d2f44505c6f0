//! The sync engine.
//!
//! - `increment`: reading only the rows from a cursor on;
//! - `run`: one run of a sync, from its lease to its announcement;
//! - `ingest`: input → records → changes → segments in the store;
//! - `compact`: rewriting the segments of a collection whose records do not change;
//! - beside them, the operations that read no rows: serving settings, and what a killed process left open.
//!
//! Nothing of a run is visible before its announcement. A failed, cancelled or killed run changes
//! nothing that a reader sees.

mod announce;
mod base;
mod compact;
mod error;
pub(crate) mod includes;
mod increment;
mod ingest;
mod lease;
mod plan;
mod progress;
mod reconcile;
mod request;
mod rollback;
mod run;
mod section;
mod settings;
mod spec;

pub use error::Error;
pub use increment::{DeletedRows, IncrementSettings};
pub use lease::SyncLease;
pub use progress::Progress;
pub use request::{RunRequest, Trigger, after};
pub use rollback::RollbackLease;
pub use run::{HeldRemovals, Hold, RunOutcome};
pub use settings::Settings;
pub use spec::{Compression, GuardSettings, OnDelete, SyncSpec};

use crate::{
    catalog::{AnnouncerHandle, Authority, Catalog},
    disk::{SegmentDirectory, TableDirectory},
    domain::id::RunId,
    metadata::Metadata,
    support::{clock::Clock, random},
};

/// Runs syncs. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    catalog: Catalog,
    directory: SegmentDirectory,
    tables: TableDirectory,
    metadata: Metadata,
    announcer: AnnouncerHandle,
    authority: Authority,
    clock: Clock,
    settings: Settings,
}

impl Engine {
    /// An engine on these parts. `authority` is that of `metadata`; a store that another database publishes to is
    /// refused.
    pub fn new(
        catalog: Catalog,
        (directory, tables): (SegmentDirectory, TableDirectory),
        metadata: Metadata,
        announcer: AnnouncerHandle,
        authority: Authority,
        clock: Clock,
        settings: Settings,
    ) -> Self {
        Self { catalog, directory, tables, metadata, announcer, authority, clock, settings }
    }

    fn new_run_id(&self) -> RunId {
        RunId::from_uuid(random::uuid_at(self.clock.now().timestamp_millis().unsigned_abs()))
    }
}
