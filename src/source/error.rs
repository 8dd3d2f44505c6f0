//! What may go wrong with a source, by cause, with what to do about it.

use std::{fmt, io, path::PathBuf};

use crate::domain::error::ErrorKind;

/// What a source could not do. No variant holds a row's value, a password or a URL.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configured URL cannot be used.
    #[error(
        "the URL of source `{source_name}` cannot be used: {reason}; \
         write postgres://user:password@host:port/database?sslmode=verify-full"
    )]
    Url {
        /// The source's name in the configuration.
        source_name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The host name has no address.
    #[error("cannot find the host `{host}`: {source}; check the name in the URL, and this machine's DNS")]
    Resolve {
        /// The host as configured.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No connection could be made.
    #[error(
        "cannot connect to {address}: {source}; check that the server runs, host and port, and firewalls"
    )]
    Connect {
        /// `host:port`, or the directory of a socket.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// No connection was made in time.
    #[error("no connection to {address} within {timeout_ms} ms; check host, port and firewalls")]
    ConnectTimeout {
        /// `host:port`, or the directory of a socket.
        address: String,
        /// The bound, in milliseconds.
        timeout_ms: u64,
    },
    /// TLS could not be agreed upon.
    #[error(
        "no TLS connection to {address}: {reason}; name a private authority's certificate with \
         ?sslrootcert=FILE, or write a weaker sslmode (require, prefer, disable) into the URL"
    )]
    Tls {
        /// `host:port`, or the directory of a socket.
        address: String,
        /// What the handshake said.
        reason: String,
    },
    /// The password is wrong, or the login is refused.
    #[error("{address} refused the login: {fault}; check user and password in the URL, and pg_hba.conf")]
    Login {
        /// `host:port`, or the directory of a socket.
        address: String,
        /// What the server said.
        fault: Fault,
    },
    /// The database does not exist.
    #[error("{fault}; check the database's name at the end of the URL")]
    UnknownDatabase {
        /// What the server said.
        fault: Fault,
    },
    /// The model names a table that does not exist.
    #[error("{fault}; check its name, schema and case (names written in capitals are kept as written)")]
    UnknownTable {
        /// What the server said.
        fault: Fault,
    },
    /// The model names a column that does not exist.
    #[error("{fault}; check its name and case in the model")]
    UnknownColumn {
        /// What the server said.
        fault: Fault,
    },
    /// The model's SQL cannot be read.
    #[error("{fault}; correct the model's SQL")]
    Syntax {
        /// What the server said.
        fault: Fault,
    },
    /// The login may not read what the model reads.
    #[error("{fault}; grant SELECT on it (and USAGE on its schema) to the source's user")]
    Permission {
        /// What the server said.
        fault: Fault,
    },
    /// The query took too long, or somebody cancelled it.
    #[error(
        "the query was cancelled; it took longer than its timeout of {timeout_ms} ms, or an \
         administrator cancelled it; make the query faster or raise the source's timeout"
    )]
    StatementTimeout {
        /// The bound, in milliseconds.
        timeout_ms: u64,
    },
    /// The connection ended in the middle.
    #[error("the connection was lost: {reason}; the run will be tried again")]
    ConnectionLost {
        /// What was seen.
        reason: String,
    },
    /// The server is there but has no room or does not want to.
    #[error("the server refuses to work now: {fault}")]
    Refused {
        /// What the server said.
        fault: Fault,
    },
    /// Any other error of the server.
    #[error("the query failed: {fault}")]
    Query {
        /// What the server said.
        fault: Fault,
    },
    /// The server sent what its protocol does not allow here.
    #[error("the answer of the source cannot be read: {what}; check that the source is what its `type` says")]
    Malformed {
        /// What was expected or found.
        what: String,
    },
    /// The model's SQL is empty, or only comments.
    #[error("the model's SQL is empty; write one select statement")]
    EmptyQuery,
    /// The model's SQL holds more than one statement.
    #[error("the model's SQL has a second statement in line {line}; write one select statement")]
    SeveralStatements {
        /// Where the second statement begins, from 1.
        line: usize,
    },
    /// The model's SQL, or a name in it, holds a NUL character.
    #[error("the model's SQL holds a NUL character; remove it")]
    NulCharacter,
    /// A table's or column's name cannot be a name.
    #[error("`{name}` cannot be the name of a table; write table or schema.table, without quotes")]
    TableName {
        /// The name as configured.
        name: String,
    },
    /// The model yields no column.
    #[error("the model yields no columns; it must be a select statement")]
    NoColumns,
    /// The model yields a column name twice.
    #[error("the model yields two columns named `{name}`; give one of them another name with AS")]
    DuplicateColumn {
        /// The name.
        name: String,
    },
    /// The columns are not those that the mapping was made for.
    #[error(
        "the model's columns have changed since they were last read: column `{column}` is now \
         {now}, not {then}; run the sync again"
    )]
    ColumnsChanged {
        /// The first column that differs, or that is missing or new.
        column: String,
        /// The type that it had, or `absent`.
        then: String,
        /// The type that it has, or `absent`.
        now: String,
    },
    /// The SQLite file does not exist.
    #[error("there is no file {}; check the source's path", path.display())]
    MissingFile {
        /// The file as configured.
        path: PathBuf,
    },
    /// The file is there but cannot be opened.
    #[error("cannot open {}; check that it is a file and that this user may read it and its directory", path.display())]
    UnreadableFile {
        /// The file as configured.
        path: PathBuf,
    },
    /// The file is not a SQLite database, or a damaged one.
    #[error("{} is not a SQLite database, or is damaged", path.display())]
    NotADatabase {
        /// The file as configured.
        path: PathBuf,
    },
    /// Another process keeps the file locked.
    #[error("{} is locked by another process, for longer than {timeout_ms} ms", path.display())]
    Locked {
        /// The file as configured.
        path: PathBuf,
        /// How long was waited, in milliseconds.
        timeout_ms: u64,
    },
}

/// What is kept of a database's error. Its detail never is: it holds values of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fault {
    /// SQLSTATE, or SQLite's extended result code.
    pub code: String,
    /// The message, where its class cannot hold a row's value.
    pub message: Option<String>,
    /// Where in the model's SQL, when known.
    pub position: Option<Position>,
    /// Table, column and constraint at fault, as far as the server names them.
    pub names: Vec<(&'static str, String)>,
}

/// A place in the model's SQL, counted from 1, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "{message} (code {})", self.code)?,
            None => write!(f, "the database answered with code {}", self.code)?,
        }
        for (what, name) in &self.names {
            write!(f, ", {what} `{name}`")?;
        }
        if let Some(Position { line, column }) = self.position {
            write!(f, " at line {line}, column {column}")?;
        }
        Ok(())
    }
}

impl Error {
    /// What it means to the caller.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Url { .. }
            | Self::UnknownDatabase { .. }
            | Self::UnknownTable { .. }
            | Self::UnknownColumn { .. }
            | Self::Syntax { .. }
            | Self::EmptyQuery
            | Self::SeveralStatements { .. }
            | Self::NulCharacter
            | Self::TableName { .. }
            | Self::NoColumns
            | Self::DuplicateColumn { .. }
            | Self::MissingFile { .. } => ErrorKind::Invalid,
            Self::Login { .. } => ErrorKind::Unauthenticated,
            Self::Permission { .. } | Self::UnreadableFile { .. } => ErrorKind::Forbidden,
            Self::ColumnsChanged { .. } => ErrorKind::Conflict,
            Self::Malformed { .. } | Self::NotADatabase { .. } => ErrorKind::Corrupt,
            // Classes 42 (rules), 0A (not supported) and 25 (a write in a read-only transaction)
            // blame the SQL; the rest may go away: a division by zero, a deadlock.
            Self::Query { fault } if ["42", "0A", "25"].iter().any(|class| fault.code.starts_with(class)) => {
                ErrorKind::Invalid
            }
            Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Tls { .. }
            | Self::StatementTimeout { .. }
            | Self::ConnectionLost { .. }
            | Self::Refused { .. }
            | Self::Query { .. }
            | Self::Locked { .. } => ErrorKind::Unavailable,
        }
    }

    /// The stable code, as it stands in metadata, in `larder runs` and in docs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Url { .. } => "source_url_invalid",
            Self::Resolve { .. } => "source_host_unknown",
            Self::Connect { .. } => "source_unreachable",
            Self::ConnectTimeout { .. } => "source_connect_timeout",
            Self::Tls { .. } => "source_tls_refused",
            Self::Login { fault, .. } if fault.code == "28P01" => "source_wrong_password",
            Self::Login { .. } => "source_login_refused",
            Self::UnknownDatabase { .. } => "source_unknown_database",
            Self::UnknownTable { .. } => "source_unknown_table",
            Self::UnknownColumn { .. } => "source_unknown_column",
            Self::Syntax { .. } => "source_syntax_error",
            Self::Permission { .. } => "source_permission_denied",
            Self::StatementTimeout { .. } => "source_statement_timeout",
            Self::ConnectionLost { .. } => "source_connection_lost",
            Self::Refused { .. } => "source_unavailable",
            Self::Query { .. } => "source_query_failed",
            Self::Malformed { .. } => "source_answer_malformed",
            Self::EmptyQuery => "source_query_empty",
            Self::SeveralStatements { .. } => "source_several_statements",
            Self::NulCharacter => "source_nul_character",
            Self::TableName { .. } => "source_table_name_invalid",
            Self::NoColumns => "source_no_columns",
            Self::DuplicateColumn { .. } => "source_duplicate_column",
            Self::ColumnsChanged { .. } => "columns_changed",
            Self::MissingFile { .. } => "source_file_missing",
            Self::UnreadableFile { .. } => "source_file_unreadable",
            Self::NotADatabase { .. } => "source_not_a_database",
            Self::Locked { .. } => "source_locked",
        }
    }
}
