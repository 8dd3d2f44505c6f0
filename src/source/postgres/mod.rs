//! Postgres: the query runs as one binary copy inside a read-only snapshot. Servers that speak its protocol and refuse
//! the copy are read by a plain query.
//!
//! sqlx is the transport. Only the simple protocol is used, so that a connection pooler between
//! needs to know nothing of prepared statements.

mod copy;
mod decode;
mod fault;
mod numeric;
mod plan;
mod session;
mod settings;
mod silence;
mod text;
mod types;

use std::{
    sync::atomic::{AtomicBool, AtomicU8, Ordering},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::StreamExt as _;
use sqlx::{AssertSqlSafe, postgres::PgConnection, raw_sql};

use self::{
    copy::CopyReader,
    fault::Statement,
    plan::{Plan, Way},
    text::TextReader,
};
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

pub(super) const DIALECT: Dialect = Dialect {
    table_parts_max: 2,
    has_escape_strings: true,
    has_dollar_quotes: true,
    nests_comments: true,
    times: Times::Text,
    ..Dialect::STANDARD
};

/// The server ends a query at its timeout; a network that swallows everything is waited for this
/// much longer.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Longest wait when a connection is closed. The server notices its end without that too.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// A Postgres server.
#[derive(Debug)]
struct Postgres {
    parameters: Parameters,
    /// What messages call the server.
    address: String,
    connect_timeout: Duration,
    /// The server ends a query at it.
    statement_timeout: Duration,
    /// The way in which rows were read last, as its number: the server refused those before it.
    way: AtomicU8,
    /// Whether the server refused to set a session up as Postgres does.
    is_plain: AtomicBool,
}

/// Why an attempt to read ended.
enum Attempt {
    /// The server does not know the statement. No row came.
    Refused(Error),
    Failed(Error),
}

impl From<Error> for Attempt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

#[async_trait]
impl Driver for Postgres {
    fn dialect(&self) -> Option<&'static Dialect> {
        Some(&DIALECT)
    }

    fn check_files(&self) -> Result<(), Error> {
        self.parameters.check_files().map_err(|error| fault::of_file(&error))
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
        let known = self.way.load(Ordering::Relaxed);
        let mut ways = Way::ALL.into_iter().skip(usize::from(known)).peekable();
        while let Some(way) = ways.next() {
            match self.read(query, columns, limit, rows, way).await {
                Err(Attempt::Refused(_)) if ways.peek().is_some() => {}
                Err(Attempt::Refused(error) | Attempt::Failed(error)) => return Err(error),
                Ok(()) => {
                    self.way.store(way as u8, Ordering::Relaxed);
                    return Ok(());
                }
            }
        }
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
    /// Reads the rows in one way.
    async fn read(
        &self,
        query: &Query,
        columns: &[Column],
        limit: Option<u64>,
        rows: &mut RowSender,
        way: Way,
    ) -> Result<(), Attempt> {
        let sql = DIALECT.statement(query)?;
        let (mut connection, backend) = self.begin().await?;
        let plan = Plan::make(&mut connection, &sql, self.statement(Phase::Planning, model(query, &sql)));
        let plan = self.while_alive(&backend, plan).await?;
        check_unchanged(columns, &plan.columns)?;
        let read = plan.read(&sql, limit, way);
        let statement = self.statement(Phase::Reading, None);
        let readers: Vec<_> = plan.readers.into_iter().map(|reader| way.reader(reader)).collect();
        let refused = |error: sqlx::Error| {
            let is_refused = fault::is_unknown_statement(&error);
            let error = fault::of_query(error, statement);
            if is_refused { Attempt::Refused(error) } else { Attempt::Failed(error) }
        };
        let failed = |error| fault::of_query(error, statement);
        if way == Way::Copy {
            let mut reader = CopyReader::new(readers);
            let begin = async { Ok(connection.copy_out_raw(&read).await.map_err(refused)) };
            let mut messages = self.while_alive(&backend, begin).await??;
            let mut next = async || messages.next().await.transpose().map_err(failed);
            while let Some(message) = self.while_alive(&backend, next()).await? {
                reader.read(&message, &mut rows.batch)?;
                if rows.is_full() && rows.send().await.is_err() {
                    return Ok(());
                }
            }
            reader.finish()?;
            drop(messages);
        } else {
            let mut reader = TextReader::new(readers);
            let mut found = raw_sql(AssertSqlSafe(read)).fetch(&mut *connection);
            let mut is_first = true;
            let mut next = async || Ok(found.next().await.transpose());
            loop {
                let row = match self.while_alive(&backend, next()).await? {
                    Ok(Some(row)) => row,
                    Ok(None) => break,
                    Err(error) if is_first => return Err(refused(error)),
                    Err(error) => return Err(failed(error).into()),
                };
                is_first = false;
                reader.row(&row, &mut rows.batch)?;
                if rows.is_full() && rows.send().await.is_err() {
                    return Ok(());
                }
            }
            drop(found);
        }
        farewell(connection, plan::FORGET).await;
        Ok(())
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
