//! Postgres: the query runs as one binary copy inside a read-only snapshot.
//!
//! sqlx is the transport. Only the simple protocol is used, so that a connection pooler between
//! needs to know nothing of prepared statements.

mod connect;
mod copy;
mod decode;
mod fault;
mod numeric;
mod plan;
mod settings;
mod types;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt as _;
use sqlx::{AssertSqlSafe, Connection as _, Row as _, postgres::PgConnection, raw_sql};

use self::{connect::Connector, copy::CopyReader, fault::Asked, plan::Plan};
use super::{
    Query, check_unchanged,
    driver::{Driver, SourceType},
    error::Error,
    rows::RowSender,
    sql::Dialect,
};
use crate::{domain::row::Column, support::result_code::Phase};

pub(super) const TYPE: SourceType = SourceType { name: "postgres", causes: &[], open: settings::open };

const DIALECT: Dialect = Dialect {
    identifier_quote: '"',
    table_parts_max: 2,
    has_escape_strings: true,
    has_dollar_quotes: true,
    nests_comments: true,
    has_other_quotes: false,
};

/// The server ends a query at its timeout; a network that swallows everything is waited for this
/// much longer.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// A farewell is a courtesy; longer than this it does not take.
const FAREWELL_MAX: Duration = Duration::from_secs(1);
/// How often a server (Postgres 14 and later) looks whether a query still has a client. Some systems cannot
/// do it; a query that outlives its client then ends at its timeout.
const CLIENT_CHECK: &str =
    "savepoint larder; set local client_connection_check_interval = '2s'; release savepoint larder";
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
    connector: Connector,
    /// The server ends a query at it.
    statement_timeout: Duration,
}

#[async_trait]
impl Driver for Postgres {
    fn check_query(&self, query: &Query) -> Result<(), Error> {
        DIALECT.check_query(query)
    }

    async fn check(&self) -> Result<(), Error> {
        let mut connection = self.connector.connect().await?;
        run(&mut connection, "select 1".to_owned(), self.asked(Phase::OwnStatement, None)).await?;
        farewell(connection, "").await;
        Ok(())
    }

    async fn describe(&self, query: &Query) -> Result<Vec<Column>, Error> {
        let sql = DIALECT.statement(query)?;
        let mut connection = self.begin().await?;
        let plan = Plan::make(&mut connection, &sql, self.asked(Phase::Planning, model(query, &sql))).await?;
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
        let mut connection = self.begin().await?;
        let plan = Plan::make(&mut connection, &sql, self.asked(Phase::Planning, model(query, &sql))).await?;
        check_unchanged(columns, &plan.columns)?;

        let copy = plan.copy(&sql, limit);
        let mut reader = CopyReader::new(plan.readers);
        let asked = self.asked(Phase::Reading, None);
        let failed = |error| fault::of_query(error, asked);
        let mut messages = connection.copy_out_raw(&copy).await.map_err(failed)?;
        while let Some(message) = messages.next().await {
            reader.read(&message.map_err(failed)?, &mut rows.batch)?;
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
}

impl Postgres {
    /// A connection inside a read-only snapshot.
    async fn begin(&self) -> Result<PgConnection, Error> {
        let mut connection = self.connector.connect().await?;
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
             select pg_catalog.current_setting('server_encoding')"
        );
        let asked = self.asked(Phase::OwnStatement, None);
        let failed = |error| fault::of_query(error, asked);
        let rows = raw_sql(AssertSqlSafe(begin)).fetch_all(&mut connection).await.map_err(failed)?;
        if connection.server_version_num().is_some_and(|version| version >= 140_000)
            && raw_sql(CLIENT_CHECK).execute(&mut connection).await.is_err()
        {
            let undo = "rollback to savepoint larder; release savepoint larder".to_owned();
            run(&mut connection, undo, self.asked(Phase::OwnStatement, None)).await?;
        }
        let encoding = rows.last().and_then(|row| row.try_get::<String, _>(0).ok());
        if encoding.is_some_and(|encoding| encoding == "SQL_ASCII") {
            // Such a database does not know what its text is. Left alone it would check that all
            // of it is UTF-8 and end the whole query; here one cell is refused.
            let encoding = "set local client_encoding = 'SQL_ASCII'".to_owned();
            run(&mut connection, encoding, self.asked(Phase::OwnStatement, None)).await?;
        }
        Ok(connection)
    }

    /// What an error of the statement that is sent now is told by.
    fn asked<'a>(&'a self, phase: Phase, model: Option<(&'a str, usize)>) -> Asked<'a> {
        let (address, timeout) = (self.connector.address(), self.statement_timeout);
        Asked { address, phase, since: Instant::now(), timeout, model }
    }
}

/// The model's text, when it is the user's own.
fn model<'a>(query: &Query, sql: &'a str) -> Option<(&'a str, usize)> {
    matches!(query, Query::Sql(_)).then_some((sql, 0))
}

async fn run(connection: &mut PgConnection, sql: String, asked: Asked<'_>) -> Result<(), Error> {
    let done = raw_sql(AssertSqlSafe(sql)).execute(connection).await;
    done.map(|_| ()).map_err(|error| fault::of_query(error, asked))
}

/// Leaves nothing behind and closes; all has been read, so nothing can go wrong that matters.
async fn farewell(mut connection: PgConnection, last: &'static str) {
    let _ = tokio::time::timeout(FAREWELL_MAX, async {
        let _ = raw_sql(last).execute(&mut connection).await;
        let _ = connection.close().await;
    })
    .await;
}
