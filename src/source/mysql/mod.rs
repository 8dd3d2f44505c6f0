//! MySQL, MariaDB and servers that speak their protocol: one consistent snapshot, read by the text protocol.

mod connection;
mod fault;
mod settings;
mod values;

use std::{pin::pin, time::Duration};

use async_trait::async_trait;
use futures::StreamExt as _;
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, MySqlConnection, Row as _, SqlSafeStr as _,
    Statement as _, mysql::MySqlConnectOptions, raw_sql,
};

use self::{
    connection::{RunningQuery, Session},
    fault::Attempt,
    values::{ValueReader, describe, readable},
};
use super::{
    Query, check_unchanged,
    driver::{Driver, SourceType, Tables},
    error::{Error, cause},
    rows::RowSender,
    sql::{Dialect, Times},
};
use crate::{
    domain::row::Column,
    support::{result_code::Phase, tcp::Keepalive},
};

pub(super) const TYPE: SourceType = SourceType { name: "mysql", causes: &[], open: settings::open };

/// The tables that the user may read, as a model names them.
const TABLES: &str = "select concat(table_schema, '.', table_name) as name from information_schema.tables \
     where table_schema not in ('information_schema', 'mysql', 'performance_schema', 'sys') order by 1";

pub(super) const DIALECT: Dialect = Dialect {
    identifier_quote: '`',
    table_parts_max: 2,
    has_backslash_escapes: true,
    line_comments: &["--", "#"],
    times: Times::WithoutZone,
    key_type: Some("binary"),
    ..Dialect::STANDARD
};

/// Settings that values depend on, whatever the server or the user has.
const SETTINGS: &str = "set session time_zone = '+00:00', sql_mode = ''";
/// The same, of which a server may lack some. The keyword `default` would mean the server's global value. MariaDB ends a
/// recursion at its limit with a warning only, and no server says that it cuts a list off: a list of the length below is
/// larger than a record may be. A reader that waits for its guard must not lose the connection after a minute.
const OPTIONAL: [&str; 13] = [
    "set session lc_time_names = 'en_US'",
    "set session group_concat_max_len = 1048576",
    "set session div_precision_increment = 4",
    "set session sql_select_limit = 18446744073709551615",
    "set session sql_auto_is_null = 0",
    "set session default_week_format = 0",
    "set session max_sort_length = 1024",
    "set session max_recursive_iterations = 4294967295",
    "set session default_regex_flags = ''",
    "set session old_mode = 'UTF8_IS_UTF8MB3'",
    "set session block_encryption_mode = 'aes-128-ecb'",
    "set session windowing_use_high_precision = 1",
    "set session net_write_timeout = 3600",
];
/// A variable that the server does not have, or that the user may not set.
const NOT_SETTABLE: [u16; 4] = [1193, 1227, 1231, 1235];
/// How much longer than its timeout a statement may take before the connection is given up.
const GRACE: Duration = Duration::from_secs(5);
/// Longest wait for the end of a connection.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// A MySQL server.
#[derive(Clone)]
struct MySql {
    address: String,
    connect: MySqlConnectOptions,
    connect_timeout: Duration,
    statement_timeout: Duration,
    keepalive: Keepalive,
}

impl std::fmt::Debug for MySql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MySql").field("address", &self.address).finish_non_exhaustive()
    }
}

#[async_trait]
impl Driver for MySql {
    fn dialect(&self) -> Option<&'static Dialect> {
        Some(&DIALECT)
    }

    async fn check(&self) -> Result<(), Error> {
        farewell(self.begin().await?.connection).await;
        Ok(())
    }

    fn version_sql(&self) -> Option<&'static str> {
        Some("select version() as version")
    }

    async fn tables(&self) -> Result<Tables, Error> {
        Ok(Tables::Sql(TABLES))
    }

    async fn describe(&self, query: &Query) -> Result<Vec<Column>, Error> {
        let sql = DIALECT.statement(query)?;
        let Session { mut connection, way } = self.begin().await?;
        let (columns, _) = self.while_alive(&way, self.plan(&mut connection, &sql)).await?;
        farewell(connection).await;
        Ok(columns)
    }

    async fn stream(
        &self,
        query: &Query,
        columns: &[Column],
        limit: Option<u64>,
        rows: &mut RowSender,
    ) -> Result<(), Error> {
        let sql = DIALECT.statement(query)?;
        let Session { mut connection, way } = self.begin().await?;
        let (described, sql) = self.while_alive(&way, self.plan(&mut connection, &sql)).await?;
        check_unchanged(columns, &described)?;
        let mut reader = None;
        let mut left = limit.unwrap_or(u64::MAX);
        let running = RunningQuery::new(self, &way);
        let mut found = raw_sql(AssertSqlSafe(sql)).fetch(&mut connection);
        let mut lost = pin!(self.lost(&way));
        while left > 0 {
            let row = tokio::select! {
                biased;
                row = found.next() => row,
                error = &mut lost => return Err(error),
            };
            let Some(row) = row else { break };
            let row = row.map_err(|error| self.lost_or(&way, self.failed(&error, Phase::Reading)))?;
            let reader = match &mut reader {
                Some(reader) => reader,
                None => reader.insert(ValueReader::new(row.columns(), &described)?),
            };
            reader.row(&row, &mut rows.batch)?;
            left -= 1;
            if rows.is_full() && rows.send().await.is_err() {
                return Ok(());
            }
        }
        drop(found);
        // What was not read would have to be read before a farewell.
        if left > 0 {
            running.ended();
            farewell(connection).await;
        }
        Ok(())
    }

    fn grace(&self) -> Duration {
        GRACE
    }
}

impl MySql {
    /// A connection inside a read-only snapshot. The statements for it take no time, so they count as connecting.
    async fn begin(&self) -> Result<Session, Error> {
        let begun = tokio::time::timeout(self.connect_timeout, Box::pin(self.begin_unbounded())).await;
        begun.unwrap_or_else(|_| {
            let limit = self.connect_timeout.as_millis();
            let message = format!("{} did not answer within {limit} ms", self.address);
            Err(Error::new(cause::CONNECT_TIMEOUT, message)
                .with_hint(
                    "check host and port in the URL, and firewalls on the way; a port that accepts and says nothing is \
                     another service's: MySQL speaks first",
                ))
        })
    }

    async fn begin_unbounded(&self) -> Result<Session, Error> {
        let mut session = self.connect().await.map_err(|error| self.failed(&error, Phase::Login))?;
        self.identify(&mut session).await;
        let connection = &mut session.connection;
        self.run(connection, SETTINGS.to_owned(), &[]).await?;
        let timeout = self.statement_timeout;
        for setting in [
            // MariaDB counts seconds, MySQL milliseconds; each lacks the other's variable.
            format!("set session max_statement_time = {}", timeout.as_secs().max(1)),
            format!("set session max_execution_time = {}", timeout.as_millis().clamp(1, u32::MAX.into())),
        ]
        .into_iter()
        .chain(OPTIONAL.map(str::to_owned))
        {
            self.run(connection, setting, &NOT_SETTABLE).await?;
        }
        self.run(connection, "set session transaction isolation level repeatable read".to_owned(), &[])
            .await?;
        let begin = "start transaction with consistent snapshot, read only".to_owned();
        self.run(connection, begin, &[]).await?;
        Ok(session)
    }

    /// Runs a statement of our own; errors with the numbers in `passed_over` are none.
    async fn run(
        &self,
        connection: &mut MySqlConnection,
        sql: String,
        passed_over: &[u16],
    ) -> Result<(), Error> {
        match raw_sql(AssertSqlSafe(sql)).execute(connection).await {
            Ok(_) => Ok(()),
            Err(error) if fault::number(&error).is_some_and(|number| passed_over.contains(&number)) => Ok(()),
            Err(error) => Err(self.failed(&error, Phase::OwnStatement)),
        }
    }

    /// The columns of a statement, and the statement that reads its rows; no row is read. The server refuses to prepare
    /// several statements.
    async fn plan(
        &self,
        connection: &mut MySqlConnection,
        sql: &str,
    ) -> Result<(Vec<Column>, String), Error> {
        let prepared = connection.prepare(AssertSqlSafe(sql.to_owned()).into_sql_str()).await;
        let prepared = prepared.map_err(|error| self.failed(&error, Phase::Planning))?;
        Ok((describe(prepared.columns()), readable(sql, prepared.columns())))
    }

    fn failed(&self, error: &sqlx::Error, phase: Phase) -> Error {
        let (address, user, timeout) = (&*self.address, self.connect.get_username(), self.statement_timeout);
        fault::of(error, Attempt { address, user, phase, timeout })
    }
}

/// Closes; all has been read, so nothing can go wrong that matters.
async fn farewell(connection: MySqlConnection) {
    let _ = tokio::time::timeout(FAREWELL_MAX, connection.close()).await;
}
