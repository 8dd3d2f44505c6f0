//! ClickHouse over HTTP: the query's rows come as lines of JSON, which lose no digit of any type.
//!
//! ClickHouse's Arrow output is not used: it turns `DateTime`, `Enum`, `IPv4` and 128-bit integers into other types.

mod fault;
mod lines;
mod pinned;
mod settings;
mod types;
mod values;

use std::{iter, time::Duration};

use async_trait::async_trait;
use reqwest::{RequestBuilder, StatusCode};
use uuid::Uuid;

use self::{
    lines::Lines,
    pinned::{Lacking, TIMEOUT},
    values::RowReader,
};
use super::{
    Query, check_unchanged,
    driver::{Driver, SourceType, Tables},
    error::Error,
    http::{Endpoint, RunningQuery},
    rows::RowSender,
    sql::{Dialect, Times},
};
use crate::{
    domain::row::Column,
    support::{
        result_code::Phase,
        secret::{ExposeSecret, SecretString},
    },
};

pub(super) const TYPE: SourceType = SourceType { name: "clickhouse", causes: &[], open: settings::open };

/// The tables that the user may read, as a model names them.
const TABLES: &str = "select concat(database, '.', name) as name from system.tables \
     where database not in ('system', 'information_schema', 'INFORMATION_SCHEMA') order by name";

const DIALECT: Dialect = Dialect {
    identifier_quote: '`',
    table_parts_max: 2,
    has_backslash_escapes: true,
    escapes_identifiers: true,
    nests_comments: true,
    times: Times::Parsed,
    ..Dialect::STANDARD
};

/// The first line has the columns' names, the second their types, each other one the values of a row.
const FORMAT: &str = "JSONCompactEachRowWithNamesAndTypes";
/// The server ends a query at its timeout by itself; it is waited for this much longer.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// A ClickHouse server.
#[derive(Debug)]
struct ClickHouse {
    endpoint: Endpoint,
    user: Option<String>,
    password: Option<SecretString>,
    database: Option<String>,
    statement_timeout: Duration,
    lacking: Lacking,
}

#[async_trait]
impl Driver for ClickHouse {
    fn dialect(&self) -> Option<&'static Dialect> {
        Some(&DIALECT)
    }

    fn version_sql(&self) -> Option<&'static str> {
        Some("select version() as version")
    }

    async fn tables(&self) -> Result<Tables, Error> {
        Ok(Tables::Sql(TABLES))
    }

    async fn describe(&self, query: &Query) -> Result<Vec<Column>, Error> {
        let (mut lines, running) = self.request(query, Some(0), Phase::Planning).await?;
        let columns = lines.columns().await?;
        running.ended();
        Ok(columns)
    }

    async fn stream(
        &self,
        query: &Query,
        columns: &[Column],
        limit: Option<u64>,
        rows: &mut RowSender,
    ) -> Result<(), Error> {
        let (mut lines, running) = self.request(query, limit, Phase::Reading).await?;
        let now = lines.columns().await?;
        check_unchanged(columns, &now)?;
        let mut reader = RowReader::new(&now);
        while lines.read_row(&mut reader, &mut rows.batch).await? {
            if rows.is_full() && rows.send().await.is_err() {
                return Ok(());
            }
        }
        running.ended();
        Ok(())
    }

    fn grace(&self) -> Duration {
        SILENCE_MAX
    }
}

impl ClickHouse {
    /// Sends a query. The answer has begun when this returns.
    async fn request(
        &self,
        query: &Query,
        limit: Option<u64>,
        phase: Phase,
    ) -> Result<(Lines<'_>, RunningQuery), Error> {
        let sql = DIALECT.statement(query)?;
        let limit = limit.map_or_else(String::new, |limit| format!(" limit {limit}"));
        // Zero would mean no timeout.
        let timeout_s = self.statement_timeout.as_secs().max(1).to_string();
        let sent = format!("select * from (\n{sql}\n){limit} format {FORMAT}");
        // Each refusal for a setting that the server lacks makes the next request one setting shorter.
        loop {
            let id = format!("larder-{}", Uuid::now_v7());
            let settings = self.lacking.settings();
            let parameters = [("query_id", &*id), (TIMEOUT, &*timeout_s)];
            let request = self.post(sent.clone(), settings.iter().copied().chain(parameters));
            let kill = self.post(format!("kill query where query_id = '{id}' async"), iter::empty());
            let running = RunningQuery::new(kill);
            let response = self.endpoint.heard_while(request.send(), || self.answers()).await?;
            if response.status() == StatusCode::OK {
                return Ok((Lines::new(self, response, sql, phase), running));
            }
            running.ended();
            let status = response.status();
            let body = self.endpoint.refusal(response).await;
            if !self.lacking.learn(&body, &settings) {
                let read = fault::read(&body, &sql, phase, &self.endpoint.address);
                return Err(read.unwrap_or_else(|| self.endpoint.unexpected(status)));
            }
        }
    }

    fn post<'a>(
        &'a self,
        sql: String,
        parameters: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> RequestBuilder {
        let mut url = self.endpoint.url.clone();
        let database = self.database.as_deref().map(|database| ("database", database));
        url.query_pairs_mut().extend_pairs(database.into_iter().chain(parameters));
        let mut request = self.endpoint.client.post(url).body(sql);
        if let Some(user) = &self.user {
            request = request.header("x-clickhouse-user", user);
        }
        if let Some(password) = &self.password {
            request = request.header("x-clickhouse-key", password.expose_secret());
        }
        request
    }

    /// Whether the server answers another request. Which queries it works on does not say: a load balancer may ask another one.
    async fn answers(&self) -> bool {
        self.post("select 1".to_owned(), iter::empty()).send().await.is_ok()
    }
}
