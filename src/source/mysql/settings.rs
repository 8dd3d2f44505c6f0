//! `[sources.NAME]` of type `mysql`.

use std::{fs, io, str::FromStr as _, sync::Arc, time::Duration};

use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};

use super::MySql;
use crate::{
    settings::{
        certificates,
        section::Section,
        url::{ENCODE_HINT, find_unencoded},
    },
    source::driver::{Driver, OpenOptions},
    support::tcp::Keepalive,
};

const HINT: &str = "write \"mysql://user:password@host:3306/database?ssl-mode=VERIFY_IDENTITY\"";
/// Parameters of a URL. All others are refused: one that is passed over may be one that was meant to protect.
const PARAMETERS: [&str; 10] = [
    "ssl-mode",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "socket",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
];
const KEEPALIVE_HINT: &str = "keepalives is 0 or 1, keepalives_idle and keepalives_interval are seconds from 1 to 32767, \
                              keepalives_count is from 1 to 127, tcp_user_timeout is milliseconds up to 3600000";
const FILES: [&str; 3] = ["ssl-ca", "ssl-cert", "ssl-key"];

/// Checks a file of certificates or of a key, whose fault is the end of a sentence.
fn check_file(parameter: &str, content: &io::Result<Vec<u8>>) -> Result<(), String> {
    let certificates = certificates(content);
    match (parameter, content) {
        ("ssl-key", Ok(key)) => {
            let has = |word: &[u8]| key.windows(word.len()).any(|part| part == word);
            if !has(b"PRIVATE KEY-----") {
                Err("holds no private key in PEM form".to_owned())
            } else if has(b"ENCRYPTED") {
                Err("is encrypted: openssl pkey -in FILE -out FILE.pem".to_owned())
            } else {
                Ok(())
            }
        }
        _ => certificates.map(drop),
    }
}

/// Reads `url`, a secret: a password may be in it.
pub(super) fn open(section: &Section<'_>, options: &OpenOptions<'_>) -> Option<Arc<dyn Driver>> {
    let item = section.need("url", "write url = \"${WAREHOUSE_URL}\"")?;
    let url = item.url()?;
    if !["mysql://", "mariadb://"].iter().any(|scheme| url.starts_with(scheme)) {
        return item.fail("is not the URL of a MySQL server", HINT.to_owned());
    }
    if let Some(fault) = find_unencoded(url) {
        return item.fail(fault, ENCODE_HINT.to_owned());
    }
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    // The driver takes no path that is relative to the configuration file.
    let mut parameters = form_urlencoded::Serializer::new(String::new());
    let (mut mode, mut keepalive) = (None, Keepalive::default());
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        if !PARAMETERS.contains(&&*key) {
            let hint = format!("known parameters are {}", PARAMETERS.join(", "));
            return item.fail("has a parameter that is not known", hint);
        }
        if key.starts_with("keepalives") || key == "tcp_user_timeout" {
            // Every fault of a value is one of its range.
            if set_keepalive(&mut keepalive, &key, &value).is_none() {
                return item
                    .fail(format!("has a value of {key} that is out of range"), KEEPALIVE_HINT.to_owned());
            }
        } else if FILES.contains(&&*key) {
            let path = item.path(options.dir, &value);
            if let Err(fault) = check_file(&key, &fs::read(&path)) {
                return item.fail(format!("names a file of {key} that {fault}"), None);
            }
            parameters.append_pair(&key, &path.to_string_lossy());
        } else {
            if key == "ssl-mode" {
                mode = Some(value.to_string());
            }
            parameters.append_pair(&key, &value);
        }
    }
    let parsed = MySqlConnectOptions::from_str(&format!("{address}?{}", parameters.finish()));
    let Ok(mut connect) = parsed else {
        return item.fail("is not the URL of a MySQL server", HINT.to_owned());
    };
    let is_local = connect.get_socket().is_some() || is_loopback(connect.get_host());
    if mode.is_none() {
        // A server on another machine must prove who it is.
        connect =
            connect.ssl_mode(if is_local { MySqlSslMode::Preferred } else { MySqlSslMode::VerifyIdentity });
    }
    let address = match connect.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", connect.get_host(), connect.get_port()),
    };
    Some(Arc::new(MySql {
        address,
        connect: connect
            .charset("utf8mb4")
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .statement_cache_capacity(0),
        connect_timeout: options.connect_timeout,
        statement_timeout: options.statement_timeout,
        keepalive,
    }))
}

/// Sets a parameter, as libpq names it; `None` for a value out of range.
fn set_keepalive(keepalive: &mut Keepalive, key: &str, value: &str) -> Option<()> {
    let number = value.parse::<u32>().ok()?;
    let seconds = || (1..=32_767).contains(&number).then(|| Duration::from_secs(number.into()));
    match key {
        "keepalives" => keepalive.is_on = (number <= 1).then_some(number == 1)?,
        "keepalives_idle" => keepalive.idle = seconds()?,
        "keepalives_interval" => keepalive.interval = seconds()?,
        "keepalives_count" => keepalive.count = Some(number).filter(|number| (1..=127).contains(number))?,
        _ => keepalive.user_timeout = (number <= 3_600_000).then(|| Duration::from_millis(number.into()))?,
    }
    Some(())
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
