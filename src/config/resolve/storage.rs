//! `[storage]` and `[metadata]`: where objects and metadata live.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    time::Duration,
};

use super::location::{self, Use};
use crate::settings::{Environment, item::Item, section::Section};
use crate::{catalog::VerifyKey, metadata, store, support::secret::SecretString};

/// Bounds of the time between two polls: a store is not hammered, a revoked key not kept for long.
const POLL_INTERVAL_MIN: Duration = Duration::from_millis(10);
const POLL_INTERVAL_MAX: Duration = Duration::from_hours(1);
/// Most versions kept: each keeps its segments.
const KEEP_VERSIONS_MAX: u64 = 10_000;

/// `[storage]`.
pub(super) struct Storage {
    pub(super) settings: store::Settings,
    pub(super) keep_versions: usize,
    pub(super) status: Option<store::Location>,
    pub(super) poll_interval: Duration,
}

/// `[storage]`.
pub(super) fn storage(section: &Section<'_>, dir: &Path, env: &Environment) -> Option<Storage> {
    let services = location::services(section, dir, env);
    let url = section.set("url");
    let read_url = section.get("read_url");
    let status_url = section.get("status_url");
    let poll_interval =
        section.set("poll_interval").and_then(|item| item.duration(POLL_INTERVAL_MIN..=POLL_INTERVAL_MAX));
    let keep_versions = section.set("keep_versions").and_then(|item| item.count(1..=KEEP_VERSIONS_MAX));
    section.finish();
    // Without services a URL can still be wrong, and is told so.
    let known = services.as_ref().map_or_else(Cow::default, Cow::Borrowed);
    let at = |item: &Item<'_>, is_for| location::location(item, dir, &known, is_for);
    let location = url.as_ref().and_then(|item| at(item, Use::Write));
    let read_location = read_url.as_ref().map(|item| at(item, Use::Read));
    let status = status_url.as_ref().map(|item| at(item, Use::Write));
    services.as_ref()?;
    let settings = store::Settings {
        location: location?,
        read_location: read_location.map_or(Some(None), |read| read.map(Some))?,
    };
    let keep_versions = usize::try_from(keep_versions?).ok()?;
    let status = status.map_or(Some(None), |status| status.map(Some))?;
    Some(Storage { settings, keep_versions, status, poll_interval: poll_interval? })
}

/// `[publication]`, which may be absent: the key to sign with, and whom to believe.
pub(super) fn publication(
    section: &Section<'_>,
    dir: &Path,
    publishes: bool,
) -> Option<(Option<PathBuf>, Vec<VerifyKey>)> {
    let signing_key_file = section.read("signing_key_file", |item| Some(item.path(dir, item.word()?)));
    let verify_keys = section.read("verify_key", |item| {
        let keys = item.list(|item| item.parsed("an Ed25519 public key", VerifyKey::parse))?;
        // An empty list would believe all, and looks as if it believed nobody.
        if keys.is_empty() {
            item.fail("names no key", "leave it out to believe all".to_owned())
        } else {
            Some(keys)
        }
    });
    section.finish();
    if let (Some(None), Some(Some(_)), true) = (&signing_key_file, &verify_keys, publishes) {
        return section.fail(
            "has verify_key without signing_key_file on a node that publishes",
            "it would announce what it does not believe; add signing_key_file".to_owned(),
        );
    }
    Some((signing_key_file?, verify_keys?.unwrap_or_default()))
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

/// A path of this machine that stands in a URL.
pub(super) fn local(item: &Item<'_>, dir: &Path, path: &str, hint: &str) -> Option<PathBuf> {
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
