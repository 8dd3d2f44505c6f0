//! What is kept of an error: see [`Fault`]. The server's detail, hint and context are not, and its
//! message only where its class cannot hold a row's value.

use std::{error::Error as _, io, time::Duration};

use sqlx::postgres::{PgDatabaseError, PgErrorPosition};

use crate::source::{Error, Fault, Position};

/// Classes of SQLSTATE whose messages name things of the schema and the login, never values of
/// rows (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
const OPEN_CLASSES: [&str; 6] = ["08", "28", "3D", "42", "53", "57"];

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
    let address = address.to_owned();
    match error {
        // The TLS library's errors arrive as input and output errors.
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            Error::Tls { address, reason: error.to_string() }
        }
        sqlx::Error::Io(source) => Error::Connect { address, source },
        sqlx::Error::Tls(error) => Error::Tls { address, reason: error.to_string() },
        sqlx::Error::Protocol(what) if what.starts_with(CLOSED_BEFORE_TLS) => {
            Error::ConnectionLost { reason: format!("{address} closed it before any answer") }
        }
        other => {
            let asked = Asked { address: &address, timeout: Duration::ZERO, model: None };
            of_query(other, asked)
        }
    }
}

/// An error of a connection that was made.
pub(super) fn of_query(error: sqlx::Error, asked: Asked<'_>) -> Error {
    match error {
        sqlx::Error::Database(error) => of_server(error.downcast_ref::<PgDatabaseError>(), asked),
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Error::ConnectionLost { reason: "the server closed it".to_owned() }
        }
        sqlx::Error::Io(error) => Error::ConnectionLost { reason: error.to_string() },
        sqlx::Error::Tls(error) => Error::ConnectionLost { reason: error.to_string() },
        sqlx::Error::Protocol(what) => Error::Malformed { what },
        other => Error::Malformed { what: kind_of(&other) },
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
    let fault = fault(error, asked.model);
    match (&code[..code.len().min(2)], code) {
        ("28", _) => Error::Login { address: asked.address.to_owned(), fault },
        (_, "3D000") => Error::UnknownDatabase { fault },
        (_, "42P01" | "3F000") => Error::UnknownTable { fault },
        (_, "42703") => Error::UnknownColumn { fault },
        (_, "42601") => Error::Syntax { fault },
        (_, "42501") => Error::Permission { fault },
        (_, "57014") => Error::StatementTimeout { timeout_ms: asked.timeout.as_millis() as u64 },
        ("08", _) => Error::ConnectionLost { reason: fault.to_string() },
        ("53" | "57", _) => Error::Refused { fault },
        _ => Error::Query { fault },
    }
}

fn fault(error: &PgDatabaseError, model: Option<(&str, usize)>) -> Fault {
    let code = error.code();
    let is_open = OPEN_CLASSES.iter().any(|class| code.starts_with(class));
    let names = [("table", error.table()), ("column", error.column()), ("constraint", error.constraint())];
    Fault {
        code: code.to_owned(),
        message: is_open.then(|| error.message().to_owned()),
        position: match (error.position(), model) {
            (Some(PgErrorPosition::Original(at)), Some((sql, before))) => position(sql, at, before),
            _ => None,
        },
        names: names.into_iter().filter_map(|(what, name)| Some((what, name?.to_owned()))).collect(),
    }
}

/// The place in `sql` of character number `at`, from 1, of a text that has `before` characters
/// before `sql`.
fn position(sql: &str, at: usize, before: usize) -> Option<Position> {
    let at = at.checked_sub(before + 1)?;
    if at > sql.chars().count() {
        return None;
    }
    let line = sql.chars().take(at).filter(|&character| character == '\n').count() + 1;
    let column =
        sql.chars().take(at).collect::<Vec<_>>().iter().rev().take_while(|&&c| c != '\n').count() + 1;
    Some(Position { line, column })
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
            let found = position(sql, at, 5).map(|position| (position.line, position.column));
            assert_eq!(found, expected, "{at}");
        }
    }
}
