//! Why there is no connection to a server.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// What replaces the user's name in the server's words: of a URL, messages show host, port and database alone.
pub(super) const HIDDEN: &str = "...";

/// Why there is no connection to a server. Holds no part of the URL but host, port and the paths of certificates.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// DNS does not know the host, or does not answer.
    #[error("cannot find the host `{host}`: {source}")]
    HostUnknown { host: String, source: io::Error },
    /// No connection of TCP, or to the socket.
    #[error("cannot connect to {address}: {reason}")]
    Unreachable { address: String, reason: String },
    /// A step took too long.
    #[error("{address} did not answer within {} ms ({step})", timeout.as_millis())]
    Timeout {
        address: String,
        step: &'static str,
        /// The limit of the whole connection.
        timeout: Duration,
    },
    /// The server, or something before it, closed the connection before it was ready.
    #[error("{address} closed the connection before any answer ({step})")]
    Closed { address: String, step: &'static str },
    /// The answer is not that of a Postgres server.
    #[error("wrong protocol on the port: the server at {address} speaks {}", spoken.unwrap_or("another protocol than that of Postgres"))]
    OtherProtocol {
        address: String,
        /// `None` when it is not known.
        spoken: Option<&'static str>,
    },
    /// The server has no TLS and the URL demands it.
    #[error("{0} does not offer TLS, which the URL's sslmode demands")]
    NoTls(String),
    /// The handshake failed.
    #[error("no TLS connection to {address}: {reason}")]
    Tls { address: String, reason: String, hint: &'static str },
    /// A file of certificates cannot be used.
    #[error("{parameter} in the URL names {}: {reason}", path.display())]
    File { parameter: &'static str, path: PathBuf, reason: String },
    /// No authorities are installed on this machine.
    #[error("this machine has no public authorities to verify the server's certificate with")]
    NoAuthorities,
    /// The server refused the login, or its answers cannot be read.
    #[error("the login at {address} failed")]
    Login {
        address: String,
        /// The server's answer, or sqlx's fault.
        source: Box<sqlx::Error>,
        /// The server's words, without the user's name and other parts of the URL.
        words: Option<String>,
    },
}

impl Error {
    pub(super) fn file(parameter: &'static str, path: &Path, reason: String) -> Self {
        Self::File { parameter, path: path.to_owned(), reason }
    }

    /// A fault of the handshake's configuration.
    pub(super) fn tls_setup(reason: &dyn std::fmt::Display) -> Self {
        Self::Tls {
            address: "the server".to_owned(),
            reason: reason.to_string(),
            hint: "check sslmode in the URL",
        }
    }

    /// Whether a connection with or without TLS, where this one had the other, may succeed.
    pub(super) fn depends_on_tls(&self) -> bool {
        /// SQLSTATE of a login that `pg_hba.conf` does not allow.
        const NOT_ALLOWED: &str = "28000";
        match self {
            Self::Tls { .. } => true,
            Self::Login { source, .. } => {
                source.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref()
                    == Some(NOT_ALLOWED)
            }
            _ => false,
        }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::HostUnknown { .. } => "check the name in the URL, and this machine's DNS",
            Self::Unreachable { .. } => "check that the server runs, host and port, and firewalls",
            Self::Timeout { .. } => {
                "check host, port and firewalls; a port that accepts a connection and sends nothing may be another service's"
            }
            Self::Closed { .. } => {
                "check that a server is behind the proxy or load balancer, and its log, and that the port is that of a \
                 Postgres server"
            }
            Self::OtherProtocol { spoken: Some("TLS"), .. } => {
                "check host and port; a port that speaks TLS from the first byte needs sslnegotiation=direct and an sslmode \
                 from require on"
            }
            Self::OtherProtocol { .. } => "check host and port",
            Self::NoTls(_) => {
                "enable TLS on the server, or write a weaker sslmode (prefer, disable) into the URL"
            }
            Self::Tls { hint, .. } => hint,
            Self::File { .. } => {
                "correct the path or the file; relative paths are from the configuration file"
            }
            Self::NoAuthorities => {
                "install ca-certificates, set SSL_CERT_FILE, or name the server's authority with sslrootcert=FILE"
            }
            Self::Login { .. } => "check user and password in the URL, and pg_hba.conf",
        }
    }
}
