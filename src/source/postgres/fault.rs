//! What is kept of an error: its SQLSTATE, its place, the names of table, column and constraint, and its
//! message where it cannot hold a row's value. Detail, hint and context are dropped.

use std::{
    error::Error as _,
    fmt::Write as _,
    io,
    time::{Duration, Instant},
};

use sqlx::postgres::{PgDatabaseError, PgErrorPosition};

use crate::{
    source::error::{
        Error, cause, connection_lost, database_words, malformed, of_database, statement_timeout,
    },
    support::result_code::{Meaning, Phase, ResultCode, sqlstate},
};

/// How sqlx words the end of a connection that was closed before the server said whether it speaks
/// TLS: it takes the byte that never came for a zero. Load balancers without a server do that.
const CLOSED_BEFORE_TLS: &str = "unexpected response from SSLRequest: 0x00";

/// A server counts its timeout from when it has read the statement, and its clock may run a little faster.
const TIMEOUT_TOLERANCE: Duration = Duration::from_millis(50);

/// What was asked when an error came: what was going on, for how long, and where the model's SQL stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
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
pub(super) fn of_connecting(error: sqlx::Error, address: &str) -> Error {
    match error {
        // The TLS library's errors arrive as input and output errors.
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => tls_refused(address, &error),
        sqlx::Error::Io(error) => {
            Error::new(cause::UNREACHABLE, format!("cannot connect to {address}: {error}"))
                .with_hint("check that the server runs, host and port, and firewalls")
        }
        sqlx::Error::Tls(error) => tls_refused(address, &error),
        sqlx::Error::Protocol(what) if what.starts_with(CLOSED_BEFORE_TLS) => {
            connection_lost(format_args!("{address} closed it before any answer"))
        }
        other => {
            let (phase, since) = (Phase::Login, Instant::now());
            of_query(other, Asked { address, phase, since, timeout: Duration::MAX, model: None })
        }
    }
}

fn tls_refused(address: &str, reason: &dyn std::fmt::Display) -> Error {
    Error::new(cause::TLS_REFUSED, format!("no TLS connection to {address}: {reason}")).with_hint(
        "name a private authority's certificate with ?sslrootcert=FILE, or write a weaker sslmode \
         (require, prefer, disable) into the URL",
    )
}

/// An error of a connection that was made.
pub(super) fn of_query(error: sqlx::Error, asked: Asked<'_>) -> Error {
    match error {
        sqlx::Error::Database(error) => of_server(error.downcast_ref::<PgDatabaseError>(), asked),
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            connection_lost("the server closed it; its log says why")
        }
        sqlx::Error::Io(error) => connection_lost(error),
        sqlx::Error::Tls(error) => connection_lost(error),
        sqlx::Error::Protocol(what) => malformed(what),
        other => malformed(kind_of(&other)),
    }
}

/// An error's outermost words: its causes may quote what the server sent.
fn kind_of(error: &sqlx::Error) -> String {
    let text = error.to_string();
    match error.source() {
        Some(source) => text.replace(&source.to_string(), "..."),
        None => text,
    }
}

fn of_server(error: &PgDatabaseError, asked: Asked<'_>) -> Error {
    let code = sqlstate::lookup(error.code());
    let words = words(error, code, asked);
    let address = asked.address;
    match (code.meaning, asked.phase) {
        (Meaning::WrongPassword | Meaning::LoginRefused, _)
        // A setting of the URL that the server does not take, for instance.
        | (Meaning::Data | Meaning::Statement | Meaning::PermissionDenied | Meaning::Other, Phase::Login) => {
            let meaning = match code.meaning {
                Meaning::WrongPassword => Meaning::WrongPassword,
                _ => Meaning::LoginRefused,
            };
            of_database(meaning, format!("{address} refused the login: {words}"))
        }
        // Two causes have one code, and words in the language of the server.
        (Meaning::Cancelled, _) if asked.since.elapsed() + TIMEOUT_TOLERANCE >= asked.timeout => {
            statement_timeout(asked.timeout)
        }
        (meaning, _) => of_database(meaning, words),
    }
}

/// What the server says, without what may hold a row's value.
fn words(error: &PgDatabaseError, code: ResultCode, asked: Asked<'_>) -> String {
    // A function of the user can raise any text and any name under any code, and can have read a row for it.
    // The server then says in which function it was.
    let is_raised = asked.phase != Phase::Login && error.r#where().is_some();
    let is_shown = !is_raised && code.shows_words(asked.phase);
    let mut words = database_words(error.code(), code.name, is_shown.then(|| error.message()));
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
    if let (Some(PgErrorPosition::Original(at)), Some((sql, before))) = (error.position(), asked.model)
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
