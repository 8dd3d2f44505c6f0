//! `[sources.NAME]` of type `mysql`.

use std::{str::FromStr as _, sync::Arc};

use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};

use super::MySql;
use crate::{
    settings::{
        section::Section,
        url::{ENCODE_HINT, find_unencoded},
    },
    source::driver::{Driver, OpenOptions},
};

const HINT: &str = "write \"mysql://user:password@host:3306/database?ssl-mode=VERIFY_IDENTITY\"";
/// Parameters of a URL. All others are refused: one that is passed over may be one that was meant to protect.
const PARAMETERS: [&str; 5] = ["ssl-mode", "ssl-ca", "ssl-cert", "ssl-key", "socket"];
const FILES: [&str; 3] = ["ssl-ca", "ssl-cert", "ssl-key"];

/// Reads `url`, a secret: a password may be in it.
pub(super) fn open(section: &Section<'_>, options: &OpenOptions<'_>) -> Option<Arc<dyn Driver>> {
    let item = section.need("url", "write url = \"${WAREHOUSE_URL}\"")?;
    let url = item.url()?;
    if !["mysql://", "mariadb://"].iter().any(|scheme| url.starts_with(scheme)) {
        return item.fail("is not the URL of a MySQL server", HINT.to_owned());
    }
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    // The driver takes no path that is relative to the configuration file.
    let mut parameters = form_urlencoded::Serializer::new(String::new());
    let mut mode = None;
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        if !PARAMETERS.contains(&&*key) {
            let hint = format!("known parameters are {}", PARAMETERS.join(", "));
            return item.fail("has a parameter that is not known", hint);
        }
        if FILES.contains(&&*key) {
            let path = item.path(options.dir, &value);
            if !path.is_file() {
                return item.fail(format!("names a file of {key} that does not exist"), None);
            }
    if let Some(fault) = find_unencoded(url) {
        return item.fail(fault, ENCODE_HINT.to_owned());
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
    }))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
