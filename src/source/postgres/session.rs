//! A session inside a read-only snapshot, whose settings the values depend on.

use std::{sync::atomic::Ordering, time::Duration};

use sqlx::{AssertSqlSafe, Row as _, raw_sql};

use super::{
    Postgres,
    fault::{self, is_unknown_statement},
    run,
    silence::Backend,
};
use crate::{postgres::Connection, source::error::Error, support::result_code::Phase};

/// Longest wait for a transaction. A pooler without a free connection makes clients wait.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(55);
/// Where the server can (Postgres 14 and later, on Linux), it looks every two seconds whether a query still has a
/// client.
const CLIENT_CHECK: &str = "(select pg_catalog.set_config(name, '2s', true) from pg_catalog.pg_settings \
     where name = 'client_connection_check_interval' and pg_catalog.version() like '%linux%')";
/// Settings that change how a value is printed, or what a query yields, with the value that each has while a
/// model is read: the database's and the role's own count for nothing.
const SETTINGS: [(&str, &str); 16] = [
    ("array_nulls", "on"),
    ("bytea_output", "hex"),
    ("datestyle", "ISO, MDY"),
    // Floats inside arrays and composites keep all their digits.
    ("extra_float_digits", "3"),
    ("gin_fuzzy_search_limit", "0"),
    ("intervalstyle", "postgres"),
    ("lc_monetary", "C"),
    ("lc_numeric", "C"),
    ("lc_time", "C"),
    ("quote_all_identifiers", "off"),
    ("standard_conforming_strings", "on"),
    ("timezone", "UTC"),
    ("timezone_abbreviations", "Default"),
    ("transform_null_equals", "off"),
    ("xmlbinary", "base64"),
    ("xmloption", "content"),
];
/// The same for servers that set up no session as Postgres does, one at a time: each may lack some of them. They are set
/// for the session, because a refused setting would abort a transaction.
const PLAIN_SETTINGS: [&str; 7] = [
    "set client_encoding = 'UTF8'",
    "set timezone = 'UTC'",
    "set datestyle = 'ISO, MDY'",
    "set intervalstyle = 'postgres'",
    "set bytea_output = 'hex'",
    "set extra_float_digits = 3",
    "set standard_conforming_strings = on",
];
/// Begins the snapshot.
const BEGIN: &str = "begin isolation level repeatable read read only";

impl Postgres {
    /// A connection inside a read-only snapshot.
    pub(super) async fn begin(&self) -> Result<(Connection, Backend), Error> {
        if self.is_plain.load(Ordering::Relaxed) {
            return self.begin_plain().await;
        }
        let mut connection = self.connect().await?;
        // Zero would mean no timeout; the server counts in 32 bits.
        let timeout_ms = self.statement_timeout.as_millis().clamp(1, i32::MAX as u128);
        let settings = SETTINGS.map(|(name, value)| format!("('{name}', '{value}')")).join(", ");
        // Everything is set for the transaction only: a pooler gives the session to others. A server may lack
        // a setting.
        let begin = format!(
            "{BEGIN}; set local statement_timeout = {timeout_ms}; \
             set local client_min_messages = error; \
             select pg_catalog.set_config(known.name, pinned.value, true) \
             from (values {settings}) as pinned (name, value) \
             join pg_catalog.pg_settings as known on pg_catalog.lower(known.name) = pinned.name; \
             select pg_catalog.current_setting('server_encoding'), pg_catalog.pg_backend_pid()::pg_catalog.text, \
             pg_catalog.pg_postmaster_start_time()::pg_catalog.text, {CLIENT_CHECK}"
        );
        let statement = self.statement(Phase::OwnStatement, None);
        let failed = |error| fault::of_query(error, statement);
        let rows = raw_sql(AssertSqlSafe(begin)).fetch_all(&mut *connection);
        let rows = tokio::time::timeout(BEGIN_TIMEOUT, rows).await;
        let rows = match rows.map_err(|_| self.unanswered(BEGIN_TIMEOUT))? {
            Err(error) if is_unknown_statement(&error) => {
                drop(connection);
                let begun = self.begin_plain().await?;
                self.is_plain.store(true, Ordering::Relaxed);
                return Ok(begun);
            }
            rows => rows.map_err(failed)?,
        };
        let text =
            |at: usize| rows.last().and_then(|row| row.try_get::<String, _>(at).ok()).unwrap_or_default();
        let backend = Backend {
            link: connection.link(),
            ending: connection.ending(),
            process: Some((text(1), text(2))),
        };
        if text(0) == "SQL_ASCII" {
            // Such a database does not know what its text is. Left alone it would check that all
            // of it is UTF-8 and end the whole query; here one cell is refused.
            let encoding = "set local client_encoding = 'SQL_ASCII'".to_owned();
            run(&mut connection, encoding, self.statement(Phase::OwnStatement, None)).await?;
        }
        Ok((connection, backend))
    }

    async fn connect(&self) -> Result<Connection, Error> {
        let connected = self.parameters.connect(self.connect_timeout).await;
        connected.map_err(|error| fault::of_connecting(&error, self.statement(Phase::Login, None)))
    }

    /// A session of a server that speaks the protocol of Postgres and has another catalog.
    async fn begin_plain(&self) -> Result<(Connection, Backend), Error> {
        let mut connection = self.connect().await?;
        let timeout_ms = self.statement_timeout.as_millis().clamp(1, i32::MAX as u128);
        let timeout = format!("set statement_timeout = {timeout_ms}");
        for setting in PLAIN_SETTINGS.into_iter().map(str::to_owned).chain([timeout]) {
            match raw_sql(AssertSqlSafe(setting)).execute(&mut *connection).await {
                Err(error) if error.as_database_error().is_none() => {
                    return Err(fault::of_query(error, self.statement(Phase::OwnStatement, None)));
                }
                _ => {}
            }
        }
        run(&mut connection, BEGIN.to_owned(), self.statement(Phase::OwnStatement, None)).await?;
        let backend = Backend { link: connection.link(), ending: connection.ending(), process: None };
        Ok((connection, backend))
    }
}
