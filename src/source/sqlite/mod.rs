//! SQLite: a file that other processes may write meanwhile, read in one deferred transaction.

mod columns;
mod fault;
mod values;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::StreamExt as _;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection, raw_sql,
    sqlite::SqliteConnectOptions,
};
use tokio::sync::mpsc::Sender;

use self::{columns::describe, values::ValueReader};
use super::{
    Error, Query, check_unchanged,
    sink::Sink,
    statement::{self, Dialect},
};
use crate::domain::row::{Column, RowBatch};

/// How many instructions of its machine SQLite runs between two looks at whether anybody still
/// wants the rows: about a tenth of a millisecond.
const INSTRUCTIONS_BETWEEN_CHECKS: i32 = 10_000;
/// Rows that the reading thread may be ahead.
const ROWS_AHEAD: usize = 256;

/// A SQLite file.
#[derive(Debug)]
pub(super) struct Sqlite {
    pub(super) path: PathBuf,
    /// Longest wait for another process's lock.
    pub(super) connect_timeout: Duration,
    /// Longest time of one query, from first to last row.
    pub(super) statement_timeout: Duration,
}

/// Ends the statement of a connection whose user went away.
struct Interrupt(Arc<AtomicBool>);

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Sqlite {
    pub(super) async fn check(&self) -> Result<(), Error> {
        self.bounded(async {
            let (mut connection, _interrupt) = self.begin().await?;
            // Opening reads nothing; this reads the header.
            self.run(&mut connection, "select count(*) from sqlite_schema").await?;
            let _ = connection.close().await;
            Ok(())
        })
        .await
    }

    pub(super) async fn describe(&self, query: &Query) -> Result<Vec<Column>, Error> {
        let sql = statement::sql(query, Dialect::Sqlite)?;
        self.bounded(async {
            let (mut connection, _interrupt) = self.begin().await?;
            let columns = describe(&mut connection, &sql).await.map_err(|error| self.planning(&error))??;
            let _ = connection.close().await;
            Ok(columns)
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
            result = self.bounded(self.read(query, rows, columns, limit)) => result,
            () = receiver.closed() => Ok(()),
        }
    }

    async fn read(
        &self,
        query: &Query,
        rows: Sender<RowBatch>,
        columns: &[Column],
        limit: Option<u64>,
    ) -> Result<(), Error> {
        let sql = statement::sql(query, Dialect::Sqlite)?;
        let (mut connection, _interrupt) = self.begin().await?;
        let described = describe(&mut connection, &sql).await.map_err(|error| self.planning(&error))??;
        check_unchanged(columns, &described)?;

        let mut sink = Sink::new(rows, columns.len());
        let mut reader = ValueReader::new(&described);
        let mut left = limit.unwrap_or(u64::MAX);
        let mut found = raw_sql(AssertSqlSafe(sql)).fetch(&mut connection);
        while left > 0 {
            let Some(row) = found.next().await else { break };
            reader.row(&row.map_err(|error| self.running(&error))?, &mut sink.batch)?;
            left -= 1;
            if sink.is_full() && sink.send().await.is_err() {
                return Ok(());
            }
        }
        drop(found);
        let _ = sink.send().await;
        let _ = connection.close().await;
        Ok(())
    }

    /// A connection inside a read transaction, and what ends its statement when it is dropped.
    async fn begin(&self) -> Result<(SqliteConnection, Interrupt), Error> {
        if !self.path.exists() {
            return Err(Error::MissingFile { path: self.path.clone() });
        }
        if self.path.is_dir() {
            return Err(Error::UnreadableFile { path: self.path.clone() });
        }
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .read_only(true)
            .create_if_missing(false)
            .busy_timeout(self.connect_timeout)
            .row_buffer_size(ROWS_AHEAD)
            .disable_statement_logging();
        let mut connection = options.connect().await.map_err(|error| self.running(&error))?;
        let interrupt = Interrupt(Arc::default());
        let is_over = Arc::clone(&interrupt.0);
        connection
            .lock_handle()
            .await
            .map_err(|error| self.running(&error))?
            .set_progress_handler(INSTRUCTIONS_BETWEEN_CHECKS, move || !is_over.load(Ordering::Relaxed));
        self.run(&mut connection, "begin deferred").await?;
        Ok((connection, interrupt))
    }

    async fn run(&self, connection: &mut SqliteConnection, sql: &'static str) -> Result<(), Error> {
        raw_sql(sql).execute(connection).await.map(|_| ()).map_err(|error| self.running(&error))
    }

    /// An error before the first row: its message speaks of the schema and the SQL.
    fn planning(&self, error: &sqlx::Error) -> Error {
        fault::of(error, self.place(), true)
    }

    /// An error after that: its message may hold a value.
    fn running(&self, error: &sqlx::Error) -> Error {
        fault::of(error, self.place(), false)
    }

    fn place(&self) -> fault::Place<'_> {
        fault::Place {
            path: &self.path,
            lock_timeout: self.connect_timeout,
            statement_timeout: self.statement_timeout,
        }
    }

    async fn bounded<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let timeout_ms = self.statement_timeout.as_millis() as u64;
        let done = tokio::time::timeout(self.statement_timeout, work).await;
        done.unwrap_or(Err(Error::StatementTimeout { timeout_ms }))
    }
}
