//! What is kept of an error: its SQLSTATE, its place, the names of table, column and constraint, and its
//! message where its class cannot hold a row's value. Detail, hint and context are dropped.

use std::{error::Error as _, fmt::Write as _, io, time::Duration};

use sqlx::postgres::{PgDatabaseError, PgErrorPosition};

use crate::{
    domain::error::ErrorKind,
    source::{
        Cause,
        error::{Error, cause, connection_lost, database_words, malformed, statement_timeout},
    },
    support::sqlstate,
};

/// How sqlx words the end of a connection that was closed before the server said whether it speaks
/// TLS: it takes the byte that never came for a zero. Load balancers without a server do that.
const CLOSED_BEFORE_TLS: &str = "unexpected response from SSLRequest: 0x00";

/// What was asked when an error came: where the model's SQL stands in it, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) address: &'a str,
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
        other => of_query(other, Asked { address, timeout: Duration::ZERO, model: None }),
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
            connection_lost("the server closed it")
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
    let code = error.code();
    let words = words(error, asked.model);
    let address = asked.address;
    match (sqlstate::class(code), code) {
        ("28", _) => {
            let cause = if code == "28P01" { cause::WRONG_PASSWORD } else { cause::LOGIN_REFUSED };
            Error::new(cause, format!("{address} refused the login: {words}"))
                .with_hint("check user and password in the URL, and pg_hba.conf")
        }
        (_, "3D000") => Error::new(cause::UNKNOWN_DATABASE, words)
            .with_hint("check the database's name at the end of the URL"),
        (_, "42P01" | "3F000") => Error::new(cause::UNKNOWN_TABLE, words)
            .with_hint("check its name, schema and case (names written in capitals are kept as written)"),
        (_, "42703") => {
            Error::new(cause::UNKNOWN_COLUMN, words).with_hint("check its name and case in the model")
        }
        (_, "42601") => Error::new(cause::SYNTAX_ERROR, words).with_hint("correct the model's SQL"),
        (_, "42501") => Error::new(cause::PERMISSION_DENIED, words)
            .with_hint("grant SELECT on it (and USAGE on its schema) to the source's user"),
        (_, "57014") => statement_timeout(asked.timeout),
        ("08", _) => connection_lost(words),
        ("53" | "57", _) => {
            Error::new(cause::UNAVAILABLE, format!("the server refuses to work now: {words}"))
        }
        (class, _) => {
            // A rule that is broken, a feature that is missing and a write in a read-only transaction
            // blame the SQL. Other failures may go away: a division by zero, a deadlock.
            let kind = match class {
                "42" | "0A" | "25" => ErrorKind::Invalid,
                _ => cause::QUERY_FAILED.kind,
            };
            let cause = Cause { kind, ..cause::QUERY_FAILED };
            Error::new(cause, format!("the query failed: {words}"))
        }
    }
}

/// What the server says, without what may hold a row's value.
fn words(error: &PgDatabaseError, model: Option<(&str, usize)>) -> String {
    let code = error.code();
    let mut words = database_words(code, sqlstate::has_safe_message(code).then(|| error.message()));
    for (what, name) in
        [("table", error.table()), ("column", error.column()), ("constraint", error.constraint())]
    {
        if let Some(name) = name {
            let _ = write!(words, ", {what} `{name}`");
        }
    }
    if let (Some(PgErrorPosition::Original(at)), Some((sql, before))) = (error.position(), model)
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
