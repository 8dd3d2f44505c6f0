//! Where rows come from: one read-only query, streamed in one snapshot.
//!
//! Each source type is a folder with its settings, its driver and the hints of its errors; only
//! `TYPES` names it. How a value looks in a record is decided once for all types, in `cell`.

mod adbc;
mod arrow;
mod athena;
mod cell;
mod clickhouse;
mod databricks;
mod driver;
mod error;
mod file;
mod files;
mod google_sheets;
mod http;
mod key_counts;
mod microsoft_excel;
mod mysql;
mod postgres;
mod questions;
mod rows;
pub mod sample;
mod settings;
mod silence;
mod sql;
mod sqlite;
mod sqlserver;
mod trino;
mod types;

use std::{collections::HashSet, fmt, ops::Range, sync::Arc, time::Duration};

use tokio::sync::mpsc::{self, Sender};

use self::{
    driver::{Driver, SourceType, Tables},
    error::cause,
    rows::RowSender,
};
use crate::domain::{Column, RowBatch, cursor::CursorValue, digest::Digest, row::ColumnKind};

pub use adbc::{FoundDriver, found as drivers, work};
pub use arrow::ArrowDecoder;
pub use error::{Cause, Error};
pub(crate) use http::{Endpoint, is_busy};
pub use key_counts::{KEYS_COUNTED_MAX, KeyCounts};
pub use questions::{QUESTIONS, Question, about, questions};
pub(crate) use settings::{SECTION, check_defaults, read};
pub use types::{ColumnTypes, DeclaredType};

/// Every source type.
const TYPES: &[SourceType] = &[
    postgres::TYPE,
    mysql::TYPE,
    sqlite::TYPE,
    sqlserver::TYPE,
    clickhouse::TYPE,
    trino::TYPE,
    databricks::TYPE,
    athena::TYPE,
    files::TYPE,
    google_sheets::TYPE,
    microsoft_excel::TYPE,
    adbc::SNOWFLAKE,
    adbc::BIGQUERY,
    adbc::DUCKDB,
    adbc::FLIGHT_SQL,
    adbc::REDSHIFT,
    adbc::ORACLE,
    adbc::SQL_SERVER,
    adbc::ANY,
];

/// The names of all source types.
pub fn type_names() -> impl Iterator<Item = &'static str> {
    TYPES.iter().map(|source_type| source_type.name)
}

/// Most tables that are listed: more than anyone reads.
pub const TABLES_MAX: u64 = 100_000;

/// What a model reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// One `select` (or `with`) statement, without a trailing semicolon.
    Sql(String),
    /// A table or view, and the columns chosen (`None` means all).
    Table {
        /// As the source type names tables: `customers`, `public.customers`; unquoted.
        name: String,
        /// Columns in the order wanted.
        columns: Option<Vec<String>>,
    },
    /// The rows of another query from a cursor on.
    Increment(Box<Increment>),
    /// One row: how many rows another query has, how many of them are null in a column, and how many values of the
    /// column occur more than once.
    KeyCounts(Box<KeyQuery>),
}

/// A column of a query whose values are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyQuery {
    /// The query.
    pub query: Query,
    /// The column.
    pub column: String,
}

/// Rows of a query from a cursor on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Increment {
    /// The query that has the rows: a model's, or one of changes that has [`cursor_places`].
    pub query: Query,
    /// The columns that are read, in this order; all of them when there is none.
    pub columns: Vec<String>,
    /// The column whose values are compared with `from`; `None` when `query` has places for the cursor.
    pub column: Option<String>,
    /// Whether the column that the cursor is of holds text, which is compared with the cursor as it is printed.
    pub is_text: bool,
    /// The lowest value that is read.
    pub from: CursorValue,
}

/// Whether a column holds text, and not times that its source prints as text.
pub fn is_text(column: &Column) -> bool {
    let name = column.type_name.to_ascii_lowercase();
    column.kind == ColumnKind::Text && ["char", "text", "string"].iter().any(|part| name.contains(part))
}

/// The places for the cursor in the SQL of a query of changes: each `{{ cursor }}`.
///
/// # Errors
/// The text of a place that is for something else.
pub fn cursor_places(sql: &str) -> Result<Vec<Range<usize>>, String> {
    let mut places = Vec::new();
    let mut at = 0;
    while let Some(start) = sql[at..].find("{{").map(|found| at + found) {
        let Some(end) = sql[start..].find("}}").map(|found| start + found + 2) else {
            return Err(sql[start..].to_owned());
        };
        let place = &sql[start..end];
        if place.trim_start_matches("{{").trim_end_matches("}}").trim() != "cursor" {
            return Err(place.to_owned());
        }
        places.push(start..end);
        at = end;
    }
    Ok(places)
}

/// The SQL text; of a table, what a model says of it.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(sql) => f.write_str(sql),
            Self::Table { name, columns: None } => write!(f, "table = {name:?}"),
            Self::Table { name, columns: Some(columns) } => {
                write!(f, "table = {name:?}\ncolumns = {columns:?}")
            }
            // Of a source with SQL, [`Source::text`] has all of it.
            Self::Increment(increment) => increment.query.fmt(f),
            Self::KeyCounts(key) => key.query.fmt(f),
        }
    }
}

/// One source of the configuration. Cheap to clone, usable from several tasks at once.
#[derive(Debug, Clone)]
pub struct Source {
    type_name: &'static str,
    driver: Arc<dyn Driver>,
    digest: Digest,
    statement_timeout: Duration,
    types: Arc<ColumnTypes>,
}

impl Source {
    /// The same source, whose columns have the types that a model declares.
    #[must_use]
    pub fn with_types(&self, types: &ColumnTypes) -> Self {
        Self { types: Arc::new(types.clone()), ..self.clone() }
    }

    /// The word after `type =`.
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// Refuses a query that this kind of source cannot answer; connects to nothing.
    ///
    /// # Errors
    /// An error of kind `Invalid` whose words fit the key that the query was read from.
    pub(crate) fn check_query(&self, query: &Query) -> Result<(), Error> {
        self.driver.check_query(query)
    }

    /// What is read for `query`, as people see it: the SQL, or the table of a source without SQL.
    pub fn text(&self, query: &Query) -> String {
        let sql = self.driver.dialect().and_then(|dialect| dialect.statement(query).ok());
        sql.unwrap_or_else(|| query.to_string())
    }

    /// Digest of the source's configuration but for secrets, and of the types that a model declares: what changes when
    /// another source, or the same one in another way, is read.
    pub fn digest(&self) -> Digest {
        Digest::of(format!("{} {:?}", self.digest, self.types).as_bytes())
    }

    /// Refuses SQL, whatever its text, for a source without it; connects to nothing.
    ///
    /// # Errors
    /// As of [`Source::check_query`].
    pub(crate) fn check_sql(&self) -> Result<(), Error> {
        self.check_query(&Query::Sql("select 1".to_owned()))
    }

    /// Whether rows can be read from a cursor on, which takes a source with SQL.
    pub(crate) fn has_increments(&self) -> bool {
        self.check_sql().is_ok()
    }

    /// Whether the type of a column holds for its values. SQLite has types of values only.
    pub(crate) fn has_typed_columns(&self) -> bool {
        self.type_name != sqlite::TYPE.name
    }

    /// Reads the files that a connection would read, such as certificates; connects to nothing. Blocks.
    pub(crate) fn check_files(&self) -> Result<(), Error> {
        self.driver.check_files()
    }

    /// Connects and makes a trivial request.
    pub async fn check(&self) -> Result<(), Error> {
        self.bounded(self.driver.check()).await
    }

    /// What the server says its version is; `None` when there is no server.
    pub async fn version(&self) -> Result<Option<String>, Error> {
        match self.driver.version_sql() {
            Some(sql) => Ok(self.texts(sql).await?.into_iter().next()),
            None => Ok(None),
        }
    }

    /// The tables that may be read, as [`Query::Table`] names them, in order, at most [`TABLES_MAX`]. Those that it cannot
    /// name are left out.
    pub async fn tables(&self) -> Result<Vec<String>, Error> {
        let mut names = match self.bounded(self.driver.tables()).await? {
            Tables::Listed(names) => names,
            Tables::Sql(sql) => self.texts(sql).await?,
        };
        names.retain(|name| self.check_query(&Query::Table { name: name.clone(), columns: None }).is_ok());
        Ok(names)
    }

    /// The first column of a query of our own.
    async fn texts(&self, sql: &str) -> Result<Vec<String>, Error> {
        let query = Query::Sql(sql.to_owned());
        let columns = self.describe(&query).await?;
        let (sender, mut batches) = mpsc::channel::<RowBatch>(1);
        let collect = async {
            let mut texts = Vec::new();
            while let Some(batch) = batches.recv().await {
                let text = |row| String::from_utf8_lossy(batch.cell(row, 0).1).into_owned();
                texts.extend((0..batch.rows()).map(text));
            }
            texts
        };
        let read = self.stream(&query, sender, &columns, Some(TABLES_MAX));
        let (read, texts) = tokio::join!(read, collect);
        read.map(|()| texts)
    }

    /// The columns of `query`, in its order; reads no row. There is at least one, and no two have
    /// the same name.
    pub async fn describe(&self, query: &Query) -> Result<Vec<Column>, Error> {
        let mut columns = self.bounded(self.driver.describe(query)).await?;
        if columns.is_empty() {
            return Err(error::no_columns());
        }
        let mut seen = HashSet::new();
        match columns.iter().find(|column| !seen.insert(column.name.as_str())) {
            None => {
                self.types.apply(&mut columns)?;
                Ok(columns)
            }
            Some(Column { name, .. }) => {
                let named =
                    if name.is_empty() { "without a name".to_owned() } else { format!("named `{name}`") };
                let message = format!("the query yields two columns {named}");
                let hint = if self.check_sql().is_ok() {
                    "give each a name of its own with AS"
                } else {
                    "rename one of them"
                };
                Err(Error::new(cause::DUPLICATE_COLUMN, message).with_hint(hint))
            }
        }
    }

    /// Reads the rows of `query`, at most `limit`, in one read-only snapshot, and sends them as
    /// batches of at most [`crate::domain::limits::BATCH_ROWS`] rows and about
    /// [`crate::domain::limits::BATCH_BYTES`]. `columns` are those that [`Source::describe`] gave.
    ///
    /// Ends quietly when the receiver is closed. Dropping the future closes the connection.
    ///
    /// # Errors
    /// Also `columns_changed` when the columns are no longer `columns`; then no row was sent.
    pub async fn stream(
        &self,
        query: &Query,
        rows: Sender<RowBatch>,
        columns: &[Column],
        limit: Option<u64>,
    ) -> Result<(), Error> {
        let receiver = rows.clone();
        let read = async {
            let conversion = self.types.conversion(columns);
            let mut rows = RowSender::new(rows, columns.len()).with_conversion(conversion);
            self.driver.stream(query, columns, limit, &mut rows).await?;
            // A closed receiver wants no last batch.
            let _ = rows.send().await;
            Ok(())
        };
        tokio::select! {
            result = self.bounded(read) => result,
            // Also while the source has not sent anything yet.
            () = receiver.closed() => Ok(()),
        }
    }

    async fn bounded<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let bound = self.statement_timeout.saturating_add(self.driver.grace());
        let result = tokio::time::timeout(bound, work).await;
        result.unwrap_or_else(|_| Err(self.driver.overdue(self.statement_timeout)))
    }
}

/// The stable codes of all sources' errors.
pub fn codes() -> impl Iterator<Item = &'static str> {
    let causes = TYPES.iter().flat_map(|source_type| source_type.causes);
    cause::SHARED.iter().chain(causes).map(|cause| cause.code)
}

/// Refuses columns that are not those that were `described` before. Their kinds follow from their types, or are declared.
fn check_unchanged(described: &[Column], now: &[Column]) -> Result<(), Error> {
    let parts = |column: &'_ Column| (column.name.clone(), column.type_name.clone());
    let longest = described.len().max(now.len());
    let Some(at) = (0..longest).find(|&at| described.get(at).map(parts) != now.get(at).map(parts)) else {
        return Ok(());
    };
    let name = described.get(at).or(now.get(at)).map(|column| column.name.clone()).unwrap_or_default();
    let type_in = |columns: &[Column]| {
        let found = columns.iter().find(|column| column.name == name);
        found.map_or_else(|| "absent".to_owned(), |column| column.type_name.clone())
    };
    let (then, mut now) = (type_in(described), type_in(now));
    if then == now {
        now.push_str(" at another place");
    }
    let message = format!(
        "the model's columns have changed since they were last read: column `{name}` is now {now}, not {then}"
    );
    Err(Error::new(cause::COLUMNS_CHANGED, message).with_hint("run the sync again"))
}
