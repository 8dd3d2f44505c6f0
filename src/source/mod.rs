//! Where rows come from: one read-only query, streamed in one snapshot.
//!
//! Each source type is a folder with its settings, its driver and the hints of its errors; only
//! `TYPES` names it. How a value looks in a record is decided once for all types, in `cell`.

mod cell;
mod clickhouse;
mod csv;
mod driver;
mod error;
mod file;
mod http;
mod postgres;
mod rows;
pub mod sample;
mod settings;
mod sql;
mod sqlite;

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::sync::mpsc::Sender;

use self::{
    driver::{Driver, SourceType},
    error::cause,
    rows::RowSender,
};
use crate::domain::{Column, RowBatch};

pub use error::{Cause, Error};
pub(crate) use settings::{SECTION, check_defaults, read};

/// Every source type.
const TYPES: &[SourceType] = &[postgres::TYPE, sqlite::TYPE, clickhouse::TYPE, csv::TYPE];

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
}

/// One source of the configuration. Cheap to clone, usable from several tasks at once.
#[derive(Debug, Clone)]
pub struct Source {
    driver: Arc<dyn Driver>,
    statement_timeout: Duration,
}

impl Source {
    /// Refuses a query that this kind of source cannot answer; connects to nothing.
    ///
    /// # Errors
    /// An error of kind `Invalid` whose words fit the key that the query was read from.
    pub(crate) fn check_query(&self, query: &Query) -> Result<(), Error> {
        self.driver.check_query(query)
    }

    /// The columns of `query`, in its order; reads no row. There is at least one, and no two have
    /// the same name.
    pub async fn describe(&self, query: &Query) -> Result<Vec<Column>, Error> {
        let columns = self.bounded(self.driver.describe(query)).await?;
        if columns.is_empty() {
            return Err(error::no_columns());
        }
        let mut seen = HashSet::new();
        match columns.iter().find(|column| !seen.insert(column.name.as_str())) {
            None => Ok(columns),
            Some(Column { name, .. }) => {
                let message = format!("the model yields two columns named `{name}`");
                Err(Error::new(cause::DUPLICATE_COLUMN, message)
                    .with_hint("give one of them another name with AS"))
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
            let mut rows = RowSender::new(rows, columns.len());
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

/// Refuses columns that are not those that were `described` before.
fn check_unchanged(described: &[Column], now: &[Column]) -> Result<(), Error> {
    let longest = described.len().max(now.len());
    let Some(at) = (0..longest).find(|&at| described.get(at) != now.get(at)) else { return Ok(()) };
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
