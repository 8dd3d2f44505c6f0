//! What errors of SQL Server mean, by their numbers (`sys.messages`), and when its words may be shown.

use std::io;

use tiberius::error::Error as Driver;

use super::SNAPSHOT_OFF;
use crate::{
    source::error::{
        Error, cannot_connect, cause, connection_lost, database_words, malformed, of_database, other_protocol,
    },
    support::result_code::{Meaning, Phase},
};

/// What numbers mean; all others are a fault of the statement while it is planned, and of its data later.
const NUMBERS: &[(Meaning, &[u32])] = &[
    (Meaning::UnknownTable, &[208]),
    (Meaning::UnknownColumn, &[207, 4104]),
    (Meaning::Syntax, &[102, 103, 105, 156, 170, 319]),
    (Meaning::WrongPassword, &[18456]),
    (Meaning::LoginRefused, &[18452, 18470, 18486, 18487, 18488, 40532, 40615, 47073]),
    (Meaning::UnknownDatabase, &[911, 4060, 4064]),
    (Meaning::PermissionDenied, &[229, 230, 262, 297, 300, 916]),
    (Meaning::Conflict, &[1205, 3960, 3961]),
    (Meaning::Locked, &[1222]),
    (Meaning::Cancelled, &[596, 3617]),
    (
        Meaning::Unavailable,
        &[
            701, 802, 1105, 8645, 8651, 9002, 10928, 10929, 17142, 17809, 18401, 18451, 40197, 40501, 40540,
            40613, 49918, 49919, 49920,
        ],
    ),
    (Meaning::ConnectionLost, &[6005]),
    (Meaning::ReadOnly, &[3906]),
    (Meaning::Damaged, &[605, 823, 824, 825, 5242, 5243]),
    (Meaning::Data, &[220, 232, 241, 242, 244, 245, 248, 295, 8114, 8115, 8134, 8152, 13609]),
];
/// The database does not allow snapshots.
const SNAPSHOT_REFUSED: u32 = 3952;

/// Whether a server has answered what the driver cannot read, or closed, as servers of other protocols do.
fn is_of_other_protocol(error: &Driver) -> bool {
    match error {
        Driver::Io { kind: io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset, .. }
        | Driver::Utf8
        | Driver::Utf16 => true,
        // It closed within what it said.
        Driver::Io { message, .. } => message.contains("bytes remaining on stream"),
        Driver::Protocol(words) => !words.contains("encryption level"),
        _ => false,
    }
}

/// The error of a call that `address` answered, or did not.
pub(super) fn of(error: &Driver, phase: Phase, address: &str) -> Error {
    let error = match error {
        Driver::Server(error) => error,
        error if phase == Phase::Login && is_of_other_protocol(error) => {
            return other_protocol(
                address,
                "it does not answer as SQL Server does, or wants `encryption` otherwise",
            );
        }
        Driver::Io { kind, message } if phase == Phase::Login => {
            return cannot_connect(&io::Error::new(*kind, message.clone()), address);
        }
        Driver::Io { kind: io::ErrorKind::UnexpectedEof, .. } => {
            return connection_lost("the server closed it; its log says why");
        }
        Driver::Io { message, .. } => return connection_lost(message),
        Driver::Tls(message) => {
            return Error::new(cause::TLS_REFUSED, format!("{address}: no TLS connection was made: {message}"))
                .with_hint(
                    "trust the server's authority with `ca_file`, or name its certificate with `certificate_name`",
                );
        }
        // The server and the driver agree on no encryption, or speak of other things.
        _ if phase == Phase::Login => {
            return Error::new(cause::TLS_REFUSED, format!("{address}: the login did not begin: {error}"))
                .with_hint("check `encryption` of the source, and that the port is that of SQL Server");
        }
        // Their words may hold a value.
        _ => return malformed("the server sent what the driver cannot read"),
    };
    let number = error.code();
    let known = NUMBERS.iter().find(|(_, numbers)| numbers.contains(&number)).map(|(meaning, _)| *meaning);
    let meaning = known.unwrap_or(if phase == Phase::Reading { Meaning::Other } else { Meaning::Statement });
    // Messages of data quote values.
    let message = (phase != Phase::Reading).then_some(error.message());
    let words = database_words(&number.to_string(), "", message);
    match meaning {
        _ if number == SNAPSHOT_REFUSED => Error::new(SNAPSHOT_OFF, words).with_hint(
            "alter database ... set allow_snapshot_isolation on, for every database that the model reads",
        ),
        Meaning::WrongPassword => of_database(meaning, format!("{address} refused the login: {words}"))
            .with_hint("check the source's `user` and `password`, or `token`"),
        Meaning::LoginRefused => of_database(meaning, format!("{address} refused the login: {words}"))
            .with_hint("check the source's credentials and `database`, and the server's firewall rules"),
        Meaning::UnknownDatabase => of_database(meaning, words).with_hint("check the source's `database`"),
        Meaning::PermissionDenied => {
            of_database(meaning, words).with_hint("grant SELECT on it to the source's user")
        }
        Meaning::Conflict => of_database(meaning, words).with_hint("the run will be tried again"),
        meaning => of_database(meaning, words),
    }
}
