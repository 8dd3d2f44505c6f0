//! What went wrong, in Larder's words. A server's own words about a path are not shown: they may be of any kind.

use russh_sftp::{client::error::Error as SftpError, protocol::StatusCode};

use crate::source::error::{Error, cannot_connect, cause, connection_lost};

/// The error of a connection that did not come about. `refused` is the fingerprint of a key that is not accepted.
pub(super) fn of_connecting(error: &russh::Error, address: &str, refused: Option<&String>) -> Error {
    if let Some(fingerprint) = refused {
        let message = format!("{address} has the key {fingerprint}, which sftp.host_key does not name");
        return Error::new(cause::TLS_REFUSED, message)
            .with_hint("ask its operator whether this is the server's key, and name it only then");
    }
    match error {
        russh::Error::IO(error) => cannot_connect(error, address),
        russh::Error::NoCommonAlgo { .. } | russh::Error::Version => {
            Error::new(cause::TLS_REFUSED, format!("{address} and Larder have no way to talk: {error}"))
                .with_hint("check that an SSH server of our time is at this port")
        }
        error => connection_lost(format_args!("{address} ended the session: {error}")),
    }
}

pub(super) fn login_refused(address: &str) -> Error {
    Error::new(cause::WRONG_PASSWORD, format!("{address} refuses the login"))
        .with_hint("check the user in the source's url, and sftp.password or sftp.key_file")
}

/// The error of a session without a file.
pub(super) fn of_session(error: &SftpError, address: &str) -> Error {
    match error {
        SftpError::Status(_) | SftpError::UnexpectedPacket => {
            Error::new(cause::LOGIN_REFUSED, format!("{address} does not let this user transfer files"))
                .with_hint("allow the subsystem sftp to the source's user")
        }
        error => connection_lost(format_args!("{address} did not begin a file transfer: {}", words(error))),
    }
}

/// The error of a request about `path`.
pub(super) fn of_path(error: &SftpError, path: &str) -> Error {
    let SftpError::Status(status) = error else {
        return connection_lost(format_args!("no answer about {path}: {}", words(error)));
    };
    match status.status_code {
        StatusCode::NoSuchFile => {
            Error::new(cause::FILE_MISSING, format!("there is no {path} on the server"))
                .with_hint("check the path of the source's url and the model's `table`")
        }
        StatusCode::PermissionDenied => {
            Error::new(cause::FILE_UNREADABLE, format!("the server does not let this user read {path}"))
                .with_hint("let the source's user read it")
        }
        code => Error::new(cause::FILE_FAILED, format!("the server could not read {path}: {code}")),
    }
}

fn words(error: &SftpError) -> &'static str {
    match error {
        SftpError::Timeout => "it took too long",
        SftpError::Limited(_) => "a limit of the server was reached",
        SftpError::UnexpectedPacket => "the answer was of another kind",
        SftpError::IO(_) | SftpError::UnexpectedBehavior(_) | SftpError::Status(_) => "the connection ended",
    }
}
