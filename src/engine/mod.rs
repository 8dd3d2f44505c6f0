//! The sync engine: stream, map, compare, guard, publish, announce.
//!
//! A run's way: [`Engine::run`] takes the lease, settles what a killed process left open, prepares
//! (source → workers → sequencer → spool → store), and announces. Until the announcement nothing of
//! it is visible; a failed, cancelled or killed run changes nothing that a reader sees.

mod announce;
mod approve;
mod base;
mod closing;
mod conflicts;
mod diff;
mod drop;
mod error;
mod guard;
mod job;
mod lease;
mod listing;
mod plan;
mod prepare;
mod progress;
mod publishing;
mod reading;
mod reannounce;
mod rejected;
mod request;
mod rollback;
mod run;
mod sequencer;
mod settings;
mod settle;
mod spec;
mod spool;
mod stream;
mod strike;
mod upkeep;
mod worker;

pub use approve::Approval;
pub use drop::Dropped;
pub use error::Error;
pub use guard::Hold;
pub use progress::Progress;
pub use request::{RunRequest, Trigger};
pub use rollback::RollbackLease;
pub use run::Ended;
pub use settings::Settings;
pub use spec::{Compression, GuardSettings, OnDelete, SyncSpec};

use crate::{
    catalog::AnnouncerHandle, disk::SegmentDirectory, domain::id::DeploymentId, metadata::Metadata,
    store::Store, support::clock::Clock,
};

/// Runs syncs. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    store: Store,
    directory: SegmentDirectory,
    metadata: Metadata,
    announcer: AnnouncerHandle,
    deployment: DeploymentId,
    clock: Clock,
    settings: Settings,
}

impl Engine {
    /// An engine over its parts. `deployment` is metadata's: a store of another is refused.
    pub fn new(
        store: Store,
        directory: SegmentDirectory,
        metadata: Metadata,
        announcer: AnnouncerHandle,
        deployment: DeploymentId,
        clock: Clock,
        settings: Settings,
    ) -> Self {
        Self { store, directory, metadata, announcer, deployment, clock, settings }
    }
}
