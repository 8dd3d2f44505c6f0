//! What can go wrong with the metadata database, by cause; never with a value in it.

use std::{io, path::PathBuf, time::Duration};

use sqlx::{postgres::PgDatabaseError, sqlite::SqliteError};

use super::refusal::Refusal;
use crate::domain::error::ErrorKind;

/// An error of the metadata database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configured URL cannot be used. The URL itself is never shown.
    #[error("the metadata url is not a usable postgres:// URL: {reason}")]
    InvalidUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// A connection could not be made.
    #[error("cannot open the metadata database {place}: {source}; check the url of [metadata]")]
    Connect {
        /// Host, port and database.
        place: String,
        /// Why.
        source: Box<Error>,
    },
    /// A directory, the SQLite file or a lock file could not be created or opened.
    #[error("cannot use {}: {source}; check that it exists and may be written", path.display())]
    File {
        /// The path.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another process creates or migrates the SQLite file and does not come to an end.
    #[error("another process has been preparing {} for {} s; look for a larder process that hangs", path.display(), waited.as_secs())]
    Busy {
        /// The SQLite file.
        path: PathBuf,
        /// How long this one waited.
        waited: Duration,
    },
    /// The tables are missing or older than this build.
    #[error("the metadata database has schema {found} and this build needs {needed}; run `larder migrate`")]
    NotMigrated {
        /// The newest migration found; 0 means none.
        found: i64,
        /// The newest migration of this build.
        needed: i64,
    },
    /// A newer build has migrated the database.
    #[error("the metadata database has schema {found}, newer than this build's {known}; use a newer larder")]
    NewerSchema {
        /// The newest migration found.
        found: i64,
        /// The newest migration of this build.
        known: i64,
    },
    /// A migration that ran is not the one that this build has under its number.
    #[error(
        "migration {version} of the metadata database differs from this build's; it belongs to another program or a changed build"
    )]
    ForeignMigration {
        /// Its number.
        version: i64,
    },
    /// The database answered with an error.
    #[error("the metadata database refused: {0}")]
    Database(Box<Refusal>),
    /// The connection broke.
    #[error("the connection to the metadata database failed: {reason}")]
    Connection {
        /// What the operating system or the TLS library said.
        reason: String,
    },
    /// No answer in time.
    #[error("the metadata database did not answer within {} s ({doing})", limit.as_secs())]
    TimedOut {
        /// What was waited for.
        doing: &'static str,
        /// How long.
        limit: Duration,
    },
    /// The handle was closed; the process is ending.
    #[error("the metadata database is closed: the process is ending")]
    Closed,
    /// A stored value is not what this build writes.
    #[error(
        "column {column} of the metadata database holds what this build cannot read; was it edited, or written by a newer larder?"
    )]
    Unreadable {
        /// The column.
        column: &'static str,
    },
    /// A lease name with a character outside `[A-Za-z0-9:_-]`, empty, or too long.
    #[error("a lease name is 1 to {} letters, digits, `:`, `_` or `-`", super::LEASE_NAME_BYTES_MAX)]
    InvalidLeaseName,
}

impl Error {
    /// What the caller may do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidUrl { .. }
            | Self::File { .. }
            | Self::NotMigrated { .. }
            | Self::NewerSchema { .. }
            | Self::ForeignMigration { .. }
            | Self::InvalidLeaseName => ErrorKind::Invalid,
            Self::Connect { source, .. } => source.kind(),
            Self::Busy { .. } | Self::Connection { .. } | Self::TimedOut { .. } | Self::Closed => {
                ErrorKind::Unavailable
            }
            Self::Database(refusal) => refusal.kind(),
            Self::Unreadable { .. } => ErrorKind::Corrupt,
        }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidUrl { .. } => "metadata_url_invalid",
            Self::Connect { source, .. } => source.code(),
            Self::File { .. } => "metadata_file_unusable",
            Self::Busy { .. } | Self::Connection { .. } | Self::TimedOut { .. } | Self::Closed => {
                "metadata_unavailable"
            }
            Self::NotMigrated { .. } => "metadata_not_migrated",
            Self::NewerSchema { .. } => "metadata_newer_schema",
            Self::ForeignMigration { .. } => "metadata_foreign_migration",
            Self::Database(refusal) => match refusal.kind() {
                ErrorKind::Unavailable => "metadata_unavailable",
                ErrorKind::Conflict => "metadata_conflict",
                ErrorKind::Corrupt => "metadata_corrupt",
                _ => "metadata_refused",
            },
            Self::Unreadable { .. } => "metadata_corrupt",
            Self::InvalidLeaseName => "lease_name_invalid",
        }
    }

    /// The SQLSTATE or SQLite code, when the database gave one.
    pub(super) fn state(&self) -> Option<&str> {
        match self {
            Self::Database(refusal) => Some(&refusal.state),
            _ => None,
        }
    }
}

/// sqlx's errors are taken apart and dropped: printed whole they would show DETAIL and messages.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => {
                if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
                    Self::Database(Box::new(Refusal::of_postgres(error)))
                } else if let Some(error) = error.try_downcast_ref::<SqliteError>() {
                    Self::Database(Box::new(Refusal::of_sqlite(error)))
                } else {
                    Self::Connection { reason: "an error of an unknown driver".to_owned() }
                }
            }
            sqlx::Error::Configuration(reason) => Self::InvalidUrl { reason: reason.to_string() },
            sqlx::Error::Io(error) => Self::Connection { reason: error.to_string() },
            sqlx::Error::Tls(error) => Self::Connection { reason: format!("TLS: {error}") },
            sqlx::Error::PoolTimedOut => {
                Self::TimedOut { doing: "waiting for a connection", limit: super::database::ACQUIRE_TIMEOUT }
            }
            sqlx::Error::PoolClosed => Self::Closed,
            sqlx::Error::Protocol(_) => {
                Self::Connection { reason: "what answers does not speak Postgres's protocol".to_owned() }
            }
            sqlx::Error::WorkerCrashed => Self::Connection { reason: "SQLite's thread ended".to_owned() },
            _ => Self::Connection { reason: "the database driver met something unexpected".to_owned() },
        }
    }
}
