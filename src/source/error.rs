//! What may go wrong with a source: a cause, a message, and what to do about it.

use std::{borrow::Cow, fmt, io, path::Path, time::Duration};

use crate::{domain::ErrorKind, support::result_code::Meaning};

/// A failure of a source. Neither message nor hint holds a row's value, a password or a URL.
#[derive(Debug, thiserror::Error)]
pub struct Error {
    cause: Cause,
    message: String,
    /// Empty when there is nothing to do but to wait.
    hint: Cow<'static, str>,
}

/// Why a source failed, as callers tell it apart. Drivers have causes of their own beside those of
/// `cause`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause {
    /// The stable code, a section of `docs/errors.md`.
    pub code: &'static str,
    /// What a caller may do about it.
    pub kind: ErrorKind,
}

/// Declares causes, one a line: `NAME: "code" Kind;`, and a list of them all.
macro_rules! causes {
    ($list:ident { $($name:ident: $code:literal $kind:ident;)* }) => {
        $(pub(in crate::source) const $name: $crate::source::error::Cause = $crate::source::error::Cause {
            code: $code,
            kind: $crate::domain::error::ErrorKind::$kind,
        };)*
        pub(in crate::source) const $list: &[$crate::source::error::Cause] = &[$($name),*];
    };
}
pub(super) use causes;

/// Causes that any source may have.
pub(super) mod cause {
    super::causes! {
        SHARED {
            HOST_UNKNOWN: "source_host_unknown" Unavailable;
            UNREACHABLE: "source_unreachable" Unavailable;
            CONNECT_TIMEOUT: "source_connect_timeout" Unavailable;
            TLS_REFUSED: "source_tls_refused" Unavailable;
            CERTIFICATE_FILE: "source_certificate_file" Invalid;
            STATEMENT_POOLING: "source_statement_pooling" Invalid;
            WRONG_PASSWORD: "source_wrong_password" Unauthenticated;
            LOGIN_REFUSED: "source_login_refused" Unauthenticated;
            UNKNOWN_DATABASE: "source_unknown_database" Invalid;
            UNKNOWN_TABLE: "source_unknown_table" Invalid;
            UNKNOWN_COLUMN: "source_unknown_column" Invalid;
            SYNTAX_ERROR: "source_syntax_error" Invalid;
            PERMISSION_DENIED: "source_permission_denied" Forbidden;
            STATEMENT_TIMEOUT: "source_statement_timeout" Unavailable;
            QUERY_CANCELLED: "source_query_cancelled" Unavailable;
            SESSION_TIMEOUT: "source_session_timeout" Unavailable;
            CONNECTION_LOST: "source_connection_lost" Unavailable;
            POOLER_REFUSED: "source_pooler_refused" Unavailable;
            UNAVAILABLE: "source_unavailable" Unavailable;
            CONFLICT: "source_conflict" Unavailable;
            LOCKED: "source_locked" Unavailable;
            DAMAGED: "source_damaged" Corrupt;
            QUERY_FAILED: "source_query_failed" Unavailable;
            ANSWER_MALFORMED: "source_answer_malformed" Corrupt;
            QUERY_EMPTY: "source_query_empty" Invalid;
            SEVERAL_STATEMENTS: "source_several_statements" Invalid;
            NUL_CHARACTER: "source_nul_character" Invalid;
            TABLE_NAME_INVALID: "source_table_name_invalid" Invalid;
            NO_COLUMNS: "source_no_columns" Invalid;
            DUPLICATE_COLUMN: "source_duplicate_column" Invalid;
            COLUMNS_CHANGED: "columns_changed" Conflict;
            DRIVER_MISSING: "source_driver_missing" Invalid;
            DRIVER_UNUSABLE: "source_driver_unusable" Invalid;
            WORKER_CRASHED: "source_worker_crashed" Unavailable;
            WORKER_MEMORY: "source_worker_memory" Unavailable;
            FILE_MISSING: "source_file_missing" Invalid;
            FILE_UNREADABLE: "source_file_unreadable" Forbidden;
            FILE_FAILED: "source_file_failed" Unavailable;
            FILE_CHANGED: "source_file_changed" Unavailable;
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "; {}", self.hint) }
    }
}

impl Error {
    pub(super) fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), hint: Cow::Borrowed("") }
    }

    /// The same error with what to do about it.
    pub(super) fn with_hint(self, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// The same error, of `part` of what was configured.
    #[must_use]
    pub(crate) fn of_part(self, part: &str) -> Self {
        Self { message: format!("{part}: {}", self.message), ..self }
    }

    /// What it means to the caller.
    pub fn kind(&self) -> ErrorKind {
        self.cause.kind
    }

    /// The stable code, as in metadata, in `larder runs` and in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        self.cause.code
    }

    /// Whether the model names a table that is not there.
    pub fn is_table_missing(&self) -> bool {
        self.cause == cause::UNKNOWN_TABLE
    }

    /// For tests of what a run does about a missing table.
    #[cfg(test)]
    pub(crate) fn of_missing_table() -> Self {
        Self::new(cause::UNKNOWN_TABLE, "no such table")
    }

    /// What happened, to which thing.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it, when anything can be done.
    pub fn hint(&self) -> Option<&str> {
        Some(&*self.hint).filter(|hint| !hint.is_empty())
    }
}

pub(super) fn statement_timeout(timeout: Duration) -> Error {
    let message = format!("the query took longer than its timeout of {} ms", timeout.as_millis());
    Error::new(cause::STATEMENT_TIMEOUT, message)
        .with_hint("make the query faster or raise the source's statement_timeout")
}

pub(super) fn connection_lost(reason: impl fmt::Display) -> Error {
    Error::new(cause::CONNECTION_LOST, format!("the connection was lost: {reason}"))
        .with_hint("the run will be tried again")
}

/// The error of a connection that did not come about.
pub(super) fn cannot_connect(error: &io::Error, address: &str) -> Error {
    // The resolver has no kind of its own.
    if error.to_string().contains("lookup address") {
        return Error::new(cause::HOST_UNKNOWN, format!("the host of {address} is not known: {error}"))
            .with_hint("check the source's host, and this machine's DNS");
    }
    Error::new(cause::UNREACHABLE, format!("{address} cannot be reached: {error}"))
        .with_hint("check the source's host and port, and that the server runs and may be reached from here")
}

/// The error of a port that is another service's.
pub(super) fn other_protocol(address: &str, what: impl fmt::Display) -> Error {
    Error::new(cause::ANSWER_MALFORMED, format!("wrong protocol on the port of {address}: {what}"))
        .with_hint("check the source's host and port, and that it is what its `type` says")
}

pub(super) fn malformed(what: impl fmt::Display) -> Error {
    Error::new(cause::ANSWER_MALFORMED, format!("the answer of the source cannot be read: {what}"))
        .with_hint("check that the source is what its `type` says")
}

pub(super) fn no_columns() -> Error {
    Error::new(cause::NO_COLUMNS, "the query yields no columns").with_hint("write a select statement")
}

/// A file that cannot be opened, by what the operating system says: a right that is missing is not a file
/// that is missing.
pub(super) fn file_error(path: &Path, error: &io::Error) -> Error {
    if error.kind() == io::ErrorKind::NotFound {
        return Error::new(cause::FILE_MISSING, format!("there is no file {}", path.display()))
            .with_hint("check the source's path");
    }
    file_unreadable(path, error)
}

pub(super) fn file_unreadable(path: &Path, reason: impl fmt::Display) -> Error {
    Error::new(cause::FILE_UNREADABLE, format!("cannot open {}: {reason}", path.display())).with_hint(
        "check that it is a file, that this user may read it, and that it may enter (x) every directory above it",
    )
}

/// Most characters of a source's own message that are shown: some messages quote the whole query.
pub(super) const WORDS_CHARS_MAX: usize = 500;

/// What a database says of an error. `message` is `None` when it may hold a row's value.
pub(super) fn database_words(code: &str, name: &str, message: Option<&str>) -> String {
    match message {
        Some(message) => format!("{message} (code {code})"),
        None if name.is_empty() => format!("the database answered with code {code}"),
        None => format!("the database answered with code {code}, {name}"),
    }
}

/// An error of a database by what its code means; for meanings that are alike for all of them.
pub(super) fn of_database(meaning: Meaning, words: String) -> Error {
    let query_failed =
        |kind, words| Error::new(Cause { kind, ..cause::QUERY_FAILED }, format!("the query failed: {words}"));
    match meaning {
        Meaning::ConnectionLost => connection_lost(words),
        Meaning::PoolerRefused => {
            Error::new(cause::POOLER_REFUSED, format!("a connection pooler, or the server, refused: {words}"))
                .with_hint("look at the pooler's log, and at its databases, users and limits")
        }
        Meaning::Unavailable => {
            Error::new(cause::UNAVAILABLE, format!("the database cannot work now: {words}"))
        }
        Meaning::SessionTimeout => {
            Error::new(cause::SESSION_TIMEOUT, format!("a timeout of the session ended it: {words}"))
                .with_hint("raise that timeout for the source's user, as in ALTER ROLE ... SET")
        }
        Meaning::Conflict => Error::new(cause::CONFLICT, format!("the query was in conflict: {words}"))
            .with_hint(
                "the run will be tried again; on a standby, hot_standby_feedback = on or a longer \
                 max_standby_streaming_delay lets it finish",
            ),
        Meaning::Locked => Error::new(cause::LOCKED, format!("somebody else holds a lock: {words}"))
            .with_hint("the run will be tried again; look for a transaction that stays open"),
        Meaning::Cancelled => Error::new(cause::QUERY_CANCELLED, format!("the query was cancelled: {words}"))
            .with_hint("the run will be tried again; ask who ends queries, a person or a pooler's timeout"),
        Meaning::WrongPassword => {
            Error::new(cause::WRONG_PASSWORD, words).with_hint("check the source's user and password")
        }
        Meaning::LoginRefused => Error::new(cause::LOGIN_REFUSED, words).with_hint(
            "check the source's user and database, and from where the server lets the user in (pg_hba.conf)",
        ),
        Meaning::UnknownDatabase => Error::new(cause::UNKNOWN_DATABASE, words)
            .with_hint("check the database's name at the end of the URL"),
        Meaning::UnknownTable => Error::new(cause::UNKNOWN_TABLE, words)
            .with_hint("check its name, schema and case (names written in capitals are kept as written)"),
        Meaning::UnknownColumn => {
            Error::new(cause::UNKNOWN_COLUMN, words).with_hint("check its name and case in the model")
        }
        Meaning::Syntax => Error::new(cause::SYNTAX_ERROR, words).with_hint("correct the SQL"),
        Meaning::PermissionDenied => {
            let is_of_rows = words.contains("row-level security");
            Error::new(cause::PERMISSION_DENIED, words).with_hint(if is_of_rows {
                "let a policy show the source's user all rows, or give it BYPASSRLS"
            } else {
                "grant SELECT on it (and USAGE on its schema) to the source's user"
            })
        }
        Meaning::ReadOnly => query_failed(ErrorKind::Invalid, words)
            .with_hint("a model only reads: remove the statement that writes"),
        Meaning::Statement => query_failed(ErrorKind::Invalid, words),
        Meaning::Damaged => Error::new(cause::DAMAGED, format!("stored data is damaged: {words}"))
            .with_hint("check the database, and restore a backup if need be"),
        // Other data may pass, and a bug may pass by.
        Meaning::Data
        | Meaning::Constraint
        | Meaning::FileUnreadable
        | Meaning::FileFailed
        | Meaning::HotJournal
        | Meaning::Other => query_failed(cause::QUERY_FAILED.kind, words),
    }
}
