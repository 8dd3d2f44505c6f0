//! The `[server]` section: both listeners and their limits.

use std::{net::SocketAddr, num::NonZeroU32, path::Path, time::Duration};

use super::tls;
use crate::{
    domain::{
        hash::HashSecret,
        limits::{KEY_REQUESTS_PER_SECOND_MAX, NETWORKS_MAX, RECORD_BYTES_MAX},
        network::Network,
    },
    mapping,
    settings::{Declaration, item::Item, section::Section},
};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_hours(1);
/// Most connections that may be configured: more than one machine has ports for one peer.
const CONNECTIONS_MAX: u64 = 1_000_000;
/// Most refused admin keys a minute that may be configured.
const SIGN_IN_FAILURES_MAX: u64 = 100_000;

/// The two listeners and their limits.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Records and health.
    pub listen: SocketAddr,
    /// Metrics and status.
    pub admin_listen: SocketAddr,
    /// The URL that printed snippets use instead of the listener's address.
    pub public_url: Option<String>,
    /// The certificate; the public listener speaks TLS if there is one.
    pub tls: Option<tls::Settings>,
    /// Most connections of the public listener at once.
    pub connections_max: usize,
    /// Longest time for a request's head to arrive.
    pub header_timeout: Duration,
    /// Longest time without a byte in either direction.
    pub idle_timeout: Duration,
    /// Longest time for the body of a look-up by POST to arrive.
    pub body_timeout: Duration,
    /// Smaller bodies are never compressed.
    pub compress_min_bytes: usize,
    /// Requests for records that each key may make on this node in a second.
    pub key_requests_per_second_max: Option<NonZeroU32>,
    /// Proxies whose `X-Forwarded-For` says where a request comes from.
    pub trusted_proxies: Vec<Network>,
    /// Secrets of hashed index values, for look-ups by value on a node without the syncs.
    pub index_secrets: Vec<HashSecret>,
    /// Whether `/metrics` of the admin listener needs no admin key.
    pub metrics_open: bool,
    /// Refused admin keys of one address in a minute; above it none of that address is checked.
    pub sign_in_failures_per_minute_max: u32,
    /// Longest time for requests in flight to finish at shutdown.
    pub drain_timeout: Duration,
}

impl Settings {
    /// The section of these settings.
    pub(crate) const SECTION: Declaration = Declaration::read_at_start("server");

    /// Reads `[server]`; relative paths are from `dir`.
    pub(crate) fn read(section: &Section<'_>, dir: &Path) -> Option<Self> {
        let listen = section.set("listen").and_then(|item| address(&item));
        let admin = section.set("admin_listen");
        let admin_listen = admin.as_ref().and_then(address);
        let public_url = section.read("public_url", |item| {
            let hint = "write \"https://host\" or \"http://host:port/path\", nothing behind the path";
            item.base_url("a base URL", hint)
        });
        let tls = tls(section, dir);
        let connections_max = section.set("connections_max").and_then(|item| item.count(1..=CONNECTIONS_MAX));
        let header_timeout = section.set("header_timeout").and_then(|item| item.duration(100 * MS..=HOUR));
        let idle_timeout =
            section.set("idle_timeout").and_then(|item| item.duration(Duration::from_secs(1)..=HOUR));
        let body_timeout = section.set("body_timeout").and_then(|item| item.duration(100 * MS..=HOUR));
        let compress =
            section.set("compress_min_bytes").and_then(|item| item.size(0..=RECORD_BYTES_MAX as u64));
        let rate = section.read("key_requests_per_second_max", |item| {
            let rate = item.count(1..=KEY_REQUESTS_PER_SECOND_MAX)?;
            u32::try_from(rate).ok().and_then(NonZeroU32::new)
        });
        let proxies = section.read("trusted_proxies", |item| {
            let networks = item.list(|item| item.name(Network::new))?;
            if networks.len() > NETWORKS_MAX {
                return item.fail(format!("has more than {NETWORKS_MAX} networks"), None);
            }
            Some(networks)
        });
        let index_secrets = section.read("index_secrets", |item| item.list(mapping::settings::secret));
        let metrics_open = section.set("metrics_open").and_then(|item| item.boolean());
        let failures = section.set("sign_in_failures_per_minute_max");
        let failures = failures.and_then(|item| u32::try_from(item.count(1..=SIGN_IN_FAILURES_MAX)?).ok());
        let drain_timeout =
            section.set("drain_timeout").and_then(|item| item.duration(Duration::ZERO..=HOUR));
        if let (Some(admin), Some(listen), true) = (&admin, listen, listen == admin_listen)
            && listen.port() != 0
        {
            return admin.fail("is the same address as server.listen", None);
        }
        Some(Self {
            listen: listen?,
            admin_listen: admin_listen?,
            public_url: public_url?,
            tls: tls?,
            connections_max: usize::try_from(connections_max?).ok()?,
            header_timeout: header_timeout?,
            idle_timeout: idle_timeout?,
            body_timeout: body_timeout?,
            compress_min_bytes: usize::try_from(compress?).ok()?,
            key_requests_per_second_max: rate?,
            trusted_proxies: proxies?.unwrap_or_default(),
            index_secrets: index_secrets?.unwrap_or_default(),
            metrics_open: metrics_open?,
            sign_in_failures_per_minute_max: failures?,
            drain_timeout: drain_timeout?,
        })
    }
}

/// Certificate and key, both or neither; they are read when the server starts.
#[expect(clippy::option_option, reason = "the outer one is a reported fault, the inner one absence")]
fn tls(section: &Section<'_>, dir: &Path) -> Option<Option<tls::Settings>> {
    let path = |item: &Item<'_>| item.file_path(dir);
    let certificate_file = section.read("tls_certificate_file", path);
    let key_file = section.read("tls_key_file", path);
    let reload_interval =
        section.set("tls_reload_interval").and_then(|item| item.duration(100 * MS..=24 * HOUR));
    match (certificate_file?, key_file?) {
        (Some(certificate_file), Some(key_file)) => {
            Some(Some(tls::Settings { certificate_file, key_file, reload_interval: reload_interval? }))
        }
        (None, None) => Some(None),
        (Some(_), None) => section.fail("tls_certificate_file needs tls_key_file", None),
        (None, Some(_)) => section.fail("tls_key_file needs tls_certificate_file", None),
    }
}

fn address(item: &Item<'_>) -> Option<SocketAddr> {
    item.parsed("an IP address and a port", |text| {
        text.parse().map_err(|_| "write \"0.0.0.0:8080\", \"127.0.0.1:8080\" or \"[::]:8080\"".to_owned())
    })
}
