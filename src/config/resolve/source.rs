//! `[sources.*]`: where rows come from.

use std::{collections::BTreeMap, path::Path, time::Duration};

use super::{check_name, storage::is_postgres};
use crate::settings::{item::Item, section::Section};
use crate::{
    source::{Error, Settings, Source, SourceKind},
    support::secret::SecretString,
};

/// Longest query: as long as the longest run.
const STATEMENT_TIMEOUT_MAX: Duration = Duration::from_hours(12);
/// Longest wait for a connection: a run should fail, not hang.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_mins(10);

/// Sources by name.
pub(super) type Sources = BTreeMap<String, Settings>;

#[derive(Clone, Copy)]
enum Kind {
    Postgres,
    Sqlite,
}

/// All sources.
pub(super) fn sources(item: &Item<'_>, dir: &Path) -> Option<Sources> {
    let section = item.section()?;
    let read = |(entry, item): (&crate::settings::tree::Entry, Item<'_>)| {
        check_name(&section, entry, "source");
        Some((entry.key.clone(), source(&entry.key, &item.section()?, dir)?))
    };
    // Every source is read before the first faulty one ends the matter.
    section.entries().map(read).collect::<Vec<_>>().into_iter().collect()
}

/// `[defaults.source]`.
pub(super) fn check_defaults(section: &Section<'_>) {
    timeouts(section);
    section.finish();
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

fn source(name: &str, section: &Section<'_>, dir: &Path) -> Option<Settings> {
    let kind = section.need("type", "write type = \"postgres\" or type = \"sqlite\"");
    let kind = kind.and_then(|item| item.one_of(&[("postgres", Kind::Postgres), ("sqlite", Kind::Sqlite)]));
    let kind = match kind {
        Some(Kind::Postgres) => {
            section.refuse("path", "is for type = \"sqlite\"", "a Postgres source has `url`".to_owned());
            section.need("url", "write url = \"${WAREHOUSE_URL}\"").and_then(|item| postgres(&item))
        }
        Some(Kind::Sqlite) => {
            section.refuse("url", "is for type = \"postgres\"", "a SQLite source has `path`".to_owned());
            section.need("path", "write path = \"warehouse.db\"").and_then(|item| sqlite(&item, dir))
        }
        None => {
            // Without a type neither can be wrong.
            section.get("url");
            section.get("path");
            None
        }
    };
    let timeouts = timeouts(section);
    section.finish();
    let (statement_timeout, connect_timeout) = timeouts?;
    Some(Settings { name: name.to_owned(), kind: kind?, statement_timeout, connect_timeout })
}

fn postgres(item: &Item<'_>) -> Option<SourceKind> {
    const HINT: &str = "write \"postgres://user:password@host:5432/database\"";
    let url = item.word()?;
    if !is_postgres(url) {
        return item.fail("is not a Postgres URL", HINT.to_owned());
    }
    let kind = SourceKind::Postgres { url: SecretString::from(url) };
    let tried = Settings {
        name: String::new(),
        kind: kind.clone(),
        statement_timeout: STATEMENT_TIMEOUT_MAX,
        connect_timeout: CONNECT_TIMEOUT_MAX,
    };
    match Source::open(tried) {
        Err(Error::Url { reason, .. }) => item.fail(format!("cannot be used: {reason}"), HINT.to_owned()),
        _ => Some(kind),
    }
}

fn sqlite(item: &Item<'_>, dir: &Path) -> Option<SourceKind> {
    let path = item.word()?;
    if path.starts_with("sqlite:") || path.starts_with("file:") {
        return item.fail("is a URL", "write the path alone, as in \"warehouse.db\"".to_owned());
    }
    Some(SourceKind::Sqlite { path: item.path(dir, path) })
}
