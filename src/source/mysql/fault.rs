//! What is kept of an error: its number, and its message where it cannot hold a row's value.

use std::{io, time::Duration};

use sqlx::mysql::MySqlDatabaseError;

use crate::{
    source::error::{
        Error, cannot_connect, cause, connection_lost, database_words, malformed, of_database,
        other_protocol, statement_timeout,
    },
    support::result_code::{Meaning, Phase, ResultCode},
};

/// Errors of a statement that took too long.
const TIMEOUTS: [u16; 2] = [1969, 3024];

/// What was attempt when an error came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) address: &'a str,
    /// The user's name: of a URL, messages show host, port and database alone.
    pub(super) user: &'a str,
    pub(super) phase: Phase,
    pub(super) timeout: Duration,
}

/// The number of an error of the server.
pub(super) fn number(error: &sqlx::Error) -> Option<u16> {
    let error = error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>()?;
    Some(error.number())
}

/// The error by its number.
pub(super) fn of(error: &sqlx::Error, attempt: Attempt<'_>) -> Error {
    let address = attempt.address;
    match error {
        sqlx::Error::Database(_) => {}
        sqlx::Error::Io(error) if attempt.phase == Phase::Login => {
            return match error.kind() {
                io::ErrorKind::InvalidData => other_protocol(address, error),
                io::ErrorKind::UnexpectedEof => Error::new(
                    cause::UNREACHABLE,
                    format!("{address} closed the connection before the login"),
                )
                .with_hint("check the source's host and port; the server's log may say why"),
                _ => cannot_connect(error, address),
            };
        }
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return connection_lost("the server closed it; its log says why");
        }
        sqlx::Error::Io(error) => return connection_lost(error),
        sqlx::Error::Tls(error) => {
            return Error::new(cause::TLS_REFUSED, format!("{address}: no TLS connection was made: {error}"))
                .with_hint("set ssl-ca to the server's authority, or ssl-mode, in the URL");
        }
        _ if attempt.phase == Phase::Login => {
            return other_protocol(
                address,
                "its answer is not that of MySQL, or wants a login other than by password",
            );
        }
        _ => return malformed("the server sent an invalid message"),
    }
    let (Some(database), Some(number)) = (error.as_database_error(), number(error)) else {
        return malformed("the server sent an error that cannot be read");
    };
    if TIMEOUTS.contains(&number) {
        return statement_timeout(attempt.timeout);
    }
    let found = ResultCode::of_mysql(number);
    // A stored function can raise any number with any message (SIGNAL), and the answer does not say so.
    let is_shown = attempt.phase != Phase::Reading && found.shows_words(attempt.phase);
    let message = is_shown.then(|| database.message().replace(&format!("'{}'@", attempt.user), "'...'@"));
    let words = database_words(&number.to_string(), found.name, message.as_deref());
    match (found.meaning.within(attempt.phase), attempt.phase) {
        (Meaning::LoginRefused, _) => {
            Error::new(cause::LOGIN_REFUSED, format!("{address} refused the login: {words}"))
                .with_hint("check user, host and database in the URL, and the user's grants")
        }
        (Meaning::WrongPassword, _) => {
            of_database(Meaning::WrongPassword, format!("{address} refused the login: {words}"))
        }
        (Meaning::PermissionDenied, _) => {
            of_database(Meaning::PermissionDenied, words).with_hint("grant SELECT on it to the source's user")
        }
        (Meaning::FileFailed, _) => of_database(Meaning::Other, words),
        (Meaning::SessionTimeout, _) => {
            Error::new(cause::SESSION_TIMEOUT, words).with_hint("raise that timeout at the server")
        }
        (meaning, _) => of_database(meaning, words),
    }
}
