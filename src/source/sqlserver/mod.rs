//! SQL Server, Azure SQL and Microsoft Fabric: one query in one snapshot, read by their protocol (TDS).

mod connection;
mod fault;
mod settings;
mod values;

use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use tiberius::{Config, QueryItem};

use self::{connection::Session, values::ValueReader};
use super::{
    Query, check_unchanged,
    driver::{Driver, SourceType, Tables},
    error::{Error, cause, causes, malformed, of_database},
    rows::RowSender,
    sql::{Dialect, Times},
};
use crate::{
    domain::row::Column,
    support::result_code::{Meaning, Phase},
};

pub(super) const TYPE: SourceType = SourceType { name: "sqlserver", causes: CAUSES, open: settings::open };

causes! {
    CAUSES {
        SNAPSHOT_OFF: "source_snapshot_off" Invalid;
    }
}

/// The tables that the user may read, as a model names them.
const TABLES: &str =
    "select top 100000 table_schema + '.' + table_name as name from information_schema.tables order by 1";

pub(super) const DIALECT: Dialect = Dialect {
    nests_comments: true,
    has_other_quotes: true,
    times: Times::Iso,
    has_strict_subqueries: true,
    key_type: Some("varbinary(8000)"),
    ..Dialect::STANDARD
};

/// What a query sees while others write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Isolation {
    /// One state of the database; refused where the database does not keep one.
    Snapshot,
    /// Committed rows, each at its moment.
    ReadCommitted,
}

/// A server.
struct SqlServer {
    host: String,
    port: u16,
    config: Config,
    isolation: Isolation,
    connect_timeout: Duration,
}

impl std::fmt::Debug for SqlServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqlServer").field("address", &self.address()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Driver for SqlServer {
    fn dialect(&self) -> Option<&'static Dialect> {
        Some(&DIALECT)
    }

    async fn check(&self) -> Result<(), Error> {
        self.begin().await.map(drop)
    }

    fn version_sql(&self) -> Option<&'static str> {
        Some("select @@version as version")
    }

    async fn tables(&self) -> Result<Tables, Error> {
        Ok(Tables::Sql(TABLES))
    }

    async fn describe(&self, query: &Query) -> Result<Vec<Column>, Error> {
        let sql = DIALECT.statement(query)?;
        let mut session = self.begin().await?;
        self.plan(&mut session, &sql).await
    }

    async fn stream(
        &self,
        query: &Query,
        columns: &[Column],
        limit: Option<u64>,
        rows: &mut RowSender,
    ) -> Result<(), Error> {
        let sql = DIALECT.statement(query)?;
        let mut session = self.begin().await?;
        let mut exact = exact_money(&sql, columns);
        if let Some(sql) = &exact
            && self.plan(&mut session, sql).await.is_err()
        {
            // Not every query can be nested. The refusal may have ended the transaction.
            exact = None;
            session = self.begin().await?;
        }
        let described = self.plan(&mut session, &sql).await?;
        check_unchanged(columns, &described)?;
        let mut reader = ValueReader::new(&described);
        let mut left = limit.unwrap_or(u64::MAX);
        let failed = |error| self.failed(&error, Phase::Reading);
        let mut found = session.simple_query(exact.unwrap_or(sql)).await.map_err(failed)?;
        while left > 0
            && let Some(item) = found.try_next().await.map_err(failed)?
        {
            let row = match item {
                QueryItem::Row(row) => row,
                QueryItem::Metadata(result) if result.result_index() == 0 => continue,
                // The grammar needs no semicolon between two statements.
                QueryItem::Metadata(_) => {
                    return Err(Error::new(cause::SEVERAL_STATEMENTS, "the SQL gives several results")
                        .with_hint("write one select statement"));
                }
            };
            if !reader.row(&row, &mut rows.batch) {
                return Err(malformed("a row has not as many values as there are columns"));
            }
            left -= 1;
            if rows.is_full() && rows.send().await.is_err() {
                return Ok(());
            }
        }
        // The end of the connection ends the query and its transaction.
        Ok(())
    }
}

/// A query whose columns of type `money` are decimals: the driver gives money as a float, which does not tell large amounts
/// apart. `None` when there is no such column.
fn exact_money(sql: &str, columns: &[Column]) -> Option<String> {
    let is_money = |column: &Column| column.type_name == "money";
    columns.iter().any(is_money).then(|| {
        let column = |column: &Column| {
            let name = DIALECT.quote(&column.name);
            if is_money(column) { format!("cast({name} as decimal(19, 4)) as {name}") } else { name }
        };
        let columns: Vec<String> = columns.iter().map(column).collect();
        DIALECT.around(sql, |model| format!("select {} from {model}", columns.join(", ")))
    })
}

impl SqlServer {
    fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The columns of a statement; no row is read.
    async fn plan(&self, session: &mut Session, sql: &str) -> Result<Vec<Column>, Error> {
        let describe = format!("exec sp_describe_first_result_set N'{}'", sql.replace('\'', "''"));
        let rows = self.rows(session, describe, Phase::Planning).await?;
        let columns = rows.iter().filter(|row| row.try_get("is_hidden").ok().flatten() != Some(true));
        let column = |(at, row): (usize, &tiberius::Row)| {
            let text = |name| row.try_get::<&str, _>(name).ok().flatten();
            let name = text("name").filter(|name| !name.is_empty()).ok_or_else(|| {
                of_database(Meaning::Statement, format!("column {} has no name", at + 1))
                    .with_hint("give it one with AS")
            })?;
            // Types of users and of .NET have no name of the system's.
            let type_name = text("system_type_name").or(text("user_type_name")).unwrap_or("binary");
            Ok(values::column(name.to_owned(), type_name.to_owned()))
        };
        columns.enumerate().map(column).collect()
    }

    fn failed(&self, error: &tiberius::error::Error, phase: Phase) -> Error {
        fault::of(error, phase, &self.address())
    }
}
