//! Running a statement on SQLite or Postgres: the differences between the two.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::{Sqlite, SqlitePool};

use super::{
    Error,
    pool::{self, Pool},
    row::Row,
    statement::Statement,
};

/// Most connections of one handle. A node needs a few statements per run and every five seconds.
pub(super) const CONNECTIONS_MAX: u32 = 4;
/// Longest wait for a connection of the pool, and for a new connection.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time for a statement and its answer: a cut network gives no answer at all. It is above the server's
/// own limit, so that the server's error arrives when there is one.
const STATEMENT_ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// SQLite's clock in microseconds (its resolution is milliseconds).
const SQLITE_NOW: &str = "cast(unixepoch('subsec') * 1000000 as integer)";

/// A pool of either database, which counts its queries.
#[derive(Debug, Clone)]
pub(super) struct Database {
    pub(super) connections: Connections,
    /// Statements outside of transactions, and transactions.
    query_count: Arc<AtomicU64>,
}

/// The connections of a pool.
#[derive(Debug, Clone)]
pub(super) enum Connections {
    Sqlite(SqlitePool),
    Postgres(Arc<Pool>),
}

/// A write transaction; rolled back when dropped.
pub(super) enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(Box<pool::Transaction>),
}

impl Database {
    pub(super) fn new(connections: Connections) -> Self {
        Self { connections, query_count: Arc::default() }
    }

    /// Statements outside of transactions, and transactions, of this pool so far.
    pub(super) fn query_count(&self) -> u64 {
        self.query_count.load(Ordering::Relaxed)
    }

    fn connections(&self) -> &Connections {
        self.query_count.fetch_add(1, Ordering::Relaxed);
        &self.connections
    }

    /// Runs a statement and returns the number of rows that it changed.
    pub(super) async fn execute(&self, statement: Statement) -> Result<u64, Error> {
        answer(async {
            Ok(match self.connections() {
                Connections::Sqlite(pool) => statement.query(SQLITE_NOW).execute(pool).await?.rows_affected(),
                Connections::Postgres(pool) => {
                    let mut transaction = pool.begin().await?;
                    let changed = transaction.execute(statement).await?;
                    transaction.commit().await?;
                    changed
                }
            })
        })
        .await
    }

    /// The rows of a statement. Callers bound their number, by `limit` or by what they store.
    pub(super) async fn rows(&self, statement: Statement) -> Result<Vec<Row>, Error> {
        answer(async {
            Ok(match self.connections() {
                Connections::Sqlite(pool) => {
                    let rows = statement.query(SQLITE_NOW).fetch_all(pool).await?;
                    rows.into_iter().map(Row::Sqlite).collect()
                }
                Connections::Postgres(pool) => {
                    let mut transaction = pool.begin().await?;
                    let rows = transaction.rows(statement).await?;
                    transaction.commit().await?;
                    rows
                }
            })
        })
        .await
    }

    /// The first row of a statement.
    pub(super) async fn row(&self, statement: Statement) -> Result<Option<Row>, Error> {
        Ok(self.rows(statement).await?.into_iter().next())
    }

    /// Begins a transaction that writes. SQLite takes the write lock at once, because a transaction that reads
    /// first cannot wait for another writer later.
    pub(super) async fn begin(&self) -> Result<Transaction, Error> {
        answer(async {
            Ok(match self.connections() {
                Connections::Sqlite(pool) => Transaction::Sqlite(pool.begin_with("begin immediate").await?),
                Connections::Postgres(pool) => Transaction::Postgres(Box::new(pool.begin().await?)),
            })
        })
        .await
    }

    /// Closes the pool.
    pub(super) async fn close(&self) {
        match &self.connections {
            Connections::Sqlite(pool) => pool.close().await,
            Connections::Postgres(pool) => pool.close().await,
        }
    }
}

impl Transaction {
    /// Runs a statement and returns the number of rows that it changed.
    pub(super) async fn execute(&mut self, statement: Statement) -> Result<u64, Error> {
        answer(async {
            Ok(match self {
                Self::Sqlite(it) => statement.query(SQLITE_NOW).execute(&mut **it).await?.rows_affected(),
                Self::Postgres(it) => it.execute(statement).await?,
            })
        })
        .await
    }

    /// The rows of a statement.
    pub(super) async fn rows(&mut self, statement: Statement) -> Result<Vec<Row>, Error> {
        answer(async {
            Ok(match self {
                Self::Sqlite(it) => {
                    let rows = statement.query(SQLITE_NOW).fetch_all(&mut **it).await?;
                    rows.into_iter().map(Row::Sqlite).collect()
                }
                Self::Postgres(it) => it.rows(statement).await?,
            })
        })
        .await
    }

    /// The first row of a statement.
    pub(super) async fn row(&mut self, statement: Statement) -> Result<Option<Row>, Error> {
        Ok(self.rows(statement).await?.into_iter().next())
    }

    /// Commits the transaction.
    pub(super) async fn commit(self) -> Result<(), Error> {
        answer(async {
            match self {
                Self::Sqlite(it) => it.commit().await?,
                Self::Postgres(it) => it.commit().await?,
            }
            Ok(())
        })
        .await
    }
}

/// Bounds the wait for an answer.
pub(super) async fn answer<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(STATEMENT_ANSWER_TIMEOUT, Box::pin(work))
        .await
        .unwrap_or(Err(Error::TimedOut { doing: "waiting for an answer", limit: STATEMENT_ANSWER_TIMEOUT }))
}
