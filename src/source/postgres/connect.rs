//! From a URL to a connection, with TLS unless the server is on this machine.

use std::{borrow::Cow, time::Duration};

use sqlx::{
    ConnectOptions as _,
    postgres::{PgConnectOptions, PgConnection, PgSslMode},
};

use super::fault;
use crate::{
    source::error::{Error, cause},
    support::postgres_url,
};

/// The parameters of a URL that are understood; any other is refused, since one that is ignored
/// may be one that was meant to protect.
const PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// How one server is reached.
#[derive(Clone)]
pub(super) struct Connector {
    options: PgConnectOptions,
    timeout: Duration,
    /// What messages call the server: `host:port`, or the directory of its socket.
    address: String,
}

impl std::fmt::Debug for Connector {
    /// The options hold the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Connector {
    /// Reads `url`. The error says what is wrong with it, without its secrets.
    pub(super) fn open(url: &str, timeout: Duration) -> Result<Self, String> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err("it does not begin with postgres://".to_owned());
        }
        if url.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
            return Err("it has white space or a control character in it".to_owned());
        }
        let names = parameters(url);
        if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
            return Err(format!("it has a parameter `{unknown}` that is not understood"));
        }
        let url = with_host(url, &names);
        let mut options: PgConnectOptions = url.parse().map_err(|error| reason(&error))?;
        if let Some(bare) = options.get_host().strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            // The brackets of an IPv6 address are the URL's, not the resolver's.
            let bare = bare.to_owned();
            options = options.host(&bare);
        }
        let address = match options.get_socket() {
            Some(directory) => directory.display().to_string(),
            None if options.get_host().starts_with('/') => options.get_host().to_owned(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        if !names.iter().any(|name| matches!(*name, "sslmode" | "ssl-mode")) {
            let host = if options.get_socket().is_some() { &address } else { options.get_host() };
            let is_elsewhere = postgres_url::needs_verify_full(&url, host);
            // Set in both cases: PGSSLMODE does not count.
            options = options.ssl_mode(if is_elsewhere { PgSslMode::VerifyFull } else { PgSslMode::Prefer });
        }
        options = options.application_name("larder").extra_float_digits(None).disable_statement_logging();
        Ok(Self { options, timeout, address })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) async fn connect(&self) -> Result<PgConnection, Error> {
        if let Ok(result) = tokio::time::timeout(self.timeout, self.attempt()).await {
            return result;
        }
        let (address, timeout_ms) = (&self.address, self.timeout.as_millis());
        let message = format!("no connection to {address} within {timeout_ms} ms");
        Err(Error::new(cause::CONNECT_TIMEOUT, message).with_hint("check host, port and firewalls"))
    }

    async fn attempt(&self) -> Result<PgConnection, Error> {
        let host = self.options.get_host();
        if self.options.get_socket().is_none() && !host.starts_with('/') {
            // Asked first, so that a wrong name is told from a server that does not answer.
            let found = tokio::net::lookup_host((host, self.options.get_port())).await;
            let _ = found.map_err(|error| {
                Error::new(cause::HOST_UNKNOWN, format!("cannot find the host `{host}`: {error}"))
                    .with_hint("check the name in the URL, and this machine's DNS")
            })?;
        }
        self.options.connect().await.map_err(|error| fault::of_connecting(error, &self.address))
    }
}

/// `postgres://user@/database?host=...`, which Postgres's own tools take, with the host that the
/// URL's grammar asks for; the parameter overrides it.
fn with_host<'a>(url: &'a str, names: &[&str]) -> Cow<'a, str> {
    let Some((scheme, rest)) = url.split_once("://") else { return Cow::Borrowed(url) };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    if !rest[..end].ends_with('@') || !names.contains(&"host") {
        return Cow::Borrowed(url);
    }
    Cow::Owned(format!("{scheme}://{}localhost{}", &rest[..end], &rest[end..]))
}

/// The names of the URL's parameters.
fn parameters(url: &str) -> Vec<&str> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name)).collect()
}

fn is_known(name: &str) -> bool {
    PARAMETERS.contains(&name) || (name.starts_with("options[") && name.ends_with(']'))
}

/// What is wrong with a URL. The parser's own words hold no part of it but the value of `sslmode`.
fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Configuration(cause) => match cause.downcast_ref::<sqlx::Error>() {
            Some(inner) => reason(inner),
            None => cause.to_string(),
        },
        _ => "it is not a URL".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(url: &str) -> Result<Connector, String> {
        Connector::open(url, Duration::from_secs(1))
    }

    #[test]
    fn other_machines_need_tls() {
        use PgSslMode::{Disable, Prefer, VerifyFull};
        for (url, address, mode) in [
            ("postgres://u:p@localhost/d", "localhost:5432", Prefer),
            ("postgresql://127.1.2.3:5433/d", "127.1.2.3:5433", Prefer),
            ("postgres://u@[::1]:7/d", "::1:7", Prefer),
            ("postgres:///d?host=/run/pg", "/run/pg", Prefer),
            ("postgres://u:p@/d?host=/run/pg", "/run/pg", Prefer),
            ("postgres://u:p@/d?host=db.example.com", "db.example.com:5432", VerifyFull),
            ("postgres://%2Frun%2Fpg/d", "/run/pg", Prefer),
            ("postgres://db.example.com/d", "db.example.com:5432", VerifyFull),
            ("postgres://localhost.example.com/d", "localhost.example.com:5432", VerifyFull),
            ("postgres://10.0.0.1/d?application_name=sslmode", "10.0.0.1:5432", VerifyFull),
            ("postgres://localhost/d?host=10.0.0.1", "10.0.0.1:5432", VerifyFull),
            ("postgres://10.0.0.1/d?sslmode=disable", "10.0.0.1:5432", Disable),
            ("postgres://localhost/d?port=6&sslmode=verify-full", "localhost:6", VerifyFull),
        ] {
            let connector = open(url).unwrap();
            assert_eq!(connector.address(), address, "{url}");
            let found = connector.options.get_ssl_mode();
            assert_eq!(format!("{found:?}"), format!("{mode:?}"), "{url}");
        }
    }

    #[test]
    fn wrong_urls_are_refused_without_their_secrets() {
        for (url, part) in [
            ("mysql://u:secret@h/d", "postgres://"),
            ("u:secret@h/d", "postgres://"),
            ("postgres://u:secret@h:port/d", "port"),
            ("postgres://u:secret@h/d?sslmode=maybe", "maybe"),
            ("postgres://u@h/d?passwd=secret", "passwd"),
            ("postgres://u:secret@h/d?channel_binding=require", "channel_binding"),
        ] {
            let reason = open(url).unwrap_err();
            assert!(reason.contains(part), "{reason}");
            assert!(!reason.contains("secret"), "{reason}");
        }
        let connector = open("postgres://u:secret@h/d").unwrap();
        assert!(!format!("{connector:?}").contains("secret"));
    }
}
