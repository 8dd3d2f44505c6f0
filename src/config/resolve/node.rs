//! `[node]`, `[server]`, `[engine]` and `[log]`.

use std::{net::SocketAddr, num::NonZeroU32, path::Path, time::Duration};

use crate::settings::{item::Item, section::Section};
use crate::{
    api::{self, tls},
    config::{NodeSettings, Role},
    domain::{label::Label, limits::RECORD_BYTES_MAX, name::RegionName},
    engine,
    telemetry::{self, LogFormat},
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

/// Most connections that may be configured: more than one machine has ports for one peer.
const CONNECTIONS_MAX: u64 = 1_000_000;
/// Highest limit of a key's requests a second: more than one node answers.
const KEY_REQUESTS_PER_SECOND_MAX: u64 = 1_000_000;
/// Most sync runs at once: each has threads of its own.
const CONCURRENT_RUNS_MAX: u64 = 64;
/// The longest run: retention of unannounced segments (24 h) counts on it.
const RUN_TIMEOUT_MAX: Duration = Duration::from_hours(12);
/// Fewest bytes of local segments: for one segment of the usual size, and a change.
const SEGMENTS_BYTES_MIN: u64 = 32_000_000;
/// Smallest spool: a record is up to 1 MB.
const SPOOL_BYTES_MIN: u64 = 16_000_000;
/// Largest spool, and most local segments, 1 PB: more than any disk.
const DISK_BYTES_MAX: u64 = 1_000_000_000_000_000;

/// `[node]`.
pub(super) fn node(section: &Section<'_>, dir: &Path) -> Option<NodeSettings> {
    let region = section.set("region").and_then(|item| item.name(RegionName::new));
    let roles = section.set("roles").and_then(|item| roles(&item));
    let name = section.read("name", |item| item.name(Label::new));
    let data_dir = section.set("data_dir").and_then(|item| Some(item.path(dir, item.word()?)));
    let segments = section.set("segments_bytes_max");
    let segments = segments.and_then(|item| item.size(SEGMENTS_BYTES_MIN..=DISK_BYTES_MAX));
    section.finish();
    let name = name?.unwrap_or_else(host_name);
    Some(NodeSettings {
        region: region?,
        name,
        roles: roles?,
        data_dir: data_dir?,
        segments_bytes_max: segments?,
    })
}

/// The machine's name; a container's is what its orchestrator calls it.
fn host_name() -> Label {
    Label::fitted(&rustix::system::uname().nodename().to_string_lossy())
}

/// An array of roles, or text with commas as a variable has it.
fn roles(item: &Item<'_>) -> Option<Vec<Role>> {
    let all = [Role::Publisher, Role::Replica].map(|role| (role.as_str(), role));
    let roles = match &item.node.value {
        crate::settings::tree::Value::String(text) if text.value.contains(',') => {
            let parse = |word: &str| {
                let role = all.iter().find(|(name, _)| *name == word.trim());
                role.map(|(_, role)| *role).ok_or_else(|| "write \"publisher,replica\"".to_owned())
            };
            item.parsed("a list of roles", |text| {
                let roles = text.split(',').map(parse).collect::<Result<Vec<Role>, _>>()?;
                let is_twice = |(at, role)| roles[..at].contains(role);
                if roles.iter().enumerate().any(is_twice) {
                    return Err("name each role once".to_owned());
                }
                Ok(roles)
            })?
        }
        _ => item.list(|item| item.one_of(&all))?,
    };
    if roles.is_empty() {
        return item.fail("names no role", "a node is \"publisher\", \"replica\" or both".to_owned());
    }
    Some(roles)
}

/// `[server]`.
pub(super) fn server(section: &Section<'_>, dir: &Path) -> Option<api::Settings> {
    let listen = section.set("listen").and_then(|item| address(&item));
    let admin = section.set("admin_listen");
    let admin_listen = admin.as_ref().and_then(address);
    let public_url = section.read("public_url", public_url);
    let tls = tls(section, dir);
    let connections_max = section.set("connections_max").and_then(|item| item.count(1..=CONNECTIONS_MAX));
    let header_timeout = section.set("header_timeout").and_then(|item| item.duration(100 * MS..=HOUR));
    let body_timeout = section.set("body_timeout").and_then(|item| item.duration(100 * MS..=HOUR));
    let compress = section.set("compress_min_bytes").and_then(|item| item.size(0..=RECORD_BYTES_MAX as u64));
    let rate = section.read("key_requests_per_second_max", |item| {
        let rate = item.count(1..=KEY_REQUESTS_PER_SECOND_MAX)?;
        u32::try_from(rate).ok().and_then(NonZeroU32::new)
    });
    let drain_timeout = section.set("drain_timeout").and_then(|item| item.duration(Duration::ZERO..=HOUR));
    section.finish();
    if let (Some(admin), Some(listen), true) = (&admin, listen, listen == admin_listen)
        && listen.port() != 0
    {
        return admin.fail("is the same address as server.listen", None);
    }
    Some(api::Settings {
        listen: listen?,
        admin_listen: admin_listen?,
        public_url: public_url?,
        tls: tls?,
        connections_max: usize::try_from(connections_max?).ok()?,
        header_timeout: header_timeout?,
        body_timeout: body_timeout?,
        compress_min_bytes: usize::try_from(compress?).ok()?,
        key_requests_per_second_max: rate?,
        drain_timeout: drain_timeout?,
    })
}

/// Certificate and key, both or neither; they are read when the server starts.
#[expect(clippy::option_option, reason = "the outer one is a reported fault, the inner one absence")]
fn tls(section: &Section<'_>, dir: &Path) -> Option<Option<tls::Settings>> {
    let path = |item: &Item<'_>| Some(item.path(dir, item.word()?));
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

fn public_url(item: &Item<'_>) -> Option<String> {
    item.parsed("a base URL", |text| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let is_good = rest.is_some_and(|rest| {
            let host = rest.split('/').next().unwrap_or_default();
            !host.is_empty()
                && !host.contains('@')
                && rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\"'<>\\".contains(&byte))
        });
        let hint = "write \"https://host\" or \"http://host:port/path\", nothing behind the path";
        if is_good { Ok(text.trim_end_matches('/').to_owned()) } else { Err(hint.to_owned()) }
    })
}

/// `[engine]`.
pub(super) fn engine(section: &Section<'_>) -> Option<engine::Settings> {
    let runs = section.set("max_concurrent_runs").and_then(|item| item.count(1..=CONCURRENT_RUNS_MAX));
    let spool = section.set("spool_bytes_max").and_then(|item| item.size(SPOOL_BYTES_MIN..=DISK_BYTES_MAX));
    let run_timeout = section.set("run_timeout").and_then(|item| item.duration(SECOND..=RUN_TIMEOUT_MAX));
    section.finish();
    Some(engine::Settings {
        max_concurrent_runs: usize::try_from(runs?).ok()?,
        spool_bytes_max: spool?,
        run_timeout: run_timeout?,
    })
}

/// `[log]`.
pub(super) fn log(section: &Section<'_>) -> Option<telemetry::Settings> {
    let format = section
        .set("format")
        .and_then(|item| item.one_of(&[("text", LogFormat::Text), ("json", LogFormat::Json)]));
    let filter = section.set("filter").and_then(|item| {
        item.parsed("a log filter", |text| match tracing_subscriber::EnvFilter::builder().parse(text) {
            Ok(_) if !text.trim().is_empty() => Ok(text.to_owned()),
            _ => {
                Err("write a level, \"info\", or levels by module, \"info,larder::replica=debug\"".to_owned())
            }
        })
    });
    section.finish();
    Some(telemetry::Settings { format: format?, filter: filter? })
}
