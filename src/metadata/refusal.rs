//! A database's error, without the parts that may hold a value of a row.

use sqlx::{
    error::DatabaseError,
    postgres::{PgDatabaseError, PgErrorPosition},
    sqlite::SqliteError,
};

use crate::{domain::error::ErrorKind, support::sqlstate};

/// A database's error, without the parts that may hold a value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// SQLSTATE of Postgres, or the extended result code of SQLite.
    pub state: String,
    /// Its message; for Postgres only of the classes 08, 28, 3D, 42, 53 and 57.
    pub message: Option<String>,
    /// Where in the statement, in characters from 1.
    pub position: Option<usize>,
    /// The table at fault.
    pub table: Option<String>,
    /// The column at fault.
    pub column: Option<String>,
    /// The constraint at fault.
    pub constraint: Option<String>,
    kind: ErrorKind,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.state)?;
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
        self.message.as_ref().map_or(Ok(()), |message| write!(f, ": {message}"))
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

    pub(super) fn of_postgres(error: &PgDatabaseError) -> Self {
        let state = error.code();
        let owned = |name: Option<&str>| name.map(str::to_owned);
        Self {
            state: state.to_owned(),
            message: sqlstate::has_safe_message(state).then(|| error.message().to_owned()),
            position: match error.position() {
                Some(PgErrorPosition::Original(position)) => Some(position),
                _ => None,
            },
            table: owned(error.table()),
            column: owned(error.column()),
            constraint: owned(error.constraint()),
            kind: match sqlstate::class(state) {
                "08" | "40" | "53" | "55" | "57" => ErrorKind::Unavailable,
                "28" | "3D" | "42" => ErrorKind::Invalid,
                "23" => ErrorKind::Conflict,
                "XX" => ErrorKind::Corrupt,
                _ => ErrorKind::Internal,
            },
        }
    }

    /// SQLite's messages name tables and columns, never values. The low byte of a result code is the primary
    /// code: <https://www.sqlite.org/rescode.html>.
    pub(super) fn of_sqlite(error: &SqliteError) -> Self {
        let state = error.code().unwrap_or_default().into_owned();
        let primary = state.parse::<i32>().unwrap_or_default() & 0xff;
        Self {
            kind: match primary {
                5 | 6 => ErrorKind::Unavailable,       // BUSY, LOCKED
                3 | 8 | 14 | 23 => ErrorKind::Invalid, // PERM, READONLY, CANTOPEN, AUTH
                11 | 26 => ErrorKind::Corrupt,         // CORRUPT, NOTADB
                19 => ErrorKind::Conflict,             // CONSTRAINT
                _ => ErrorKind::Internal,              // IOERR, FULL and bugs
            },
            state: format!("SQLite {state}"),
            message: Some(error.message().to_owned()),
            position: None,
            table: None,
            column: None,
            constraint: None,
        }
    }
}
