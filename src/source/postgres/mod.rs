//! Postgres: the query runs as one binary copy inside a read-only snapshot.
//!
//! sqlx is the transport. Only the simple protocol is used, so that a connection pooler between
//! needs to know nothing of prepared statements.

mod copy;
mod decode;
mod fault;
mod numeric;
mod plan;
mod settings;
mod silence;
mod types;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt as _;
use sqlx::{AssertSqlSafe, Row as _, postgres::PgConnection, raw_sql};

use self::{copy::CopyReader, fault::Statement, plan::Plan, silence::Backend};
use super::{
    Query, check_unchanged,
    driver::{Driver, SourceType, Tables},
    error::{Error, connection_lost},
    rows::RowSender,
    sql::{Dialect, Times},
};
use crate::{
    domain::Column,
    postgres::{Connection, Parameters},
    support::result_code::Phase,
};

pub(super) const TYPE: SourceType = SourceType { name: "postgres", causes: &[], open: settings::open };

/// The tables that the user may read, as a model names them.
const TABLES: &str = "select n.nspname || '.' || c.relname as name from pg_catalog.pg_class c \
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'm', 'f') \
     and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' \
     and pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_table_privilege(c.oid, 'select') order by 1";

const DIALECT: Dialect = Dialect {
    identifier_quote: '"',
    table_parts_max: 2,
    has_escape_strings: true,
    has_backslash_escapes: false,
    line_comments: &["--"],
    has_triple_quotes: false,
    has_dollar_quotes: true,
    nests_comments: true,
    has_other_quotes: false,
    times: Times::Text,
};

/// The server ends a query at its timeout; a network that swallows everything is waited for this
/// much longer.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Longest wait for a transaction. A pooler without a free connection makes clients wait.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(55);
/// Longest wait when a connection is closed. The server notices its end without that too.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
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

/// A Postgres server.
#[derive(Debug)]
struct Postgres {
    parameters: Parameters,
    /// What messages call the server.
    address: String,
    connect_timeout: Duration,
    /// The server ends a query at it.
    statement_timeout: Duration,
}

#[async_trait]
impl Driver for Postgres {
    fn check_query(&self, query: &Query) -> Result<(), Error> {
        DIALECT.check_query(query)
    }

    async fn check(&self) -> Result<(), Error> {
        // With a transaction: a pooler may be there that has none.
        let (connection, _) = self.begin().await?;
        farewell(connection, "rollback").await;
        Ok(())
    }

    fn version_sql(&self) -> Option<&'static str> {
        Some("select pg_catalog.version()")
    }

    async fn tables(&self) -> Result<Tables, Error> {
        Ok(Tables::Sql(TABLES))
    }

    async fn describe(&self, query: &Query) -> Result<Vec<Column>, Error> {
        let sql = DIALECT.statement(query)?;
        let (mut connection, backend) = self.begin().await?;
        let plan = Plan::make(&mut connection, &sql, self.statement(Phase::Planning, model(query, &sql)));
        let plan = self.while_alive(&backend, plan).await?;
        farewell(connection, plan::FORGET).await;
        Ok(plan.columns)
    }

    async fn stream(
        &self,
        query: &Query,
        columns: &[Column],
        limit: Option<u64>,
        rows: &mut RowSender,
    ) -> Result<(), Error> {
        let sql = DIALECT.statement(query)?;
        let (mut connection, backend) = self.begin().await?;
        let plan = Plan::make(&mut connection, &sql, self.statement(Phase::Planning, model(query, &sql)));
        let plan = self.while_alive(&backend, plan).await?;
        check_unchanged(columns, &plan.columns)?;

        let copy = plan.copy(&sql, limit);
        let mut reader = CopyReader::new(plan.readers);
        let statement = self.statement(Phase::Reading, None);
        let failed = |error| fault::of_query(error, statement);
        let messages = async { connection.copy_out_raw(&copy).await.map_err(failed) };
        let mut messages = self.while_alive(&backend, messages).await?;
        let mut next = async || messages.next().await.transpose().map_err(failed);
        while let Some(message) = self.while_alive(&backend, next()).await? {
            reader.read(&message, &mut rows.batch)?;
            if rows.is_full() && rows.send().await.is_err() {
                return Ok(());
            }
        }
        reader.finish()?;
        drop(messages);
        farewell(connection, plan::FORGET).await;
        Ok(())
    }

    fn grace(&self) -> Duration {
        SILENCE_MAX
    }

    /// The server would have said that it cancelled the query.
    fn overdue(&self, timeout: Duration) -> Error {
        self.unanswered(timeout.saturating_add(SILENCE_MAX))
    }
}

impl Postgres {
    /// A connection inside a read-only snapshot.
    async fn begin(&self) -> Result<(Connection, Backend), Error> {
        let connected = self.parameters.connect(self.connect_timeout).await;
        let mut connection =
            connected.map_err(|error| fault::of_connecting(&error, self.statement(Phase::Login, None)))?;
        // Zero would mean no timeout; the server counts in 32 bits.
        let timeout_ms = self.statement_timeout.as_millis().clamp(1, i32::MAX as u128);
        let settings = SETTINGS.map(|(name, value)| format!("('{name}', '{value}')")).join(", ");
        // Everything is set for the transaction only: a pooler gives the session to others. A server may lack
        // a setting.
        let begin = format!(
            "begin isolation level repeatable read read only; \
             set local statement_timeout = {timeout_ms}; \
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
        let rows = rows.map_err(|_| self.unanswered(BEGIN_TIMEOUT))?.map_err(failed)?;
        let text =
            |at: usize| rows.last().and_then(|row| row.try_get::<String, _>(at).ok()).unwrap_or_default();
        let backend =
            Backend { link: connection.link(), ending: connection.ending(), id: text(1), server: text(2) };
        if text(0) == "SQL_ASCII" {
            // Such a database does not know what its text is. Left alone it would check that all
            // of it is UTF-8 and end the whole query; here one cell is refused.
            let encoding = "set local client_encoding = 'SQL_ASCII'".to_owned();
            run(&mut connection, encoding, self.statement(Phase::OwnStatement, None)).await?;
        }
        Ok((connection, backend))
    }

    fn unanswered(&self, limit: Duration) -> Error {
        connection_lost(format_args!("{} did not answer within {} ms", self.address, limit.as_millis()))
    }

    /// What the error of a statement that is sent now needs.
    fn statement<'a>(&'a self, phase: Phase, model: Option<(&'a str, usize)>) -> Statement<'a> {
        let (address, timeout) = (self.address.as_str(), self.statement_timeout);
        Statement { address, phase, since: Instant::now(), timeout, model }
    }
}

/// The model's text, when it is the user's own.
fn model<'a>(query: &Query, sql: &'a str) -> Option<(&'a str, usize)> {
    matches!(query, Query::Sql(_)).then_some((sql, 0))
}

async fn run(connection: &mut PgConnection, sql: String, statement: Statement<'_>) -> Result<(), Error> {
    let done = raw_sql(AssertSqlSafe(sql)).execute(connection).await;
    done.map(|_| ()).map_err(|error| fault::of_query(error, statement))
}

/// Leaves nothing behind and closes; all has been read, so nothing can go wrong that matters.
async fn farewell(mut connection: Connection, last: &'static str) {
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, async {
        let _ = raw_sql(last).execute(&mut *connection).await;
        let _ = connection.close().await;
    })
    .await;
}
