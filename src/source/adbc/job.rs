//! The job of a worker, and what it says of a failure.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One call. It holds secrets, so it goes through the worker's standard input, never through arguments or environment.
#[derive(Serialize, Deserialize)]
pub(super) struct Job {
    /// The driver's file.
    pub(super) driver: PathBuf,
    /// The function of the file that begins it; `None` for the one that its name implies.
    pub(super) entrypoint: Option<String>,
    /// Options of the database.
    pub(super) options: Vec<(String, String)>,
    /// Statements that are run first.
    pub(super) setup: Vec<String>,
    /// Where a driver may keep what does not fit into its memory, when no option says so.
    pub(super) temp_dir: PathBuf,
    pub(super) task: Task,
}

/// What is wanted when the connection is made.
#[derive(Serialize, Deserialize)]
pub(super) enum Task {
    /// Nothing more.
    Connect,
    /// The names of all tables and views.
    Tables,
    /// The columns of a query; `empty_sql` gives the same ones and no row.
    Describe { sql: String, empty_sql: String },
    /// The rows of a query, at most `rows_max`.
    Read { sql: String, rows_max: u64 },
}

/// What was going on in a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Step {
    /// The driver's file is loaded.
    Load,
    /// The database is opened; no statement was sent.
    Connect,
    /// A statement runs before the query; its place, from 0.
    Setup(usize),
    /// The same of a statement that loads an extension, in which there is no secret.
    Extension(usize),
    /// The query is planned; no row was read.
    Describe,
    /// Rows are read.
    Read,
}

/// The status of what is no answer by the standard of drivers. Its words are not the driver's: they hold neither a value nor
/// a secret.
pub(super) const DAMAGED: &str = "Damaged";

/// What a driver says of an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) step: Step,
    /// The name of the status in ADBC, such as `Unauthenticated`.
    pub(super) status: String,
    /// Five characters, when the driver gives them.
    pub(super) sqlstate: Option<String>,
    /// The database's own number; 0 for none.
    pub(super) vendor_code: i32,
    /// May hold a row's value, or a part of a secret.
    pub(super) message: String,
}
