//! What is kept of an error: its SQLSTATE, its place, the names of table, column and constraint, and its
//! message where it cannot hold a row's value. Detail, hint and context are dropped.

use std::{
    error::Error as _,
    fmt::Write as _,
    io,
    time::{Duration, Instant},
};

use sqlx::{
    error::DatabaseError,
    postgres::{PgDatabaseError, PgErrorPosition},
};

use crate::{
    postgres::{self, Fatal},
    source::error::{
        Error, cause, connection_lost, database_words, malformed, of_database, statement_timeout,
    },
    support::result_code::{Meaning, Phase, ResultCode},
};

/// A server counts its timeout from when it has read the statement, and its clock may run a little faster.
const TIMEOUT_TOLERANCE: Duration = Duration::from_millis(50);

/// A statement that failed: its phase, when it was sent, and where the model's SQL stands in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statement<'a> {
    pub(super) address: &'a str,
    pub(super) phase: Phase,
    /// When the statement was sent.
    pub(super) since: Instant,
    /// The server ends it after this.
    pub(super) timeout: Duration,
    /// The model's SQL as written, and the number of characters before it. `None` when it is not
    /// the user's text.
    pub(super) model: Option<(&'a str, usize)>,
}

/// An error while a connection was made.
pub(super) fn of_connecting(error: &postgres::Error, statement: Statement<'_>) -> Error {
    use postgres::Error as Fault;
    let cause = match error {
        Fault::HostUnknown { .. } => cause::HOST_UNKNOWN,
        Fault::Unreachable { .. } => cause::UNREACHABLE,
        Fault::Timeout { .. } => cause::CONNECT_TIMEOUT,
        Fault::Closed { .. } => cause::CONNECTION_LOST,
        Fault::OtherProtocol { .. } => cause::ANSWER_MALFORMED,
        Fault::NoTls(_) | Fault::Tls { .. } | Fault::NoAuthorities => cause::TLS_REFUSED,
        Fault::File { .. } => cause::CERTIFICATE_FILE,
        Fault::Login { source, words, .. } => {
            let refused = source.as_database_error().and_then(<dyn DatabaseError>::try_downcast_ref);
            return match (refused, words) {
                (Some(error), _) => of_server(error, words.as_deref(), statement),
                (None, Some(words)) => {
                    Error::new(cause::LOGIN_REFUSED, format!("{error}: {words}")).with_hint(error.hint())
                }
                (None, None) => malformed(kind_of(source)),
            };
        }
    };
    Error::new(cause, error.to_string()).with_hint(error.hint())
}

/// An error of a file of certificates.
pub(super) fn of_file(error: &postgres::Error) -> Error {
    Error::new(cause::CERTIFICATE_FILE, error.to_string()).with_hint(error.hint())
}

/// An error of a connection that was made.
pub(super) fn of_query(error: sqlx::Error, statement: Statement<'_>) -> Error {
    match error {
        sqlx::Error::Database(error) => of_server(error.downcast_ref::<PgDatabaseError>(), None, statement),
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            connection_lost("the server closed it; its log says why")
        }
        sqlx::Error::Io(error) => connection_lost(error),
        sqlx::Error::Tls(error) => connection_lost(error),
        sqlx::Error::Protocol(what) => malformed(what),
        other => malformed(kind_of(&other)),
    }
}

/// The error with which the server has ended the session.
pub(super) fn of_ending(fatal: &Fatal) -> Error {
    let code = ResultCode::of_sqlstate(&fatal.code);
    let words = code.shows_words(Phase::Reading).then_some(fatal.message.as_str());
    of_database(code.meaning, database_words(&fatal.code, code.name, words))
}

/// Whether a server refuses a statement that Postgres takes: it parses another grammar, or lacks a feature, a function or
/// a type.
pub(super) fn is_unknown_statement(error: &sqlx::Error) -> bool {
    const CODES: [&str; 5] = ["0A000", "42601", "42704", "42846", "42883"];
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| CODES.contains(&&*code))
}

/// An error's outermost words: its causes may quote what the server sent.
fn kind_of(error: &sqlx::Error) -> String {
    let text = error.to_string();
    match error.source() {
        Some(source) => text.replace(&source.to_string(), "..."),
        None => text,
    }
}

/// An error that the server sent. `at_login` are its words without parts of the URL.
fn of_server(error: &PgDatabaseError, at_login: Option<&str>, statement: Statement<'_>) -> Error {
    let code = ResultCode::of_sqlstate(error.code());
    let words = words(error, at_login, code, statement);
    let address = statement.address;
    match (code.meaning.within(statement.phase), statement.phase) {
        (Meaning::PoolerRefused, _) if postgres::is_statement_pooling(error.message()) => {
            Error::new(cause::STATEMENT_POOLING, format!("{address} pools single statements: {words}"))
                .with_hint("use session or transaction pooling: a model is read in one transaction")
        }
        (Meaning::WrongPassword | Meaning::LoginRefused, _)
        // A setting of the URL that the server does not take, for instance.
        | (
            Meaning::Data | Meaning::Statement | Meaning::Syntax | Meaning::PermissionDenied | Meaning::Other,
            Phase::Login,
        ) => {
            let meaning = match code.meaning {
                Meaning::WrongPassword => Meaning::WrongPassword,
                _ => Meaning::LoginRefused,
            };
            of_database(meaning, format!("{address} refused the login: {words}"))
        }
        // Two causes have one code, and words in the language of the server.
        (Meaning::Cancelled, _) if statement.since.elapsed() + TIMEOUT_TOLERANCE >= statement.timeout => {
            statement_timeout(statement.timeout)
        }
        (meaning, _) if error.code() == "55000" => of_database(meaning, words).with_hint(
            "a materialized view that was never filled has this code: run `refresh materialized view`",
        ),
        (meaning, _) => of_database(meaning, words),
    }
}

/// What the server says, without what may hold a row's value.
fn words(
    error: &PgDatabaseError,
    at_login: Option<&str>,
    code: ResultCode,
    statement: Statement<'_>,
) -> String {
    // A function of the user can raise any text and any name under any code, and can have read a row for it.
    // The server then says in which function it was.
    let is_raised = statement.phase != Phase::Login && error.r#where().is_some();
    let is_shown = !is_raised && code.shows_words(statement.phase);
    let mut words =
        database_words(error.code(), code.name, at_login.or_else(|| is_shown.then(|| error.message())));
    if is_raised {
        return words;
    }
    for (what, name) in
        [("table", error.table()), ("column", error.column()), ("constraint", error.constraint())]
    {
        if let Some(name) = name {
            let _ = write!(words, ", {what} `{name}`");
        }
    }
    if let (Some(PgErrorPosition::Original(at)), Some((sql, before))) = (error.position(), statement.model)
        && let Some((line, column)) = position(sql, at, before)
    {
        let _ = write!(words, " at line {line}, column {column}");
    }
    words
}

/// Line and column in `sql`, in characters from 1, of character number `at`, from 1, of a text that has
/// `before` characters before `sql`.
fn position(sql: &str, at: usize, before: usize) -> Option<(usize, usize)> {
    let at = at.checked_sub(before + 1)?;
    if at > sql.chars().count() {
        return None;
    }
    let read: Vec<char> = sql.chars().take(at).collect();
    let line = read.iter().filter(|&&character| character == '\n').count() + 1;
    let column = read.iter().rev().take_while(|&&character| character != '\n').count() + 1;
    Some((line, column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_in_the_models_text() {
        let sql = "select é,\n  x\nfrom t";
        for (at, expected) in [
            (5, None),
            (6, Some((1, 1))),
            (13, Some((1, 8))),
            (18, Some((2, 3))),
            (20, Some((3, 1))),
            (26, Some((3, 7))),
            (27, None),
        ] {
            assert_eq!(position(sql, at, 5), expected, "{at}");
        }
    }
}
