//! `[storage]` and `[metadata]`: where objects and metadata live.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    config::{item::Item, section::Section},
    metadata,
    publication::{self, Location},
    support::secret::SecretString,
};

/// Bounds of the time between two polls: a store is not hammered, a revoked key not kept for long.
const POLL_INTERVAL_MIN: Duration = Duration::from_millis(10);
const POLL_INTERVAL_MAX: Duration = Duration::from_hours(1);
/// Most versions kept: each keeps its segments.
const KEEP_VERSIONS_MAX: u64 = 10_000;

const NOT_BUILT: &str = "is not supported by this build yet";
const FILE_HINT: &str = "write \"file:./data/store\"";

/// `[storage]`.
pub(super) struct Storage {
    pub(super) settings: publication::Settings,
    pub(super) status: Option<Location>,
    pub(super) poll_interval: Duration,
}

/// `[storage]`.
pub(super) fn storage(section: &Section<'_>, dir: &Path) -> Option<Storage> {
    let status = section.read("status_url", |item| location(item, dir));
    let url = section.set("url");
    let location = url.as_ref().and_then(|item| location(item, dir));
    let poll_interval =
        section.set("poll_interval").and_then(|item| item.duration(POLL_INTERVAL_MIN..=POLL_INTERVAL_MAX));
    let keep_versions = section.set("keep_versions").and_then(|item| item.count(1..=KEEP_VERSIONS_MAX));
    section.refuse("read_url", NOT_BUILT, None);
    section.refuse("s3", NOT_BUILT, FILE_HINT.to_owned());
    section.finish();
    let settings =
        publication::Settings { location: location?, keep_versions: usize::try_from(keep_versions?).ok()? };
    Some(Storage { settings, status: status?, poll_interval: poll_interval? })
}

/// The URL itself is never part of a fault: it may hold a password.
fn location(item: &Item<'_>, dir: &Path) -> Option<Location> {
    let url = item.word()?;
    for scheme in ["s3://", "gs://", "az://"] {
        if url.starts_with(scheme) {
            return item.fail(format!("{scheme} {NOT_BUILT}"), FILE_HINT.to_owned());
        }
    }
    let Some(path) = url.strip_prefix("file:") else {
        return item.fail("is not the URL of a store", FILE_HINT.to_owned());
    };
    // `file://host/path` names another machine; `file:///path` names this one.
    let path = match path.strip_prefix("//") {
        Some(path) if !path.starts_with('/') => {
            return item.fail("names a host; a store is a local directory", FILE_HINT.to_owned());
        }
        Some(path) => path,
        None => path,
    };
    local(item, dir, path, FILE_HINT).map(Location::Directory)
}

/// `[metadata]`.
pub(super) fn metadata(section: &Section<'_>, dir: &Path) -> Option<metadata::Settings> {
    let settings = section.set("url").and_then(|item| database(&item, dir));
    section.finish();
    settings
}

fn database(item: &Item<'_>, dir: &Path) -> Option<metadata::Settings> {
    const HINT: &str = "write \"sqlite:./data/metadata.db\" or \"postgres://user@host/database\"";
    let url = item.word()?;
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path == ":memory:" {
            return item.fail("must be a file: metadata has to survive a restart", HINT.to_owned());
        }
        return local(item, dir, path, HINT).map(|path| metadata::Settings::Sqlite { path });
    }
    if is_postgres(url) {
        return Some(metadata::Settings::Postgres { url: SecretString::from(url) });
    }
    item.fail("is not the URL of a metadata database", HINT.to_owned())
}

fn local(item: &Item<'_>, dir: &Path, path: &str, hint: &str) -> Option<PathBuf> {
    if path.contains(['?', '#']) {
        return item.fail("has parameters; a path has none", hint.to_owned());
    }
    let local = item.path(dir, path);
    if path.is_empty() || local.as_os_str().is_empty() {
        return item.fail("names no path", hint.to_owned());
    }
    Some(local)
}

/// Whether a URL is one of Postgres; the driver checks the rest when it connects.
pub(super) fn is_postgres(url: &str) -> bool {
    let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.contains(|letter: char| letter.is_whitespace() || letter.is_control())
    })
}
