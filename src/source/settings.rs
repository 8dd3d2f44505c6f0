//! `[sources.*]` and `[defaults.source]`.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use super::{
    Source, TYPES,
    driver::{OpenOptions, SourceType},
};
use crate::settings::{Declaration, Environment, Section};

/// Longest query: as long as the longest run.
const STATEMENT_TIMEOUT_MAX: Duration = Duration::from_hours(12);
/// Longest wait for a connection: a run should fail, not hang.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_mins(10);

pub(crate) const SECTION: Declaration =
    Declaration { defaults: Some("source"), ..Declaration::reloadable("sources") };

/// Reads `[sources.*]`, each with the keys of its type; relative paths are from `dir`. A faulty source
/// is `None`, so that what refers to it can still be checked.
pub(crate) fn read(section: &Section<'_>, dir: &Path, env: &Environment) -> BTreeMap<String, Option<Source>> {
    let sources = section.entries().map(|(entry, item)| {
        section.check_name(entry, "source");
        (entry.key.clone(), item.section().and_then(|section| source(&section, dir, env)))
    });
    sources.collect()
}

/// Checks `[defaults.source]`.
pub(crate) fn check_defaults(section: &Section<'_>) -> Option<()> {
    timeouts(section).map(|_| ())
}

fn source(section: &Section<'_>, dir: &Path, env: &Environment) -> Option<Source> {
    let types: Vec<(&str, &SourceType)> =
        TYPES.iter().map(|source_type| (source_type.name, source_type)).collect();
    let source_type = section.need("type", "write type = \"postgres\", or another type of docs/sources.md");
    let timeouts = timeouts(section);
    // Which keys a section may have depends on its type.
    let source_type = source_type?.one_of(&types)?;
    // Faults of a type's own keys come also when a timeout is wrong.
    let (statement_timeout, connect_timeout) = timeouts.unwrap_or_default();
    let driver = (source_type.open)(section, &OpenOptions { dir, env, connect_timeout, statement_timeout });
    section.finish();
    timeouts?;
    let (type_name, digest) = (source_type.name, section.digest());
    Some(Source { type_name, driver: driver?, digest, statement_timeout, types: Arc::default() })
}

fn timeouts(section: &Section<'_>) -> Option<(Duration, Duration)> {
    let statement = section
        .set("statement_timeout")
        .and_then(|item| item.duration(Duration::from_secs(1)..=STATEMENT_TIMEOUT_MAX));
    let connect = section
        .set("connect_timeout")
        .and_then(|item| item.duration(Duration::from_millis(100)..=CONNECT_TIMEOUT_MAX));
    Some((statement?, connect?))
}
