//! Errors of the metadata database, by cause. No error holds a stored value.

use std::{io, path::PathBuf, time::Duration};

use sqlx::{postgres::PgDatabaseError, sqlite::SqliteError};

use super::refusal::Refusal;
use crate::{domain::codes, postgres, support::result_code::Phase};

/// An error of the metadata database.
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of certificates that the URL names cannot be used: the parameter, the file, and what is wrong.
    #[error("{0}")]
    CertificateFile(String),
    /// A connection could not be made.
    #[error("cannot open the metadata database {place}: {source}; check the url of [metadata]")]
    Connect { place: String, source: Box<Error> },
    /// A directory, the SQLite file or a lock file could not be created or opened.
    #[error("cannot use {}: {source}; check that it exists and may be written", path.display())]
    File { path: PathBuf, source: io::Error },
    /// Another process has been creating or migrating the SQLite file for too long.
    #[error("another process has been creating or migrating {} for {} s; look for a larder process that hangs", path.display(), waited.as_secs())]
    Busy { path: PathBuf, waited: Duration },
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
    /// The applied migration of this number differs from this build's.
    #[error(
        "migration {0} of the metadata database differs from this build's; it belongs to another program or a changed build"
    )]
    ForeignMigration(i64),
    /// A pooler gives each statement another connection.
    #[error(
        "the metadata database is behind a pooler of single statements; use session or transaction pooling"
    )]
    StatementPooling,
    /// The database refused a statement.
    #[error("the metadata database refused: {0}")]
    Database(Box<Refusal>),
    /// The connection broke: the error of the operating system or the TLS library.
    #[error("the connection to the metadata database failed: {0}")]
    Connection(String),
    /// The database did not answer in time.
    #[error("the metadata database did not answer within {} s ({doing})", limit.as_secs())]
    TimedOut {
        /// The step that took too long.
        doing: &'static str,
        limit: Duration,
    },
    /// The handle was closed; the process is ending.
    #[error("the metadata database is closed: the process is ending")]
    Closed,
    /// A stored value of this column is not of the form that this build writes.
    #[error(
        "column {0} of the metadata database holds a value that this build cannot read; was it edited, or written by a newer larder?"
    )]
    Unreadable(&'static str),
    /// A lease name with a character outside `[A-Za-z0-9:_-]`, empty, or too long.
    #[error("a lease name is 1 to {} letters, digits, `:`, `_` or `-`", super::LEASE_NAME_BYTES_MAX)]
    InvalidLeaseName,
}

codes! {
    Error {
        "metadata_certificate_file" Invalid: CertificateFile,
        "metadata_statement_pooling" Invalid: StatementPooling,
        "metadata_file_unusable" Invalid: File,
        "metadata_unavailable" Unavailable: Busy | Connection | TimedOut | Closed,
        "metadata_not_migrated" Invalid: NotMigrated,
        "metadata_newer_schema" Invalid: NewerSchema,
        "metadata_foreign_migration" Invalid: ForeignMigration,
        "metadata_corrupt" Corrupt: Unreadable,
        "lease_name_invalid" Invalid: InvalidLeaseName,
        from: Database,
        source: Connect,
    }
}

/// Keeps only the safe parts of sqlx's errors: their text may hold DETAIL and messages with values of rows.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::of(error, Phase::OwnStatement)
    }
}

impl Error {
    /// An error that came in `phase`.
    pub(super) fn of(error: sqlx::Error, phase: Phase) -> Self {
        match error {
            sqlx::Error::Database(error) => {
                if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
                    if postgres::is_statement_pooling(error.message()) {
                        return Self::StatementPooling;
                    }
                    Self::Database(Box::new(Refusal::of_postgres(error, phase)))
                } else if let Some(error) = error.try_downcast_ref::<SqliteError>() {
                    Self::Database(Box::new(Refusal::of_sqlite(error)))
                } else {
                    Self::Connection("the error of an unknown driver".to_owned())
                }
            }
            sqlx::Error::Io(error) => Self::Connection(error.to_string()),
            sqlx::Error::Tls(error) => Self::Connection(format!("TLS: {error}")),
            sqlx::Error::PoolTimedOut => {
                Self::TimedOut { doing: "waiting for a connection", limit: super::database::ACQUIRE_TIMEOUT }
            }
            sqlx::Error::PoolClosed => Self::Closed,
            sqlx::Error::Protocol(_) => {
                Self::Connection("the server does not speak the protocol of Postgres".to_owned())
            }
            sqlx::Error::WorkerCrashed => Self::Connection("SQLite's thread ended".to_owned()),
            _ => Self::Connection("the database driver failed unexpectedly".to_owned()),
        }
    }
}

impl From<postgres::Error> for Error {
    fn from(error: postgres::Error) -> Self {
        match error {
            postgres::Error::Login { source, words, .. } => match (Self::of(*source, Phase::Login), words) {
                (Self::Database(refusal), Some(words)) => {
                    Self::Database(Box::new(Refusal { message: Some(words), ..*refusal }))
                }
                (Self::Connection(_), Some(reason)) => Self::Connection(reason),
                (error, _) => error,
            },
            postgres::Error::File { .. } => Self::CertificateFile(explain(&error)),
            _ => Self::Connection(explain(&error)),
        }
    }
}

fn explain(error: &postgres::Error) -> String {
    format!("{error}; {}", error.hint())
}
