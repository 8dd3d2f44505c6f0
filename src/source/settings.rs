//! What a source is told.

use std::{path::PathBuf, time::Duration};

use crate::support::secret::SecretString;

/// One source of the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name, for messages: `warehouse` of `[sources.warehouse]`.
    pub name: String,
    /// What it is and how to reach it.
    pub kind: SourceKind,
    /// Longest time that one query may take, from first to last row.
    pub statement_timeout: Duration,
    /// Longest time for a connection to be made.
    pub connect_timeout: Duration,
}

/// What a source is.
#[derive(Debug, Clone)]
pub enum SourceKind {
    /// A Postgres server, by URL. `sslmode` defaults to `verify-full` unless the host is loopback
    /// or a socket.
    Postgres {
        /// `postgres://user:password@host:port/database?sslmode=...`
        url: SecretString,
    },
    /// A SQLite file, opened read-only.
    Sqlite {
        /// The file; it must exist.
        path: PathBuf,
    },
}

/// What a model reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// One `select` (or `with`) statement, without a trailing semicolon.
    Sql(String),
    /// A table or view, perhaps with its schema, and the columns chosen (`None` means all).
    Table {
        /// `customers` or `public.customers`, unquoted.
        name: String,
        /// Columns in the order wanted.
        columns: Option<Vec<String>>,
    },
}
