//! What may go wrong with a source: a cause, a message, and what to do about it.

use std::{borrow::Cow, fmt, path::Path, time::Duration};

use crate::domain::error::ErrorKind;

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
            WRONG_PASSWORD: "source_wrong_password" Unauthenticated;
            LOGIN_REFUSED: "source_login_refused" Unauthenticated;
            UNKNOWN_DATABASE: "source_unknown_database" Invalid;
            UNKNOWN_TABLE: "source_unknown_table" Invalid;
            UNKNOWN_COLUMN: "source_unknown_column" Invalid;
            SYNTAX_ERROR: "source_syntax_error" Invalid;
            PERMISSION_DENIED: "source_permission_denied" Forbidden;
            STATEMENT_TIMEOUT: "source_statement_timeout" Unavailable;
            CONNECTION_LOST: "source_connection_lost" Unavailable;
            UNAVAILABLE: "source_unavailable" Unavailable;
            QUERY_FAILED: "source_query_failed" Unavailable;
            ANSWER_MALFORMED: "source_answer_malformed" Corrupt;
            QUERY_EMPTY: "source_query_empty" Invalid;
            SEVERAL_STATEMENTS: "source_several_statements" Invalid;
            NUL_CHARACTER: "source_nul_character" Invalid;
            TABLE_NAME_INVALID: "source_table_name_invalid" Invalid;
            NO_COLUMNS: "source_no_columns" Invalid;
            DUPLICATE_COLUMN: "source_duplicate_column" Invalid;
            COLUMNS_CHANGED: "columns_changed" Conflict;
            FILE_MISSING: "source_file_missing" Invalid;
            FILE_UNREADABLE: "source_file_unreadable" Forbidden;
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

    /// What it means to the caller.
    pub fn kind(&self) -> ErrorKind {
        self.cause.kind
    }

    /// The stable code, as in metadata, in `larder runs` and in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        self.cause.code
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
    Error::new(
        cause::STATEMENT_TIMEOUT,
        format!(
            "the query was cancelled: it took longer than its timeout of {} ms, or an administrator \
             cancelled it",
            timeout.as_millis()
        ),
    )
    .with_hint("make the query faster or raise the source's statement_timeout")
}

pub(super) fn connection_lost(reason: impl fmt::Display) -> Error {
    Error::new(cause::CONNECTION_LOST, format!("the connection was lost: {reason}"))
        .with_hint("the run will be tried again")
}

pub(super) fn malformed(what: impl fmt::Display) -> Error {
    Error::new(cause::ANSWER_MALFORMED, format!("the answer of the source cannot be read: {what}"))
        .with_hint("check that the source is what its `type` says")
}

pub(super) fn no_columns() -> Error {
    Error::new(cause::NO_COLUMNS, "the model yields no columns").with_hint("write a select statement")
}

pub(super) fn file_missing(path: &Path) -> Error {
    Error::new(cause::FILE_MISSING, format!("there is no file {}", path.display()))
        .with_hint("check the source's path")
}

pub(super) fn file_unreadable(path: &Path) -> Error {
    Error::new(cause::FILE_UNREADABLE, format!("cannot open {}", path.display()))
        .with_hint("check that it is a file and that this user may read it and its directory")
}

/// What a database says of an error. `message` is `None` when it may hold a row's value.
pub(super) fn database_words(code: &str, message: Option<&str>) -> String {
    match message {
        Some(message) => format!("{message} (code {code})"),
        None => format!("the database answered with code {code}"),
    }
}
