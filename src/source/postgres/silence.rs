//! The question whether the server still works for a connection: see `source::silence`.

use std::{sync::Arc, time::Duration};

use sqlx::{AssertSqlSafe, Row as _, raw_sql};

use super::{Postgres, fault};
use crate::{
    postgres::{self, Ending},
    source::{
        error::{Error, cause, connection_lost},
        silence,
    },
    support::relay::Link,
};

/// The process of the server that works for a connection.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) link: Arc<Link>,
    /// How its session ends.
    pub(super) ending: Ending,
    /// Its process id, and when the server started, which tells servers behind one address apart; `None` when the
    /// server does not say.
    pub(super) process: Option<(String, String)>,
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
            done = work => done.map_err(|error| self.ended(backend, error)),
            error = self.lost(backend) => Err(error),
        }
    }

    /// The cause of `error`, when that is the end of the connection.
    fn ended(&self, backend: &Backend, error: Error) -> Error {
        match (backend.ending.fatal(), backend.link.lost()) {
            (Some(fatal), _) if error.code() == cause::CONNECTION_LOST.code => fault::of_ending(&fatal),
            (_, Some(reason)) => connection_lost(format_args!("{}: {reason}", self.address)),
            _ => error,
        }
    }

    /// Returns when the connection is lost.
    async fn lost(&self, backend: &Backend) -> Error {
        let (Some((idle, interval)), Some((id, server))) = (self.parameters.silence(), &backend.process)
        else {
            return std::future::pending().await;
        };
        silence::lost(&backend.link, &self.address, idle, interval, || self.works(id, server, interval)).await
    }

    /// Whether the `server` works for the connection of its process `id`, or cannot say. It does not when it waits for this side,
    /// has forgotten the connection, or when no new one is made in time.
    async fn works(&self, id: &str, server: &str, timeout: Duration) -> bool {
        let mut connection = match self.parameters.connect(timeout).await {
            Ok(connection) => connection,
            Err(postgres::Error::Timeout { .. }) => return false,
            // It answers, and may have no connection to spare. Whether this one lives, keepalives tell.
            Err(_) => return true,
        };
        let sql = format!(
            "select coalesce(bool_or(wait_event is null or wait_event not in ('ClientRead', 'ClientWrite')), false)\
             ::pg_catalog.text, pg_catalog.pg_postmaster_start_time()::pg_catalog.text \
             from pg_catalog.pg_stat_activity where pid = {}",
            id.parse::<i32>().unwrap_or_default()
        );
        let asked = async {
            let row = raw_sql(AssertSqlSafe(sql)).fetch_one(&mut *connection).await.ok()?;
            let _ = connection.close().await;
            Some((row.try_get::<String, _>(0).ok()?, row.try_get::<String, _>(1).ok()?))
        };
        // A pooler may have no connection for this question.
        match tokio::time::timeout(timeout, asked).await {
            Ok(Some((works, found))) => found != server || works != "false",
            _ => true,
        }
    }
}
