//! What is kept of SQLite's errors (<https://www.sqlite.org/rescode.html>).

use std::{path::Path, time::Duration};

use crate::source::{Error, Fault};

/// Where an error came from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) path: &'a Path,
    pub(super) lock_timeout: Duration,
    pub(super) statement_timeout: Duration,
}

/// The error by cause; its message is kept only when it is `open`.
pub(super) fn of(error: &sqlx::Error, place: Place<'_>, open: bool) -> Error {
    let path = place.path.to_owned();
    let Some(database) = error.as_database_error() else {
        return match error {
            sqlx::Error::Io(_) => Error::UnreadableFile { path },
            sqlx::Error::WorkerCrashed => {
                Error::ConnectionLost { reason: "SQLite's thread ended".to_owned() }
            }
            _ => Error::Malformed { what: "SQLite gave what was not asked for".to_owned() },
        };
    };
    let code = database.code().unwrap_or_default().into_owned();
    let message = database.message();
    let fault = Fault { code: code.clone(), message: open.then(|| message.to_owned()), ..Fault::default() };
    // The primary code is the lowest byte of the extended one.
    match code.parse::<i32>().unwrap_or_default() & 0xff {
        5 | 6 => Error::Locked { path, timeout_ms: place.lock_timeout.as_millis() as u64 },
        9 => Error::StatementTimeout { timeout_ms: place.statement_timeout.as_millis() as u64 },
        11 | 26 => Error::NotADatabase { path },
        14 => Error::UnreadableFile { path },
        23 => Error::Permission { fault },
        1 if open && message.contains("no such table") => Error::UnknownTable { fault },
        1 if open && message.contains("no such column") => Error::UnknownColumn { fault },
        1 if open && (message.contains("syntax error") || message.contains("incomplete input")) => {
            Error::Syntax { fault }
        }
        _ => Error::Query { fault },
    }
}
