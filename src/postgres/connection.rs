//! A connection that is logged in.

use std::{
    fmt::Write as _,
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::{
    ConnectOptions as _, Connection as _,
    postgres::{PgConnectOptions, PgConnection, PgSslMode},
};

use super::{
    dial::{CLIENT_CERTIFICATE_HINT, Encryption, Step, dial, enter},
    ending::Ending,
    error::{Error, HIDDEN},
    parameters::{Host, Mode, Parameters},
};
use crate::support::{
    relay::{Link, Relay},
    secret::ExposeSecret as _,
};

/// Port in the name of the relay's socket: sqlx builds the name from directory and port.
const RELAY_PORT: u16 = 1;

/// What stands around a name in the words of a server, whatever its language.
const QUOTES: [char; 7] = ['"', '\'', '`', '«', '»', '“', '”'];

/// A connection of sqlx, and what is known of its way to the server.
#[derive(Debug)]
pub(crate) struct Connection {
    inner: PgConnection,
    link: Arc<Link>,
    ending: Ending,
}

impl Deref for Connection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.inner
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.inner
    }
}

impl Connection {
    /// The way to the server, also after the connection has ended.
    pub(crate) fn link(&self) -> Arc<Link> {
        Arc::clone(&self.link)
    }

    /// How the session ends, also after the connection has ended.
    pub(crate) fn ending(&self) -> Ending {
        self.ending.clone()
    }

    /// Ends the session on the server, and closes the connection.
    pub(crate) async fn close(self) -> Result<(), sqlx::Error> {
        self.inner.close().await
    }
}

impl Parameters {
    /// Connects and logs in, within the URL's `connect_timeout`, or `timeout` without one.
    pub(crate) async fn connect(&self, timeout: Duration) -> Result<Connection, Error> {
        let timeout = self.connect_timeout.unwrap_or(timeout);
        let step = Step::new("beginning");
        let connected = tokio::time::timeout(timeout, Box::pin(self.attempts(timeout, &step))).await;
        connected.unwrap_or_else(|_| {
            let step = *step.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            Err(Error::Timeout { address: self.address(), step, timeout })
        })
    }

    /// The attempts that libpq makes for each `sslmode`.
    async fn attempts(&self, timeout: Duration, step: &Step) -> Result<Connection, Error> {
        let (first, second) = match self.tls.mode {
            Mode::Disable => (Encryption::Never, None),
            Mode::Allow => (Encryption::Never, Some(Encryption::Always)),
            Mode::Prefer => (Encryption::IfOffered, Some(Encryption::Never)),
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => (Encryption::Always, None),
        };
        let error = match (self.attempt(first, timeout, step).await, second) {
            (Err(error), Some(_)) if error.depends_on_tls() => error,
            (done, _) => return done,
        };
        let again = self.attempt(second.unwrap_or(first), timeout, step).await;
        // Of two failures the one with TLS tells more.
        if first == Encryption::Never { again } else { again.map_err(|_| error) }
    }

    async fn attempt(
        &self,
        encryption: Encryption,
        timeout: Duration,
        step: &Step,
    ) -> Result<Connection, Error> {
        let server = dial(self, encryption, timeout, step).await?;
        enter(step, "login");
        let unreachable = |error: std::io::Error| Error::Unreachable {
            address: self.address(),
            reason: format!("no local socket: {error}"),
        };
        let relay = Relay::bind(&format!(".s.PGSQL.{RELAY_PORT}")).map_err(unreachable)?;
        let options = self.options()?.socket(&relay.directory).port(RELAY_PORT);
        let ending = Ending::default();
        let observer = ending.clone();
        let link = relay.serve(server, move |bytes| observer.follow(bytes));
        let inner = options.connect().await.map_err(|error| self.login_error(error, &link))?;
        Ok(Connection { inner, link, ending })
    }

    /// What sqlx sends at login. Without a password in the URL it takes `PGPASSWORD` or that of the password file.
    fn options(&self) -> Result<PgConnectOptions, Error> {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let default_user = PgConnectOptions::new_without_pgpass();
        let user = self.user.as_deref().unwrap_or_else(|| default_user.get_username());
        let mut url = format!("postgres://{}", encoded(user));
        if let Some(password) = &self.password {
            let _ = write!(url, ":{}", encoded(password.expose_secret()));
        }
        let host = match &self.host {
            Host::Name(name) if !name.contains([':', '%']) => name.as_str(),
            _ => "localhost",
        };
        let _ =
            write!(url, "@{host}:{}/{}", self.port, encoded(self.database.as_deref().unwrap_or_default()));
        let _ = write!(url, "?application_name={}", encoded(&self.application_name));
        if let Some(options) = &self.options {
            let _ = write!(url, "&options={}", encoded(options));
        }
        let options: PgConnectOptions = url.parse().map_err(|_| Error::Unreachable {
            address: self.address(),
            reason: "the host is no name for a URL".to_owned(),
        })?;
        // Poolers know no `extra_float_digits` at login, and named statements outlive transactions.
        Ok(options
            .ssl_mode(PgSslMode::Disable)
            .extra_float_digits(None)
            .statement_cache_capacity(0)
            .disable_statement_logging())
    }

    fn login_error(&self, error: sqlx::Error, link: &Link) -> Error {
        let address = self.address();
        let is_answer = error.as_database_error().is_some();
        if let Some(spoken) = link.spoken().filter(|spoken| !is_answer && !spoken.ends_with("Postgres")) {
            return Error::OtherProtocol { address, spoken: Some(spoken) };
        }
        match error {
            sqlx::Error::Io(_) => match link.lost() {
                Some(reason) if reason.contains("received fatal alert") => {
                    Error::Tls { address, reason: reason.to_owned(), hint: CLIENT_CERTIFICATE_HINT }
                }
                Some(reason) => Error::Unreachable { address, reason: reason.to_owned() },
                None => Error::Closed { address, step: "login" },
            },
            // GSSAPI and the like: sqlx cannot do it.
            sqlx::Error::Protocol(what) if what.contains("authentication") => {
                let words =
                    Some("the server demands a login other than by password or certificate".to_owned());
                Error::Login { address, source: Box::new(sqlx::Error::Protocol(what)), words }
            }
            sqlx::Error::Protocol(_) => Error::OtherProtocol { address, spoken: None },
            other => {
                let words = other.as_database_error().map(|error| self.without_login(error.message()));
                Error::Login { address, source: Box::new(other), words }
            }
        }
    }

    /// The server's words without the user's name and the options, which messages never show. Names of options that
    /// the server knows stay: they are its own.
    fn without_login(&self, words: &str) -> String {
        let knows_name = ["invalid value for parameter", "parameter ", "permission denied to set parameter"]
            .iter()
            .any(|begin| words.starts_with(begin));
        let is_option = |name: &str| {
            let options = self.options.as_deref().unwrap_or_default();
            options.contains(&format!("={name}")) || !knows_name && options.contains(&format!("{name}="))
        };
        let is_hidden = |name: &str| {
            !name.trim().is_empty()
                && Some(name) != self.database.as_deref()
                && (Some(name) == self.user.as_deref() || is_option(name))
        };
        let mut shown = String::new();
        for piece in words.split_inclusive(QUOTES) {
            let name = piece.trim_end_matches(QUOTES);
            shown.push_str(if is_hidden(name) { HIDDEN } else { name });
            shown.push_str(&piece[name.len()..]);
        }
        // What is no setting is repeated without quotes.
        let options = self.options.iter().flat_map(|options| options.split_whitespace());
        let others = options.map(|option| option.trim_start_matches('-'));
        others.filter(|option| option.len() > 1).fold(shown, |shown, option| shown.replace(option, HIDDEN))
    }
}
