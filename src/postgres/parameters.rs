//! The parameters of a connection: those of libpq
//! (<https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS>), read from a URL.
//!
//! A parameter is honoured, or accepted because it changes nothing here, or refused: one that is passed over may
//! be one that was meant to protect.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use strum::{EnumString, VariantNames};

use super::{
    error::Error,
    refused::{is_one_of, refusal, wrong_value},
    tls,
    url::{self, Fault},
};
use crate::support::{secret::SecretString, tcp::Keepalive};

/// Port of a URL without one.
const PORT: u16 = 5432;
/// Longest `connect_timeout`: as that of a source.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_mins(10);
/// Bounds of the parameters of keepalives: what Linux takes.
const KEEPALIVE_SECONDS_MAX: u64 = 32_767;
const KEEPALIVES_COUNT_MAX: u64 = 127;
/// Longest `tcp_user_timeout` in milliseconds, an hour: a longer one detects nothing.
const USER_TIMEOUT_MS_MAX: u64 = 3_600_000;

/// How one server is reached and logged in to.
#[derive(Clone)]
pub struct Parameters {
    pub(super) host: Host,
    /// `hostaddr`: connect to it instead of asking DNS for the host.
    pub(super) host_address: Option<IpAddr>,
    pub(super) port: u16,
    pub(super) user: Option<String>,
    pub(super) password: Option<SecretString>,
    pub(super) database: Option<String>,
    pub(super) application_name: String,
    /// Command-line options of the session.
    pub(super) options: Option<String>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) keepalive: Keepalive,
    pub(super) tls: Tls,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    /// A host name or IP address.
    Name(String),
    /// The directory of a Unix socket.
    Socket(PathBuf),
}

/// The encryption of a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Tls {
    pub(super) mode: Mode,
    /// TLS begins without a request for it (`sslnegotiation=direct`).
    pub(super) is_direct: bool,
    /// The server's authorities; `None` when the URL names none.
    pub(super) root: Option<Root>,
    /// Files with the client's certificate and its key.
    pub(super) client: Option<(PathBuf, PathBuf)>,
    /// Whether the host is named in the handshake (`sslsni`).
    pub(super) hides_name: bool,
    pub(super) version_min: Version,
    pub(super) version_max: Version,
}

/// The authorities that a server's certificate may be from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Root {
    /// Those of this machine.
    System,
    /// Those of a file.
    File(PathBuf),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Mode {
    Disable,
    Allow,
    #[default]
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Both bounds default to what the TLS library has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    #[default]
    Unset,
    Tls12,
    Tls13,
}

impl std::fmt::Debug for Parameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parameters").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Parameters {
    /// Reads a URL. `path_of` makes a path of the value of `sslrootcert`, `sslcert` and `sslkey`, where a relative
    /// one may be from another directory than the working directory.
    ///
    /// # Errors
    /// A fault without any part of the URL.
    pub fn parse(url: &str, path_of: &dyn Fn(&str) -> PathBuf) -> Result<Self, Fault> {
        let mut parts = url::split(url)?;
        let pairs = std::mem::take(&mut parts.parameters);
        let mut reader = Reader { parts, ..Reader::default() };
        for (name, value) in &pairs {
            reader.read(name, value, path_of)?;
        }
        reader.finish()
    }

    /// Reads the files of certificates that a connection would read; connects to nothing. Blocks.
    pub(crate) fn check_files(&self) -> Result<(), Error> {
        let has_file = matches!(self.tls.root, Some(Root::File(_))) || self.tls.client.is_some();
        if !has_file || self.tls.mode == Mode::Disable {
            return Ok(());
        }
        tls::client_config(&self.tls).map(drop)
    }

    /// How messages call the server: `host:port`, or the directory of its socket.
    pub fn address(&self) -> String {
        match &self.host {
            Host::Name(name) if name.contains(':') => format!("[{name}]:{}", self.port),
            Host::Name(name) => format!("{name}:{}", self.port),
            Host::Socket(directory) => directory.display().to_string(),
        }
    }

    /// The database's name, when the URL has one.
    pub(crate) fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// After how much silence the server is asked whether it still works on a query, and how often; `None` with
    /// `keepalives=0`.
    pub(crate) fn silence(&self) -> Option<(Duration, Duration)> {
        self.keepalive.is_on.then_some((self.keepalive.idle, self.keepalive.interval))
    }
}

/// What has been read of a URL.
#[derive(Default)]
struct Reader {
    parts: url::Parts,
    host_address: Option<IpAddr>,
    application_name: Option<String>,
    fallback_application_name: Option<String>,
    options: Option<String>,
    connect_timeout: Option<Duration>,
    keepalive: Keepalive,
    mode: Option<Mode>,
    tls: Tls,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    sends_no_certificate: bool,
}

impl Reader {
    /// Reads one parameter. Faults have names of this table and never what the URL has in their place.
    fn read(&mut self, name: &str, value: &str, path_of: &dyn Fn(&str) -> PathBuf) -> Result<(), Fault> {
        let text = || Some(value.to_owned()).filter(|value| !value.is_empty());
        let path = || text().map(|path| path_of(&path));
        let one_of = |name, words| is_one_of(name, value, words);
        let seconds = |name| number(name, value, 1..=KEEPALIVE_SECONDS_MAX).map(Duration::from_secs);
        match name {
            "host" => self.parts.host = text(),
            "hostaddr" => self.host_address = Some(host_address(value)?),
            "port" => self.parts.port = text(),
            "dbname" => self.parts.database = text(),
            "user" => self.parts.user = text(),
            "password" => self.parts.password = text(),
            "options" => self.options = text(),
            "application_name" => self.application_name = text(),
            "fallback_application_name" => self.fallback_application_name = text(),
            "connect_timeout" => self.connect_timeout = connect_timeout(value)?,
            "keepalives" => self.keepalive.is_on = flag("keepalives", value)?,
            "keepalives_idle" => self.keepalive.idle = seconds("keepalives_idle")?,
            "keepalives_interval" => self.keepalive.interval = seconds("keepalives_interval")?,
            "keepalives_count" => {
                self.keepalive.count = number("keepalives_count", value, 1..=KEEPALIVES_COUNT_MAX)? as u32;
            }
            "tcp_user_timeout" => {
                let timeout_ms = number("tcp_user_timeout", value, 0..=USER_TIMEOUT_MS_MAX)?;
                self.keepalive.user_timeout = Duration::from_millis(timeout_ms);
            }
            "sslmode" => self.mode = Some(mode(value)?),
            // For URLs of JDBC, as in libpq.
            "ssl" if value == "true" => self.mode = Some(Mode::Require),
            "sslnegotiation" => {
                one_of("sslnegotiation", &["postgres", "direct"])?;
                self.tls.is_direct = value == "direct";
            }
            "sslrootcert" if value == "system" => self.tls.root = Some(Root::System),
            "sslrootcert" => self.tls.root = path().map(Root::File),
            "sslcert" => self.certificate = path(),
            "sslkey" => self.key = path(),
            "sslcertmode" => {
                one_of("sslcertmode", &["disable", "allow"])?;
                self.sends_no_certificate = value == "disable";
            }
            "sslsni" => self.tls.hides_name = !flag("sslsni", value)?,
            "ssl_min_protocol_version" => self.tls.version_min = version("ssl_min_protocol_version", value)?,
            "ssl_max_protocol_version" => self.tls.version_max = version("ssl_max_protocol_version", value)?,
            // Text is always requested in UTF-8.
            "client_encoding"
                if ["utf8", "utf-8", "unicode", "auto"].contains(&&*value.to_ascii_lowercase()) => {}
            "client_encoding" => one_of("client_encoding", &[])?,
            // There is no channel binding: `verify-full` proves the same.
            "channel_binding" => one_of("channel_binding", &["prefer", "disable"])?,
            // There is no encryption by GSSAPI, which both values allow.
            "gssencmode" => one_of("gssencmode", &["disable", "prefer"])?,
            // With one host there is nothing to choose from.
            "target_session_attrs" => one_of("target_session_attrs", &["any", "prefer-standby"])?,
            "load_balance_hosts" => one_of("load_balance_hosts", &["disable", "random"])?,
            "replication" => one_of("replication", &["false", "off", "no", "0"])?,
            // sqlx speaks version 3.0, which every server does.
            "min_protocol_version" => one_of("min_protocol_version", &["3.0"])?,
            "max_protocol_version" => one_of("max_protocol_version", &["3.0", "3.2", "latest"])?,
            // Without effect in libpq, too (`sslcompression`), or without Kerberos; a pooler is always reckoned with.
            "sslcompression" | "krbsrvname" | "gsslib" | "gssdelegation" | "pgbouncer" => {}
            _ => return Err(refusal(name)),
        }
        Ok(())
    }

    fn finish(self) -> Result<Parameters, Fault> {
        let port = match self.parts.port.as_deref().map(str::parse::<u16>) {
            None => PORT,
            Some(Ok(port @ 1..)) => port,
            Some(_) if self.parts.port.as_ref().is_some_and(|port| port.contains(',')) => {
                return Err(url::several_hosts());
            }
            Some(_) if self.parts.port.is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit())) => {
                return Err(Fault::new("has a port that is not from 1 to 65535", "write host:5432"));
            }
            Some(_) => return Err(Fault::new("has no number after the `:` of its host", "write host:5432")),
        };
        let host = host(self.parts.host, self.host_address)?;
        let mut tls = self.tls;
        tls.mode = match (&host, self.mode) {
            // As in libpq, there is no TLS on a socket.
            (Host::Socket(_), _) => Mode::Disable,
            (_, Some(mode)) => mode,
            (_, None) if tls.root == Some(Root::System) => Mode::VerifyFull,
            (Host::Name(name), None) if is_loopback(name, self.host_address) => Mode::Prefer,
            (_, None) => Mode::VerifyFull,
        };
        if !matches!(host, Host::Socket(_)) {
            check_tls(&tls)?;
        }
        tls.client = match (self.certificate, self.key) {
            _ if self.sends_no_certificate => None,
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (Some(_), None) => {
                return Err(Fault::new("has sslcert without sslkey", "name the key's file with sslkey"));
            }
            (None, Some(_)) => {
                return Err(Fault::new(
                    "has sslkey without sslcert",
                    "name the certificate's file with sslcert",
                ));
            }
        };
        let application_name = self.application_name.or(self.fallback_application_name);
        Ok(Parameters {
            host,
            host_address: self.host_address,
            port,
            user: self.parts.user,
            password: self.parts.password.map(SecretString::from),
            database: self.parts.database,
            application_name: application_name.unwrap_or_else(|| "larder".to_owned()),
            options: self.options,
            connect_timeout: self.connect_timeout,
            keepalive: self.keepalive,
            tls,
        })
    }
}

/// The host of a URL. One that cannot be a host's name is a fault, so that messages may show it.
fn host(host: Option<String>, host_address: Option<IpAddr>) -> Result<Host, Fault> {
    let host = match (host, host_address) {
        (Some(host), _) => host,
        (None, Some(address)) => address.to_string(),
        // libpq's default: PGHOST, or the socket of this machine.
        (None, None) => sqlx::postgres::PgConnectOptions::new_without_pgpass().get_host().to_owned(),
    };
    if host.starts_with('/') {
        return Ok(Host::Socket(PathBuf::from(host)));
    }
    let is_name = |letter: char| letter.is_alphanumeric() || "-._:%".contains(letter);
    if host.contains(',') {
        return Err(url::several_hosts());
    }
    if !host.chars().all(is_name) {
        return Err(Fault::new(
            "has a host that is no name and no address",
            "write a host name, an address, [IPv6 address], or the directory of a socket with / as %2F; \
             percent-encode such characters in user and password",
        ));
    }
    Ok(Host::Name(host))
}

/// Whether a host can only be this machine: `localhost` or a loopback address.
fn is_loopback(host: &str, host_address: Option<IpAddr>) -> bool {
    match host_address.or_else(|| host.parse().ok()) {
        Some(address) => address.to_canonical().is_loopback(),
        None => host.eq_ignore_ascii_case("localhost"),
    }
}

/// Combinations that libpq refuses, and versions that no handshake can have.
fn check_tls(tls: &Tls) -> Result<(), Fault> {
    if tls.root == Some(Root::System) && tls.mode != Mode::VerifyFull {
        return Err(Fault::new(
            "has sslrootcert=system with a weaker sslmode than verify-full",
            "write sslmode=verify-full: everybody can have a certificate of a public authority",
        ));
    }
    if tls.is_direct && matches!(tls.mode, Mode::Disable | Mode::Allow | Mode::Prefer) {
        return Err(Fault::new(
            "has sslnegotiation=direct with a weaker sslmode than require",
            "write sslmode=verify-full, or leave sslnegotiation out",
        ));
    }
    if tls.version_max != Version::Unset && tls.version_min > tls.version_max {
        return Err(Fault::new(
            "has an ssl_min_protocol_version above its ssl_max_protocol_version",
            "leave ssl_max_protocol_version out",
        ));
    }
    Ok(())
}

fn mode(value: &str) -> Result<Mode, Fault> {
    value.parse().map_err(|_| {
        let hint = format!("write one of {}", Mode::VARIANTS.join(", "));
        Fault::new("has an sslmode that does not exist", hint)
    })
}

fn version(name: &str, value: &str) -> Result<Version, Fault> {
    match value.to_ascii_lowercase().as_str() {
        // Older versions than 1.2 are never used.
        "tlsv1" | "tlsv1.1" if name == "ssl_min_protocol_version" => Ok(Version::Tls12),
        "tlsv1.2" => Ok(Version::Tls12),
        "tlsv1.3" => Ok(Version::Tls13),
        _ => Err(wrong_value(name, "write TLSv1.2 or TLSv1.3, or leave it out")),
    }
}

fn host_address(value: &str) -> Result<IpAddr, Fault> {
    if value.contains(',') {
        return Err(url::several_hosts());
    }
    value.parse().map_err(|_| wrong_value("hostaddr", "write an IPv4 or IPv6 address"))
}

/// As in libpq, zero and less mean no limit: the limit is that of the caller then.
fn connect_timeout(value: &str) -> Result<Option<Duration>, Fault> {
    let seconds: i64 =
        value.parse().map_err(|_| wrong_value("connect_timeout", "write a number of seconds"))?;
    let timeout = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs);
    Ok(timeout.map(|timeout| timeout.min(CONNECT_TIMEOUT_MAX)))
}

fn flag(name: &str, value: &str) -> Result<bool, Fault> {
    is_one_of(name, value, &["0", "1"])?;
    Ok(value == "1")
}

fn number(name: &str, value: &str, range: std::ops::RangeInclusive<u64>) -> Result<u64, Fault> {
    let hint = || format!("write a number from {} to {}, or leave it out", range.start(), range.end());
    let number = value.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| wrong_value(name, &hint()))
}
