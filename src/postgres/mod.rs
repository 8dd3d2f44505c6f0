//! Connections to Postgres servers, for sources and for metadata: one reader of URLs and one way to connect.
//!
//! sqlx speaks the protocol, but it gives no access to its sockets and to the verification of certificates.
//! Therefore `dial` makes the connection to the server, with keepalives and TLS as libpq has them, and sqlx
//! talks to it through a local socket of this process (`support::relay`).

mod certificate;
mod connection;
mod dial;
mod ending;
mod error;
mod parameters;
mod refused;
#[cfg(test)]
mod tests;
mod tls;
mod url;

pub(crate) use connection::Connection;
pub(crate) use ending::{Ending, Fatal};
pub(crate) use error::Error;
pub use parameters::Parameters;
pub use url::Fault;

/// Whether the words of an error with SQLSTATE 08P01 are `PgBouncer`'s refusal of transactions, which statement
/// pooling does not have.
pub(crate) fn is_statement_pooling(message: &str) -> bool {
    message.contains("statement pooling")
}
