//! The metadata database: its id and deployment, keys, admin keys, sessions, runs, rejected rows, audit log, leases.
//!
//! One SQL text serves both databases; `database` holds the differences, and `migrations/README.md` the mapping
//! of types.

mod admin_keys;
mod audit;
mod database;
mod deployment;
mod error;
mod idempotency;
mod keys;
mod leases;
mod pool;
mod postgres;
mod queries;
mod refusal;
mod rejected;
mod row;
mod runs;
mod schema;
mod sessions;
mod settings;
mod sqlite;
mod statement;
mod stored;

use std::{path::PathBuf, sync::Arc, time::Duration};

pub use admin_keys::ADMIN_KEYS_MAX;
pub use audit::{AUDIT_LISTED_MAX, AUDIT_UNFINISHED, AuditEntry, AuditId};
pub use error::Error;
pub use idempotency::Claim;
pub use keys::{KeyList, StoredKey};
pub use leases::{LEASE_NAME_BYTES_MAX, Lease, LeaseOutcome};
pub use refusal::Refusal;
pub use runs::{HeldRun, RUNS_LISTED_MAX, RunManifest};
pub use sessions::{LOGIN_LINKS_MAX, SESSIONS_MAX, SESSIONS_OF_KEY_MAX};
pub use settings::Settings;
pub use stored::{STORED_ENTRIES_MAX, STORED_VERSIONS_MAX, StoredChange, StoredChanges, StoredVersion};

use crate::support::clock::Clock;

/// Longest time for all migrations. One may have to rewrite a table of a million rows, and to wait for a process that
/// migrates; a server or proxy that went silent answers never.
const MIGRATION_TIMEOUT: Duration = Duration::from_mins(10);

/// A handle on the metadata database. Cheap to clone; clones share one small pool.
#[derive(Debug, Clone)]
pub struct Metadata {
    database: database::Database,
    clock: Clock,
    /// The directory of the lock files of leases; SQLite only.
    locks: Option<Arc<PathBuf>>,
}

impl Metadata {
    /// Opens the metadata database. A SQLite file is created (0600, its directory 0700) and
    /// migrated; a Postgres database must have exactly this build's migrations
    /// ([`Error::NotMigrated`], [`Error::NewerSchema`]).
    pub async fn open(settings: &Settings, clock: Clock) -> Result<Self, Error> {
        match settings {
            Settings::Sqlite { path } => sqlite::open(path, clock).await,
            Settings::Postgres(parameters) => postgres::open(parameters, clock).await,
        }
    }

    /// Opens a metadata database that exists to read it, for instance beside a running server. Its schema must be exactly
    /// this build's, also of a SQLite file ([`Error::NotMigrated`], [`Error::NewerSchema`]).
    pub async fn open_existing(settings: &Settings, clock: Clock) -> Result<Self, Error> {
        match settings {
            Settings::Sqlite { path } => sqlite::open_existing(path, clock).await,
            Settings::Postgres(parameters) => postgres::open(parameters, clock).await,
        }
    }

    /// Whether there may be something in the database: a SQLite file that does not exist has nothing.
    pub fn may_exist(settings: &Settings) -> bool {
        match settings {
            Settings::Sqlite { path } => path.exists(),
            Settings::Postgres(_) => true,
        }
    }

    /// Applies the missing migrations. Several processes may do so at once.
    pub async fn migrate(settings: &Settings) -> Result<(), Error> {
        Self::migrate_within(settings, MIGRATION_TIMEOUT).await
    }

    /// Applies the missing migrations, in a Postgres database within `limit`.
    pub async fn migrate_within(settings: &Settings, limit: Duration) -> Result<(), Error> {
        match settings {
            Settings::Sqlite { path } => sqlite::prepare(path).await.map(drop),
            Settings::Postgres(parameters) => postgres::migrate(parameters, limit).await,
        }
    }

    /// Statements and transactions that this handle and its clones have run so far.
    pub fn statements(&self) -> u64 {
        self.database.query_count()
    }

    /// Closes the pool once running statements have ended. The next call of every clone fails.
    pub async fn close(&self) {
        self.database.close().await;
    }
}
