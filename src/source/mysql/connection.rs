//! A connection with keepalives, and the question whether the server still works for it: see `source::silence`.

use std::{io, sync::Arc, time::Duration};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, MySqlConnection, Row as _, mysql::MySqlConnectOptions, raw_sql,
};
use tokio::net::TcpStream;

use super::MySql;
use crate::{
    source::{
        error::{Error, connection_lost},
        silence,
    },
    support::relay::{Link, Relay},
};

/// Tells servers behind one address apart.
const SERVER: &str = "concat_ws(' ', @@hostname, @@port, @@server_id)";
/// States in which a server waits for its client to read.
const WRITING: [&str; 2] = ["Writing to net", "Sending to client"];

/// Longest time for the connection that ends a query.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection, and its way to the server.
pub(super) struct Session {
    pub(super) connection: MySqlConnection,
    pub(super) way: Way,
}

/// What is known of the way to a server.
#[derive(Default)]
pub(super) struct Way {
    /// `None` for a Unix socket.
    link: Option<Arc<Link>>,
    /// The server, and its thread for the connection; `None` when it does not say.
    thread: Option<(String, u64)>,
}

impl Way {
    fn lost(&self) -> Option<&str> {
        self.link.as_ref().and_then(|link| link.lost())
    }

    /// The driver's error at login, or the cause that it does not know.
    fn error_of_login(&self, error: sqlx::Error) -> sqlx::Error {
        let spoken = self.link.as_ref().and_then(|link| link.spoken());
        let other = spoken.filter(|spoken| !spoken.ends_with("MySQL"));
        match (other, self.lost()) {
            (Some(other), _) => {
                io::Error::new(io::ErrorKind::InvalidData, format!("what listens there speaks {other}"))
                    .into()
            }
            (None, Some(reason)) => io::Error::other(reason.to_owned()).into(),
            (None, None) => error,
        }
    }
}

impl MySql {
    /// Connects and logs in.
    pub(super) async fn connect(&self) -> Result<Session, sqlx::Error> {
        let options = self.connect.clone().disable_statement_logging();
        if options.get_socket().is_some() {
            return Ok(Session { connection: options.connect().await?, way: Way::default() });
        }
        let (options, link) = self.dial(options).await?;
        let way = Way { link: Some(link), thread: None };
        match options.connect().await {
            Ok(connection) => Ok(Session { connection, way }),
            Err(error) => Err(way.error_of_login(error)),
        }
    }

    async fn dial(&self, options: MySqlConnectOptions) -> io::Result<(MySqlConnectOptions, Arc<Link>)> {
        let host = options.get_host().trim_matches(['[', ']']).to_owned();
        let stream = TcpStream::connect((host, options.get_port())).await?;
        self.keepalive.apply(&stream)?;
        let relay = Relay::bind("mysql")?;
        let options = options.socket(relay.directory.join("mysql"));
        Ok((options, relay.serve(Box::new(stream), |_| ())))
    }

    /// Asks for the server's thread of a connection.
    pub(super) async fn identify(&self, session: &mut Session) {
        let sql = format!("select {SERVER}, cast(connection_id() as char)");
        let found = two_texts(&mut session.connection, sql).await;
        session.way.thread = found.and_then(|(server, thread)| Some((server, thread?.parse().ok()?)));
    }

    /// Ends the query of a thread, unless another server answers.
    async fn kill(&self, server: &str, thread: u64) {
        let Ok(mut session) = self.connect().await else { return };
        let found = two_texts(&mut session.connection, format!("select {SERVER}, ''")).await;
        if found.is_some_and(|(found, _)| found == server) {
            let sql = format!("kill query {thread}");
            let _ = raw_sql(AssertSqlSafe(sql)).execute(&mut session.connection).await;
        }
        super::farewell(session.connection).await;
    }

    /// Waits for the server in `work`, which is all that it does, until the connection is lost.
    pub(super) async fn while_alive<T>(
        &self,
        way: &Way,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            done = work => done.map_err(|error| self.lost_or(way, error)),
            error = self.lost(way) => Err(error),
        }
    }

    /// The error of a lost connection, if it is lost, else `error`.
    pub(super) fn lost_or(&self, way: &Way, error: Error) -> Error {
        way.lost().map_or(error, |reason| connection_lost(format_args!("{}: {reason}", self.address)))
    }

    /// Returns when the connection is lost, while somebody waits for the server.
    pub(super) async fn lost(&self, way: &Way) -> Error {
        let (Some(link), Some((server, thread)), true) = (&way.link, &way.thread, self.keepalive.is_on)
        else {
            return std::future::pending().await;
        };
        let (idle, interval) = (self.keepalive.idle, self.keepalive.interval);
        silence::lost(link, &self.address, idle, interval, || self.works_for(server, *thread, interval)).await
    }

    /// Whether the server works for its `thread`, or cannot say. It does not when no new connection is made in time.
    async fn works_for(&self, server: &str, thread: u64, timeout: Duration) -> bool {
        let mut session = match tokio::time::timeout(timeout, self.connect()).await {
            Ok(Ok(session)) => session,
            // It answers, and may have no connection to spare. Whether this one lives, keepalives tell.
            Ok(Err(_)) => return true,
            Err(_) => return false,
        };
        let sql = format!(
            "select {SERVER}, (select concat(command, '/', coalesce(state, '')) \
             from information_schema.processlist where id = {thread})"
        );
        let asked = tokio::time::timeout(timeout, two_texts(&mut session.connection, sql)).await;
        super::farewell(session.connection).await;
        let Ok(Some((found, activity))) = asked else { return true };
        let is_waiting = activity.is_none_or(|activity| {
            let (command, state) = activity.split_once('/').unwrap_or((&activity, ""));
            command == "Sleep" || WRITING.contains(&state)
        });
        found != server || !is_waiting
    }
}

/// A query that the server works on. Dropped before its end, it is ended on the server, too: a server notices that nobody
/// waits any more only when it has a row to send.
pub(super) struct RunningQuery(Option<(MySql, String, u64)>);

impl RunningQuery {
    pub(super) fn new(mysql: &MySql, way: &Way) -> Self {
        Self(way.thread.clone().map(|(server, thread)| (mysql.clone(), server, thread)))
    }

    /// The server has nothing more to do for it.
    pub(super) fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for RunningQuery {
    fn drop(&mut self) {
        if let Some((mysql, server, thread)) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move {
                let _ = tokio::time::timeout(KILL_TIMEOUT, mysql.kill(&server, thread)).await;
            });
        }
    }
}

/// The first row of a query of two texts.
async fn two_texts(connection: &mut MySqlConnection, sql: String) -> Option<(String, Option<String>)> {
    let row = raw_sql(AssertSqlSafe(sql)).fetch_one(&mut *connection).await.ok()?;
    Some((row.try_get_unchecked(0).ok()?, row.try_get_unchecked(1).ok()?))
}
