//! Where rows come from: one read-only query, streamed in one snapshot.
//!
//! A [`Source`] makes one connection per call and keeps none. What a server's values look like in
//! a record is decided here, once: see `cell` and `postgres::types`.

mod cell;
mod error;
mod postgres;
pub mod sample;
mod settings;
mod sink;
mod sqlite;
mod statement;

use std::sync::Arc;

use tokio::sync::mpsc::Sender;

use self::{
    postgres::{Connector, Postgres},
    sqlite::Sqlite,
};

pub use error::{Error, Fault, Position};
pub use settings::{Query, Settings, SourceKind};

use crate::{
    domain::row::{Column, RowBatch},
    support::secret::ExposeSecret as _,
};

/// One source of the configuration. Cheap to clone, usable from several tasks at once.
#[derive(Debug, Clone)]
pub struct Source(Arc<Inner>);

#[derive(Debug)]
enum Inner {
    Postgres(Box<Postgres>),
    Sqlite(Sqlite),
}

impl Source {
    /// Checks the settings; connects to nothing yet.
    ///
    /// # Errors
    /// [`Error::Url`].
    pub fn open(settings: Settings) -> Result<Self, Error> {
        let Settings { name, kind, statement_timeout, connect_timeout } = settings;
        Ok(Self(Arc::new(match kind {
            SourceKind::Postgres { url } => {
                let connector = Connector::open(&name, url.expose_secret(), connect_timeout)?;
                Inner::Postgres(Box::new(Postgres { connector, statement_timeout }))
            }
            SourceKind::Sqlite { path } => Inner::Sqlite(Sqlite { path, connect_timeout, statement_timeout }),
        })))
    }

    /// Connects and asks a trivial question.
    pub async fn check(&self) -> Result<(), Error> {
        match &*self.0 {
            Inner::Postgres(postgres) => postgres.check().await,
            Inner::Sqlite(sqlite) => sqlite.check().await,
        }
    }

    /// The columns of `query`, in its order; no row is read.
    ///
    /// # Errors
    /// Also [`Error::DuplicateColumn`] and [`Error::NoColumns`].
    pub async fn describe(&self, query: &Query) -> Result<Vec<Column>, Error> {
        match &*self.0 {
            Inner::Postgres(postgres) => postgres.describe(query).await,
            Inner::Sqlite(sqlite) => sqlite.describe(query).await,
        }
    }

    /// Reads the rows of `query`, at most `limit`, in one read-only snapshot, and sends them as
    /// batches of at most [`crate::domain::limits::BATCH_ROWS`] rows and about
    /// [`crate::domain::limits::BATCH_BYTES`]. `columns` are what [`Source::describe`] said.
    ///
    /// Ends quietly when the receiver is closed. Dropping the future closes the connection.
    ///
    /// # Errors
    /// Also [`Error::ColumnsChanged`] when the columns are no longer `columns`; then no row has
    /// been sent.
    pub async fn stream(
        &self,
        query: &Query,
        rows: Sender<RowBatch>,
        columns: &[Column],
        limit: Option<u64>,
    ) -> Result<(), Error> {
        match &*self.0 {
            Inner::Postgres(postgres) => postgres.stream(query, rows, columns, limit).await,
            Inner::Sqlite(sqlite) => sqlite.stream(query, rows, columns, limit).await,
        }
    }
}

/// Refuses no columns, and two of one name.
fn check_names(columns: &[Column]) -> Result<(), Error> {
    if columns.is_empty() {
        return Err(Error::NoColumns);
    }
    let mut seen = std::collections::HashSet::new();
    match columns.iter().find(|column| !seen.insert(column.name.as_str())) {
        Some(twice) => Err(Error::DuplicateColumn { name: twice.name.clone() }),
        None => Ok(()),
    }
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
    Err(Error::ColumnsChanged { column: name, then, now })
}
