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
mod types;

use std::time::Duration;

use futures::StreamExt as _;
use sqlx::{AssertSqlSafe, Connection as _, Row as _, postgres::PgConnection, raw_sql};
use tokio::sync::mpsc::Sender;

pub(super) use self::connect::Connector;
use self::{copy::CopyReader, fault::Asked, plan::Plan};
use super::{
    Error, Query, check_unchanged,
    sink::Sink,
    statement::{self, Dialect},
};
use crate::domain::row::{Column, RowBatch};

/// The server ends a query at its timeout; a network that swallows everything is waited for this
/// much longer.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// A farewell is a courtesy; longer than this it does not take.
const FAREWELL_MAX: Duration = Duration::from_secs(1);
/// How often a server (Postgres 14 and later) looks whether a query still has a client.
const CLIENT_CHECK: &str = "set client_connection_check_interval = '2s'";
/// Floats inside arrays and composites, which the server makes text of, keep all their digits
/// whatever the database's or the role's own setting is.
const EXACT_FLOATS: &str = "set local extra_float_digits = 3";

/// A Postgres server.
#[derive(Debug)]
pub(super) struct Postgres {
    pub(super) connector: Connector,
    /// Longest time of one query, from first to last row.
    pub(super) statement_timeout: Duration,
}

impl Postgres {
    pub(super) async fn check(&self) -> Result<(), Error> {
        self.bounded(async {
            let mut connection = self.connector.connect().await?;
            run(&mut connection, "select 1".to_owned(), self.asked(None)).await?;
            farewell(connection, "").await;
            Ok(())
        })
        .await
    }

    pub(super) async fn describe(&self, query: &Query) -> Result<Vec<Column>, Error> {
        let sql = statement::sql(query, Dialect::Postgres)?;
        self.bounded(async {
            let mut connection = self.begin().await?;
            let plan = Plan::make(&mut connection, &sql, self.asked(model(query, &sql))).await?;
            farewell(connection, plan::FORGET).await;
            Ok(plan.columns)
        })
        .await
    }

    pub(super) async fn stream(
        &self,
        query: &Query,
        rows: Sender<RowBatch>,
        columns: &[Column],
        limit: Option<u64>,
    ) -> Result<(), Error> {
        let receiver = rows.clone();
        tokio::select! {
            result = self.bounded(self.copy(query, rows, columns, limit)) => result,
            // Also while the server has not sent anything yet.
            () = receiver.closed() => Ok(()),
        }
    }

    async fn copy(
        &self,
        query: &Query,
        rows: Sender<RowBatch>,
        columns: &[Column],
        limit: Option<u64>,
    ) -> Result<(), Error> {
        let sql = statement::sql(query, Dialect::Postgres)?;
        let mut connection = self.begin().await?;
        let plan = Plan::make(&mut connection, &sql, self.asked(model(query, &sql))).await?;
        check_unchanged(columns, &plan.columns)?;

        let copy = plan.copy(&sql, limit);
        let mut sink = Sink::new(rows, plan.columns.len());
        let mut reader = CopyReader::new(plan.readers);
        let failed = |error| fault::of_query(error, self.asked(None));
        let mut messages = connection.copy_out_raw(&copy).await.map_err(failed)?;
        while let Some(message) = messages.next().await {
            reader.read(&message.map_err(failed)?, &mut sink.batch)?;
            if sink.is_full() && sink.send().await.is_err() {
                return Ok(());
            }
        }
        reader.finish()?;
        drop(messages);
        let _ = sink.send().await;
        farewell(connection, plan::FORGET).await;
        Ok(())
    }

    /// A connection inside a read-only snapshot.
    async fn begin(&self) -> Result<PgConnection, Error> {
        let mut connection = self.connector.connect().await?;
        if connection.server_version_num().is_some_and(|version| version >= 140_000) {
            // Some systems cannot do it; a query that outlives its client then ends at its timeout.
            let _ = raw_sql(CLIENT_CHECK).execute(&mut connection).await;
        }
        // Zero would mean no timeout; the server counts in 32 bits.
        let timeout_ms = self.statement_timeout.as_millis().clamp(1, i32::MAX as u128);
        let begin = format!(
            "begin isolation level repeatable read read only; \
             set local statement_timeout = {timeout_ms}; \
             set local client_min_messages = error; \
             {EXACT_FLOATS}; \
             select pg_catalog.current_setting('server_encoding')"
        );
        let failed = |error| fault::of_query(error, self.asked(None));
        let row = raw_sql(AssertSqlSafe(begin)).fetch_one(&mut connection).await.map_err(failed)?;
        if row.try_get::<String, _>(0).is_ok_and(|encoding| encoding == "SQL_ASCII") {
            // Such a database does not know what its text is. Left alone it would check that all
            // of it is UTF-8 and end the whole query; here one cell is refused.
            let encoding = "set local client_encoding = 'SQL_ASCII'".to_owned();
            run(&mut connection, encoding, self.asked(None)).await?;
        }
        Ok(connection)
    }

    fn asked<'a>(&'a self, model: Option<(&'a str, usize)>) -> Asked<'a> {
        Asked { address: self.connector.address(), timeout: self.statement_timeout, model }
    }

    async fn bounded<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let timeout_ms = self.statement_timeout.as_millis() as u64;
        let bound = self.statement_timeout.saturating_add(SILENCE_MAX);
        tokio::time::timeout(bound, work).await.unwrap_or(Err(Error::StatementTimeout { timeout_ms }))
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
