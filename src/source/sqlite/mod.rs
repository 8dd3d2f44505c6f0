//! SQLite: a file that other processes may write meanwhile, read in one deferred transaction.

mod access;
mod columns;
mod fault;
mod settings;
mod values;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::StreamExt as _;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection, raw_sql};

use self::{
    access::{DatabaseFile, FileAccess},
    columns::describe,
    values::ValueReader,
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
    support::{blocking, result_code::Phase},
};

pub(super) const TYPE: SourceType =
    SourceType { name: "sqlite", causes: fault::CAUSES, open: settings::open };

/// The tables that the user may read, as a model names them.
const TABLES: &str = "select name from sqlite_schema where type in ('table', 'view') and name not glob 'sqlite_*' \
     and instr(name, '.') = 0 order by 1";

pub(super) const DIALECT: Dialect = Dialect {
    identifier_quote: '`',
    table_parts_max: 2,
    has_other_quotes: true,
    times: Times::Text,
    key_type: Some("blob"),
    ..Dialect::STANDARD
};

/// After how many instructions of its virtual machine SQLite checks whether the rows are still wanted:
/// about a tenth of a millisecond.
const INSTRUCTIONS_BETWEEN_CHECKS: i32 = 10_000;
/// Rows that the reading thread may be ahead.
const ROWS_AHEAD: usize = 256;

/// A SQLite file.
#[derive(Debug)]
struct Sqlite {
    file: Arc<DatabaseFile>,
    /// Longest wait for another process's lock.
    lock_timeout: Duration,
    statement_timeout: Duration,
}

/// Ends the statement of a connection whose user went away.
struct Interrupt(Arc<AtomicBool>);

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Driver for Sqlite {
    fn dialect(&self) -> Option<&'static Dialect> {
        Some(&DIALECT)
    }

    async fn check(&self) -> Result<(), Error> {
        let access = self.access().await?;
        // Opening reads nothing; this reads the header.
        let checked = async {
            let (mut connection, _interrupt) = self.begin(&access).await?;
            let read = raw_sql("select count(*) from sqlite_schema").execute(&mut connection).await;
            read.map_err(|error| self.planning(&error))?;
            let _ = connection.close().await;
            Ok(())
        };
        let checked = checked.await;
        access.check_unchanged().and(checked)
    }

    fn version_sql(&self) -> Option<&'static str> {
        Some("select sqlite_version()")
    }

    async fn tables(&self) -> Result<Tables, Error> {
        Ok(Tables::Sql(TABLES))
    }

    async fn describe(&self, query: &Query) -> Result<Vec<Column>, Error> {
        let sql = DIALECT.statement(query)?;
        let access = self.access().await?;
        let described = async {
            let (mut connection, _interrupt) = self.begin(&access).await?;
            let columns = describe(&mut connection, &sql).await.map_err(|error| self.planning(&error))?;
            let _ = connection.close().await;
            Ok(columns)
        };
        let described = described.await;
        access.check_unchanged().and(described)
    }

    async fn stream(
        &self,
        query: &Query,
        columns: &[Column],
        limit: Option<u64>,
        rows: &mut RowSender,
    ) -> Result<(), Error> {
        let sql = DIALECT.statement(query)?;
        let access = self.access().await?;
        let read = self.read(&access, sql, columns, limit, rows).await;
        // Also after an error: a file that changes while it is read without locks looks damaged.
        access.check_unchanged().and(read)
    }
}

impl Sqlite {
    async fn access(&self) -> Result<FileAccess, Error> {
        let file = Arc::clone(&self.file);
        let access = blocking::run(move || file.access()).await;
        access.unwrap_or_else(|| Err(connection_lost("this process ends")))
    }

    async fn read(
        &self,
        access: &FileAccess,
        sql: String,
        columns: &[Column],
        limit: Option<u64>,
        rows: &mut RowSender,
    ) -> Result<(), Error> {
        let (mut connection, _interrupt) = self.begin(access).await?;
        let described = describe(&mut connection, &sql).await.map_err(|error| self.planning(&error))?;
        check_unchanged(columns, &described)?;

        let mut reader = ValueReader::new(&described);
        let mut left = limit.unwrap_or(u64::MAX);
        let mut found = raw_sql(AssertSqlSafe(sql)).fetch(&mut connection);
        while left > 0 {
            let Some(row) = found.next().await else { break };
            reader.row(&row.map_err(|error| self.running(&error))?, &mut rows.batch)?;
            left -= 1;
            if rows.is_full() && rows.send().await.is_err() {
                return Ok(());
            }
        }
        drop(found);
        let _ = connection.close().await;
        Ok(())
    }

    /// A connection inside a read transaction, and what ends its statement when it is dropped.
    async fn begin(&self, access: &FileAccess) -> Result<(SqliteConnection, Interrupt), Error> {
        let options = access
            .options()
            .busy_timeout(self.lock_timeout)
            .row_buffer_size(ROWS_AHEAD)
            .disable_statement_logging();
        let mut connection = options.connect().await.map_err(|error| self.planning(&error))?;
        let interrupt = Interrupt(Arc::default());
        let is_over = Arc::clone(&interrupt.0);
        connection
            .lock_handle()
            .await
            .map_err(|error| self.running(&error))?
            .set_progress_handler(INSTRUCTIONS_BETWEEN_CHECKS, move || !is_over.load(Ordering::Relaxed));
        let begun = raw_sql("begin deferred").execute(&mut connection).await;
        begun.map_err(|error| self.planning(&error))?;
        Ok((connection, interrupt))
    }

    /// An error before the first row: its message is about the schema and the SQL.
    fn planning(&self, error: &sqlx::Error) -> Error {
        fault::of(error, self, Phase::Planning)
    }

    /// An error after that: its message may hold a value.
    fn running(&self, error: &sqlx::Error) -> Error {
        fault::of(error, self, Phase::Reading)
    }
}
