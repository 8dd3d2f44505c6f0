//! What is kept of SQLite's errors (<https://www.sqlite.org/rescode.html>).

use super::Sqlite;
use crate::source::error::{
    Error, cause, causes, connection_lost, database_words, file_unreadable, malformed, statement_timeout,
};

causes! {
    CAUSES {
        NOT_A_DATABASE: "source_not_a_database" Corrupt;
        LOCKED: "source_locked" Unavailable;
    }
}

/// The error by cause; its message is kept only when it `is_safe`: it holds no row's value.
pub(super) fn of(error: &sqlx::Error, source: &Sqlite, is_safe: bool) -> Error {
    let path = &source.path;
    let Some(database) = error.as_database_error() else {
        return match error {
            sqlx::Error::Io(_) => file_unreadable(path),
            sqlx::Error::WorkerCrashed => connection_lost("SQLite's thread ended"),
            _ => malformed("SQLite gave what was not asked for"),
        };
    };
    let code = database.code().unwrap_or_default();
    let message = database.message();
    let words = database_words(&code, is_safe.then_some(message));
    // The primary code is the lowest byte of the extended one.
    match code.parse::<i32>().unwrap_or_default() & 0xff {
        5 | 6 => {
            let (path, timeout_ms) = (path.display(), source.lock_timeout.as_millis());
            let message = format!("{path} is locked by another process, for longer than {timeout_ms} ms");
            Error::new(LOCKED, message)
        }
        9 => statement_timeout(source.statement_timeout),
        11 | 26 => {
            let message = format!("{} is not a SQLite database, or is damaged", path.display());
            Error::new(NOT_A_DATABASE, message)
        }
        14 => file_unreadable(path),
        23 => Error::new(cause::PERMISSION_DENIED, words).with_hint("check the rights of the source's user"),
        1 if is_safe && message.contains("no such table") => {
            Error::new(cause::UNKNOWN_TABLE, words).with_hint("check its name in the model")
        }
        1 if is_safe && message.contains("no such column") => {
            Error::new(cause::UNKNOWN_COLUMN, words).with_hint("check its name in the model")
        }
        1 if is_safe && (message.contains("syntax error") || message.contains("incomplete input")) => {
            Error::new(cause::SYNTAX_ERROR, words).with_hint("correct the model's SQL")
        }
        _ => Error::new(cause::QUERY_FAILED, format!("the query failed: {words}")),
    }
}
