//! A few connections to the Postgres database, each used for one transaction at a time.
//!
//! Every statement is in a transaction: only then do its parts reach the same server through a pooler, and only then
//! do settings end with it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, raw_sql};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{
    Error,
    database::{ACQUIRE_TIMEOUT, CONNECTIONS_MAX},
    row::Row,
    statement::Statement,
};
use crate::postgres::{Connection, Parameters};

/// Longest rest of a connection that is used again; firewalls and poolers forget older ones.
const IDLE_MAX: Duration = Duration::from_mins(10);
/// Longest life of a connection: a new one resolves the host and reads the password again.
const LIFE_MAX: Duration = Duration::from_mins(30);
/// Begins a transaction. No statement, lock wait or forgotten transaction may hold anything for long.
const BEGIN: &str = "begin isolation level read committed; set local statement_timeout = '10s'; \
    set local lock_timeout = '5s'; set local idle_in_transaction_session_timeout = '30s'";
/// Postgres's clock in microseconds, at the moment of evaluation and not of the transaction.
const NOW: &str = "cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)";

/// The connections of one handle.
#[derive(Debug)]
pub(super) struct Pool {
    parameters: Parameters,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Member>>,
}

#[derive(Debug)]
struct Member {
    connection: Connection,
    opened: Instant,
    used: Instant,
}

/// A transaction. Dropped without a commit it closes its connection, which rolls it back.
pub(super) struct Transaction {
    member: Member,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(parameters: Parameters) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX as usize));
        Arc::new(Self { parameters, permits, idle: Mutex::default() })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Member>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a transaction on an idle connection, or on a new one.
    pub(super) async fn begin(self: &Arc<Self>) -> Result<Transaction, Error> {
        let permit = timeout(ACQUIRE_TIMEOUT, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit
            .map_err(|_| Error::TimedOut { doing: "waiting for a connection", limit: ACQUIRE_TIMEOUT })?;
        let permit = permit.map_err(|_| Error::Closed)?;
        let transaction = |member| Transaction { member, pool: Arc::clone(self), _permit: permit };
        let idle = self.idle().pop();
        if let Some(mut member) = idle.filter(Member::is_fresh) {
            if begin(&mut member.connection).await.is_ok() {
                return Ok(transaction(member));
            }
            // The others are as old: a server that restarted has closed them all.
            self.idle().clear();
        }
        let mut connection = connect(&self.parameters).await?;
        begin(&mut connection).await?;
        let now = Instant::now();
        Ok(transaction(Member { connection, opened: now, used: now }))
    }

    /// Waits for transactions under way and closes all connections.
    pub(super) async fn close(&self) {
        let _all = self.permits.acquire_many(CONNECTIONS_MAX).await;
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle());
        for member in idle {
            let _ = timeout(ACQUIRE_TIMEOUT, member.connection.close()).await;
        }
    }
}

impl Member {
    fn is_fresh(&self) -> bool {
        self.used.elapsed() < IDLE_MAX && self.opened.elapsed() < LIFE_MAX
    }
}

impl Transaction {
    /// Runs a statement and returns the number of rows that it changed.
    pub(super) async fn execute(&mut self, statement: Statement) -> Result<u64, Error> {
        Ok(statement
            .query(NOW)
            .persistent(false)
            .execute(&mut *self.member.connection)
            .await?
            .rows_affected())
    }

    /// The rows of a statement.
    pub(super) async fn rows(&mut self, statement: Statement) -> Result<Vec<Row>, Error> {
        let rows = statement.query(NOW).persistent(false).fetch_all(&mut *self.member.connection).await?;
        Ok(rows.into_iter().map(Row::Postgres).collect())
    }

    /// Commits the transaction and gives the connection back.
    pub(super) async fn commit(mut self) -> Result<(), Error> {
        raw_sql("commit").execute(&mut *self.member.connection).await?;
        self.member.used = Instant::now();
        self.pool.idle().push(self.member);
        Ok(())
    }
}

/// Connects to the database, with the cause of a failure.
pub(super) async fn connect(parameters: &Parameters) -> Result<Connection, Error> {
    let connected = parameters.connect(ACQUIRE_TIMEOUT).await;
    connected.map_err(|error| {
        let database = parameters.database().map_or_else(String::new, |name| format!("{name} at "));
        let place = format!("{database}{}", parameters.address());
        Error::Connect { place, source: Box::new(error.into()) }
    })
}

/// Begins a transaction with the limits of this module.
async fn begin(connection: &mut Connection) -> Result<(), Error> {
    let begun = timeout(ACQUIRE_TIMEOUT, raw_sql(BEGIN).execute(&mut **connection)).await;
    begun.map_err(|_| Error::TimedOut { doing: "beginning a transaction", limit: ACQUIRE_TIMEOUT })??;
    Ok(())
}

/// Runs statements that are constants of this build.
pub(super) async fn run(connection: &mut Connection, sql: String) -> Result<(), Error> {
    raw_sql(AssertSqlSafe(sql)).execute(&mut **connection).await?;
    Ok(())
}
