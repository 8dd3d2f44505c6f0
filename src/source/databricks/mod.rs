//! Databricks by its Statement Execution API: a warehouse leaves the result in chunks of Arrow behind signed addresses.
//!
//! <https://docs.databricks.com/api/workspace/statementexecution>

mod chunks;
mod fault;
mod session;
mod settings;
mod types;

use async_trait::async_trait;
use tokio::sync::mpsc;

use self::{chunks::ChunkReader, session::Session};
use super::{
    Query, check_unchanged,
    driver::{Driver, SourceType, Tables},
    error::Error,
    http::Endpoint,
    rows::RowSender,
    sql::{Dialect, Times},
};
use crate::{
    domain::row::Column,
    support::{result_code::Phase, secret::SecretString},
};

pub(super) const TYPE: SourceType = SourceType { name: "databricks", causes: &[], open: settings::open };

/// The tables that the user may read, as a model names them.
const TABLES: &str = "select concat_ws('.', table_catalog, table_schema, table_name) as name \
     from system.information_schema.tables where table_schema <> 'information_schema' order by 1";

const DIALECT: Dialect = Dialect {
    identifier_quote: '`',
    has_backslash_escapes: true,
    nests_comments: true,
    times: Times::TypedWithoutZone,
    ..Dialect::STANDARD
};

/// How the workspace knows the user.
#[derive(Debug)]
enum Login {
    /// A personal access token, or one that the operator renews.
    Token(SecretString),
    /// A service principal, for which tokens are fetched.
    Client { id: String, secret: SecretString },
}

/// A SQL warehouse of a workspace.
#[derive(Debug)]
struct Databricks {
    endpoint: Endpoint,
    warehouse: String,
    login: Login,
    catalog: Option<String>,
    schema: Option<String>,
}

#[async_trait]
impl Driver for Databricks {
    fn dialect(&self) -> Option<&'static Dialect> {
        Some(&DIALECT)
    }

    fn version_sql(&self) -> Option<&'static str> {
        Some("select current_version().dbsql_version as version")
    }

    async fn tables(&self) -> Result<Tables, Error> {
        Ok(Tables::Sql(TABLES))
    }

    async fn describe(&self, query: &Query) -> Result<Vec<Column>, Error> {
        let sql = limited(query, Some(0))?;
        let session = Session::new(self);
        Ok(session.execute(&sql, Phase::Planning).await?.columns)
    }

    async fn stream(
        &self,
        query: &Query,
        columns: &[Column],
        limit: Option<u64>,
        rows: &mut RowSender,
    ) -> Result<(), Error> {
        let sql = limited(query, limit)?;
        let session = Session::new(self);
        let result = session.execute(&sql, Phase::Reading).await?;
        check_unchanged(columns, &result.columns)?;
        let (sender, mut chunks) = mpsc::channel(1);
        let mut reader = ChunkReader::new(result.columns.clone());
        let read = rows.read_blocking(move |rows| {
            while let Some(chunk) = chunks.blocking_recv() {
                if reader.read(chunk, rows)?.is_none() {
                    break;
                }
            }
            Ok(())
        });
        tokio::try_join!(session.fetch(&result, sender), read).map(drop)
    }
}

fn limited(query: &Query, limit: Option<u64>) -> Result<String, Error> {
    let sql = DIALECT.statement(query)?;
    let limit = limit.map_or_else(String::new, |limit| format!(" limit {limit}"));
    Ok(format!("select * from (\n{sql}\n){limit}"))
}
