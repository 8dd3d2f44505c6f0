//! A connection: TCP with keepalives, TLS and login by the driver, and a session whose settings the values depend on.

use tiberius::{Client, Config};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt as _};

use super::{Isolation, SNAPSHOT_OFF, SqlServer};
use crate::{
    source::{
        cell::CELL_BYTES_MAX,
        error::{Error, cannot_connect, cause},
    },
    support::{result_code::Phase, tcp::Keepalive},
};

/// Most servers that a login is sent on to: Azure sends it from its gateway to the database, and no further.
const REDIRECTS_MAX: usize = 3;

/// A logged-in connection.
pub(super) type Session = Client<Compat<TcpStream>>;

/// What the values of a query depend on, whatever the server, the database or the login has.
const SETTINGS: &str = "set ansi_nulls, ansi_padding, ansi_warnings, arithabort, concat_null_yields_null, \
     quoted_identifier on; set numeric_roundabort, implicit_transactions off; set language us_english; \
     set datefirst 7; set dateformat mdy; set nocount on; set rowcount 0";
/// How the database lets a query read one snapshot.
const ISOLATION: &str = "select case when snapshot_isolation_state = 1 then 'snapshot' \
     when is_read_committed_snapshot_on = 1 then 'read committed' else '' end as isolation \
     from sys.databases where database_id = db_id()";

impl SqlServer {
    /// A connection inside a transaction that is never committed.
    pub(super) async fn begin(&self) -> Result<Session, Error> {
        let begun = tokio::time::timeout(self.connect_timeout, self.begin_unbounded()).await;
        begun.unwrap_or_else(|_| {
            let limit = self.connect_timeout.as_millis();
            let message = format!("{} did not answer within {limit} ms", self.address());
            Err(Error::new(cause::CONNECT_TIMEOUT, message)
                .with_hint("check `host`, `port` and firewalls on the way"))
        })
    }

    async fn begin_unbounded(&self) -> Result<Session, Error> {
        let mut session = Box::pin(self.connect()).await?;
        // A larger value is cut by the server, and is then still too large to be served.
        let text_bytes_max = 2 * CELL_BYTES_MAX + 4;
        self.run(&mut session, format!("{SETTINGS}; set textsize {text_bytes_max}")).await?;
        let level = match self.isolation {
            Isolation::ReadCommitted => "read committed".to_owned(),
            Isolation::Snapshot => self.snapshot_level(&mut session).await?,
        };
        self.run(&mut session, format!("set transaction isolation level {level}; begin transaction")).await?;
        Ok(session)
    }

    async fn connect(&self) -> Result<Session, Error> {
        let (mut host, mut port, mut config) = (self.host.clone(), self.port, self.config.clone());
        for _ in 0..REDIRECTS_MAX {
            let failed = |error| cannot_connect(&error, &self.address());
            let stream = TcpStream::connect((host.as_str(), port)).await.map_err(failed)?;
            Keepalive::default().apply(&stream).map_err(failed)?;
            match Box::pin(Client::connect(config.clone(), stream.compat_write())).await {
                Ok(session) => return Ok(session),
                Err(tiberius::error::Error::Routing { host: next, port: next_port }) => {
                    redirect(&mut config, &next, next_port);
                    (host, port) = (next, next_port);
                }
                Err(error) => return Err(self.failed(&error, Phase::Login)),
            }
        }
        let message = format!("{} sends the login on and on", self.address());
        Err(Error::new(cause::UNREACHABLE, message).with_hint("name the server itself in `host`"))
    }

    async fn snapshot_level(&self, session: &mut Session) -> Result<String, Error> {
        let rows = self.rows(session, ISOLATION.to_owned(), Phase::OwnStatement).await?;
        let level = rows.first().and_then(|row| row.try_get::<&str, _>(0).ok().flatten()).unwrap_or_default();
        if !level.is_empty() {
            return Ok(level.to_owned());
        }
        Err(Error::new(SNAPSHOT_OFF, "the database lets no query read one snapshot").with_hint(
            "alter database ... set allow_snapshot_isolation on; or set isolation = \"read_committed\" of the \
             source, with which rows that move while they are read can be missing",
        ))
    }

    /// The rows of a query of our own.
    pub(super) async fn rows(
        &self,
        session: &mut Session,
        sql: String,
        phase: Phase,
    ) -> Result<Vec<tiberius::Row>, Error> {
        let read = async { session.simple_query(sql).await?.into_first_result().await };
        read.await.map_err(|error| self.failed(&error, phase))
    }

    async fn run(&self, session: &mut Session, sql: String) -> Result<(), Error> {
        self.rows(session, sql, Phase::OwnStatement).await.map(drop)
    }
}

/// Sends the next login to another server. In strict encryption its certificate is the one that is checked.
fn redirect(config: &mut Config, host: &str, port: u16) {
    config.host(host);
    config.port(port);
}
