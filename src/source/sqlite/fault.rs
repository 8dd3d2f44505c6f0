//! What is kept of SQLite's errors (<https://www.sqlite.org/rescode.html>).

use super::Sqlite;
use crate::{
    source::error::{
        Error, cause, causes, connection_lost, database_words, file_unreadable, malformed, of_database,
        statement_timeout,
    },
    support::result_code::{Meaning, Phase, ResultCode},
};

causes! {
    CAUSES {
        NOT_A_DATABASE: "source_not_a_database" Corrupt;
        HOT_JOURNAL: "source_hot_journal" Unavailable;
    }
}

/// The error by its code; its message is kept only when it holds no row's value.
pub(super) fn of(error: &sqlx::Error, source: &Sqlite, phase: Phase) -> Error {
    let path = source.file.path().display();
    let Some(database) = error.as_database_error() else {
        return match error {
            sqlx::Error::Io(error) => file_unreadable(source.file.path(), error),
            sqlx::Error::WorkerCrashed => connection_lost("SQLite's thread ended"),
            _ => malformed("SQLite returned an unexpected value"),
        };
    };
    let code = database.code().unwrap_or_default();
    let found = ResultCode::of_sqlite(&code);
    let message = found.shows_words(phase).then(|| database.message());
    let words = database_words(&code, found.name, message);
    match found.meaning {
        Meaning::Locked => {
            let timeout_ms = source.lock_timeout.as_millis();
            let message =
                format!("{path} is locked by another process, for longer than {timeout_ms} ms: {words}");
            Error::new(cause::LOCKED, message)
        }
        // Nothing but the end of a call interrupts a statement.
        Meaning::Cancelled => statement_timeout(source.statement_timeout),
        Meaning::Damaged => {
            let message = format!("{path} is not a SQLite database, or is damaged: {words}");
            Error::new(NOT_A_DATABASE, message)
        }
        Meaning::FileUnreadable => file_unreadable(source.file.path(), words),
        Meaning::FileFailed => Error::new(cause::FILE_FAILED, format!("{path} cannot be read: {words}"))
            .with_hint("look at the disk, the network file system and the machine's log"),
        Meaning::HotJournal => {
            let message = format!("a writer that ended early left a journal beside {path}: {words}");
            Error::new(HOT_JOURNAL, message).with_hint(
                "let the program that writes the file open it once, or run `sqlite3 FILE 'select 1 from \
                 sqlite_schema'` as a user who may write the file and its directory",
            )
        }
        // SQLite has one code for all that is wrong with a statement. Its message begins with the cause.
        Meaning::Data if code == "1" && phase == Phase::Planning => {
            let message = database.message();
            let meaning = if message.starts_with("no such table: ") {
                Meaning::UnknownTable
            } else if message.starts_with("no such column: ") {
                Meaning::UnknownColumn
            } else if message.ends_with(": syntax error") || message == "incomplete input" {
                Meaning::Syntax
            } else {
                Meaning::Statement
            };
            of_database(meaning, words)
        }
        meaning => of_database(meaning, words),
    }
}
