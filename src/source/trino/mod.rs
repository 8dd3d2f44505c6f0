//! Trino and Starburst by their client protocol: a query is sent, then its pages are fetched one after the other.
//!
//! <https://trino.io/docs/current/develop/client-protocol.html>

pub(super) mod fault;
mod pages;
mod settings;
pub(super) mod types;
pub(super) mod values;

use std::time::Duration;

use async_trait::async_trait;
use reqwest::RequestBuilder;

use self::{pages::Pages, values::RowReader};
use super::{
    Query, check_unchanged,
    driver::{Driver, SourceType, Tables},
    error::Error,
    http::Endpoint,
    rows::RowSender,
    sql::Dialect,
};
use crate::{
    domain::row::Column,
    support::{
        result_code::Phase,
        secret::{ExposeSecret as _, SecretString},
    },
};

pub(super) const TYPE: SourceType = SourceType { name: "trino", causes: &[], open: settings::open };

/// The tables of all catalogs that the user may read, as a model names them.
const TABLES: &str = "select table_cat || '.' || table_schem || '.' || table_name as name from system.jdbc.tables \
     where table_schem <> 'information_schema' order by 1";

pub(super) const DIALECT: Dialect = Dialect::STANDARD;

/// The server ends a query at its timeout by itself; it is waited for this much longer.
const GRACE: Duration = Duration::from_secs(10);

/// How the server knows the user.
#[derive(Debug)]
enum Login {
    None,
    Password(SecretString),
    Token(SecretString),
}

/// A coordinator.
#[derive(Debug)]
struct Trino {
    endpoint: Endpoint,
    user: String,
    login: Login,
    catalog: Option<String>,
    schema: Option<String>,
    statement_timeout: Duration,
}

#[async_trait]
impl Driver for Trino {
    fn dialect(&self) -> Option<&'static Dialect> {
        Some(&DIALECT)
    }

    fn version_sql(&self) -> Option<&'static str> {
        Some("select node_version as version from system.runtime.nodes where coordinator limit 1")
    }

    async fn tables(&self) -> Result<Tables, Error> {
        Ok(Tables::Sql(TABLES))
    }

    async fn describe(&self, query: &Query) -> Result<Vec<Column>, Error> {
        let sql = DIALECT.statement(query)?;
        let sql = format!("select * from (\n{sql}\n) limit 0");
        Pages::start(self, sql, Phase::Planning).await?.into_columns().await
    }

    async fn stream(
        &self,
        query: &Query,
        columns: &[Column],
        limit: Option<u64>,
        rows: &mut RowSender,
    ) -> Result<(), Error> {
        let sql = DIALECT.statement(query)?;
        let limit = limit.map_or_else(String::new, |limit| format!(" limit {limit}"));
        let sql = format!("select {} from (\n{sql}\n){limit}", selected(columns));
        let mut pages = Pages::start(self, sql, Phase::Reading).await?;
        let mut reader = None;
        while let Some(page) = pages.next().await? {
            if let (None, Some(now)) = (&reader, &page.columns) {
                check_unchanged(columns, now)?;
                reader = Some(RowReader::new(now));
            }
            let Some(reader) = &mut reader else { continue };
            for row in page.rows()? {
                reader.read_row(&row, &mut rows.batch)?;
                if rows.is_full() && rows.send().await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn grace(&self) -> Duration {
        GRACE
    }
}

impl Trino {
    /// Adds the user, the session and the credentials to a request.
    fn with_session(&self, request: RequestBuilder) -> RequestBuilder {
        // Zero would mean no query.
        let timeout_s = self.statement_timeout.as_secs().max(1);
        let mut request = request
            .header("x-trino-user", &self.user)
            .header("x-trino-source", "larder")
            .header("x-trino-time-zone", "UTC")
            .header("x-trino-language", "en-US")
            // Without it a timestamp has three digits of its fraction.
            .header("x-trino-client-capabilities", "PARAMETRIC_DATETIME")
            .header("x-trino-session", format!("query_max_run_time={timeout_s}s"));
        for (name, value) in [("x-trino-catalog", &self.catalog), ("x-trino-schema", &self.schema)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        match &self.login {
            Login::None => request,
            Login::Password(password) => request.basic_auth(&self.user, Some(password.expose_secret())),
            Login::Token(token) => request.bearer_auth(token.expose_secret()),
        }
    }
}

/// What is read of a query: its columns, zoned timestamps in UTC. The server prints them with a zone, in which an hour of
/// autumn occurs twice.
fn selected(columns: &[Column]) -> String {
    if !columns.iter().any(|column| types::is_zoned(&column.type_name)) {
        return "*".to_owned();
    }
    let select = |column: &Column| {
        let name = DIALECT.quote(&column.name);
        if types::is_zoned(&column.type_name) { format!("{name} at time zone 'UTC' as {name}") } else { name }
    };
    columns.iter().map(select).collect::<Vec<_>>().join(", ")
}
