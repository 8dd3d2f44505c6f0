//! Gives up a connection over which nothing comes any more although the server has answered, and waits for a query
//! that is only slow.
//!
//! Keepalives notice a network that is gone. They do not notice a proxy that keeps the connection and forwards
//! nothing. So after some silence the server is asked, over another connection, what it is doing for this one.

use std::{sync::Arc, time::Duration};

use sqlx::{AssertSqlSafe, Row as _, raw_sql};

use super::Postgres;
use crate::{
    postgres,
    source::error::{Error, connection_lost},
    support::relay::Link,
};

/// Answers in a row without which a connection is given up: the first may have crossed the server's.
const MISSES_MAX: u32 = 2;

/// The process of the server that works for a connection.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) link: Arc<Link>,
    /// Its process id.
    pub(super) id: String,
    /// When the server started, which tells servers behind one address apart.
    pub(super) server: String,
}

/// What a server does for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activity {
    /// It works, or cannot say.
    Working,
    /// It waits for this side, or has forgotten it.
    Waiting,
    /// It does not answer.
    Silent,
}

impl Postgres {
    /// Waits for the server in `work`, which is all that it does, until the connection of `backend` is lost.
    pub(super) async fn while_alive<T>(
        &self,
        backend: &Backend,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            done = work => done.map_err(|error| match backend.link.lost() {
                Some(reason) => connection_lost(format_args!("{}: {reason}", self.address)),
                None => error,
            }),
            error = self.lost(backend) => Err(error),
        }
    }

    /// Returns when the connection is lost.
    async fn lost(&self, backend: &Backend) -> Error {
        let Some((idle, interval)) = self.parameters.silence() else { return std::future::pending().await };
        let mut misses = 0;
        loop {
            let silence = backend.link.silence();
            if silence < idle {
                misses = 0;
                tokio::time::sleep(idle.saturating_sub(silence)).await;
                continue;
            }
            misses = if self.activity(backend, interval).await == Activity::Working { 0 } else { misses + 1 };
            let silence = backend.link.silence();
            if misses >= MISSES_MAX && silence >= idle {
                return connection_lost(format_args!(
                    "nothing came from {} for {} s, and it is not working on the query",
                    self.address,
                    silence.as_secs()
                ));
            }
            tokio::time::sleep(interval).await;
        }
    }

    /// Asks what the server does for the connection of `backend`.
    async fn activity(&self, backend: &Backend, timeout: Duration) -> Activity {
        let mut connection = match self.parameters.connect(timeout).await {
            Ok(connection) => connection,
            Err(postgres::Error::Timeout { .. }) => return Activity::Silent,
            // It answers, and may have no connection to spare. Whether this one lives, keepalives tell.
            Err(_) => return Activity::Working,
        };
        let sql = format!(
            "select coalesce(bool_or(wait_event is null or wait_event not in ('ClientRead', 'ClientWrite')), false)\
             ::pg_catalog.text, pg_catalog.pg_postmaster_start_time()::pg_catalog.text \
             from pg_catalog.pg_stat_activity where pid = {}",
            backend.id.parse::<i32>().unwrap_or_default()
        );
        let asked = async {
            let row = raw_sql(AssertSqlSafe(sql)).fetch_one(&mut *connection).await.ok()?;
            let _ = connection.close().await;
            Some((row.try_get::<String, _>(0).ok()?, row.try_get::<String, _>(1).ok()?))
        };
        // A pooler may have no connection for this question.
        match tokio::time::timeout(timeout, asked).await {
            Ok(Some((works, server))) if server == backend.server && works == "false" => Activity::Waiting,
            _ => Activity::Working,
        }
    }
}
