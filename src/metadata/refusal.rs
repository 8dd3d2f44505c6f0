//! A database's error, without the parts that may hold a value of a row.

use sqlx::{
    error::DatabaseError,
    postgres::{PgDatabaseError, PgErrorPosition},
    sqlite::SqliteError,
};

use crate::{
    domain::ErrorKind,
    support::result_code::{Meaning, Phase, ResultCode},
};

const READ_ONLY_SERVER: &str = "it is a standby, or default_transaction_read_only is on for the user or the database: \
                                name the server that takes writes in the url of [metadata], or turn the setting off";
const READ_ONLY_FILE: &str = "give this user the right to write the file and its directory";

/// A database's error, without the parts that may hold a value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// SQLSTATE of Postgres, or the extended result code of SQLite.
    pub state: String,
    /// The name that the database's manual has for it; empty for a code that it does not have.
    pub name: &'static str,
    /// Its message, unless it may hold a value.
    pub message: Option<String>,
    /// Where in the statement, in characters from 1.
    pub position: Option<usize>,
    /// The table at fault.
    pub table: Option<String>,
    /// The column at fault.
    pub column: Option<String>,
    /// The constraint at fault.
    pub constraint: Option<String>,
    /// What to do about it.
    pub hint: Option<&'static str>,
    pub(super) kind: ErrorKind,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.state)?;
        if self.message.is_none() && !self.name.is_empty() {
            write!(f, " {}", self.name)?;
        }
        for (what, name) in
            [("table", &self.table), ("column", &self.column), ("constraint", &self.constraint)]
        {
            if let Some(name) = name {
                write!(f, ", {what} {name}")?;
            }
        }
        if let Some(position) = self.position {
            write!(f, ", at character {position}")?;
        }
        if let Some(message) = &self.message {
            write!(f, ": {message}")?;
        }
        self.hint.map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl Refusal {
    /// What the caller may do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self.kind {
            ErrorKind::Unavailable => "metadata_unavailable",
            ErrorKind::Conflict => "metadata_conflict",
            ErrorKind::Corrupt => "metadata_corrupt",
            _ => "metadata_refused",
        }
    }

    pub(super) fn of_postgres(error: &PgDatabaseError, phase: Phase) -> Self {
        let code = ResultCode::of_sqlstate(error.code());
        // What a function raises, a trigger's for instance, may hold anything under any code.
        let is_raised = error.r#where().is_some();
        let owned = |name: Option<&str>| name.filter(|_| !is_raised).map(str::to_owned);
        Self {
            state: error.code().to_owned(),
            name: code.name,
            message: owned(code.shows_words(phase).then(|| error.message())),
            position: match error.position() {
                Some(PgErrorPosition::Original(position)) => Some(position),
                _ => None,
            },
            table: owned(error.table()),
            column: owned(error.column()),
            constraint: owned(error.constraint()),
            hint: (code.meaning == Meaning::ReadOnly).then_some(READ_ONLY_SERVER),
            // A server that became a standby is left for the one that took over.
            kind: if code.meaning == Meaning::ReadOnly { ErrorKind::Unavailable } else { kind(code.meaning) },
        }
    }

    pub(super) fn of_sqlite(error: &SqliteError) -> Self {
        let code = error.code().unwrap_or_default();
        let found = ResultCode::of_sqlite(&code);
        Self {
            kind: kind(found.meaning),
            message: found.shows_words(Phase::OwnStatement).then(|| error.message().to_owned()),
            state: format!("SQLite {code}"),
            name: found.name,
            hint: (found.meaning == Meaning::ReadOnly).then_some(READ_ONLY_FILE),
            position: None,
            table: None,
            column: None,
            constraint: None,
        }
    }
}

fn kind(meaning: Meaning) -> ErrorKind {
    match meaning {
        Meaning::ConnectionLost
        | Meaning::Unavailable
        | Meaning::PoolerRefused
        | Meaning::SessionTimeout
        | Meaning::Conflict
        | Meaning::Locked
        | Meaning::Cancelled
        | Meaning::FileFailed
        | Meaning::HotJournal => ErrorKind::Unavailable,
        Meaning::WrongPassword
        | Meaning::LoginRefused
        | Meaning::UnknownDatabase
        | Meaning::UnknownTable
        | Meaning::UnknownColumn
        | Meaning::Syntax
        | Meaning::PermissionDenied
        | Meaning::ReadOnly
        | Meaning::Statement
        | Meaning::FileUnreadable => ErrorKind::Invalid,
        Meaning::Constraint => ErrorKind::Conflict,
        Meaning::Damaged => ErrorKind::Corrupt,
        Meaning::Data | Meaning::Other => ErrorKind::Internal,
    }
}
