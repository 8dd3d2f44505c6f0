//! `[sources.NAME]` of the types that are read by a driver of ADBC.

use std::{env::consts::DLL_SUFFIX, path::PathBuf, sync::Arc};

use super::{
    Adbc, Setting,
    credentials::Wrong,
    drivers::{DriverFile, DriverName, directories},
    kinds::{Form, Key, Kind, Presence},
    secrets::is_url,
};
use crate::{
    settings::{
        Place,
        item::Item,
        read_bounded,
        section::Section,
        url::{ENCODE_HINT, find_unencoded},
    },
    source::driver::{Driver, OpenOptions},
    support::secret::SecretString,
};

/// Memory of a worker unless `memory_max` says something else.
const MEMORY_BYTES: u64 = 2 << 30;
/// Less than a driver needs to begin with.
const MEMORY_BYTES_MIN: u64 = 128 << 20;
/// More than a machine has.
const MEMORY_BYTES_MAX: u64 = 1 << 40;
/// Most statements before a query, and most options.
const ENTRIES_MAX: usize = 100;
/// Where large temporary files go: on a disk, as a rule, unlike `/tmp`
/// (<https://refspecs.linuxfoundation.org/FHS_3.0/fhs/ch05s15.html>).
const TEMP_DIR: &str = "/var/tmp";
/// Longest file that becomes an option, in bytes: a bundle of all certificates has 300 kB.
const CONTENT_BYTES_MAX: u64 = 1024 * 1024;

/// Reads the keys of `kind`, and `driver`, `entrypoint`, `setup` and `memory_max`. Neither a library is loaded nor a
/// connection made.
pub(super) fn open(
    kind: &'static Kind,
    section: &Section<'_>,
    options: &OpenOptions<'_>,
) -> Option<Arc<dyn Driver>> {
    let driver = driver(kind, section, options);
    let mut settings: Vec<Setting> =
        kind.options.iter().map(|(name, value)| Setting::plain(name, value)).collect();
    let mut is_good = true;
    for key in kind.keys {
        match read_key(key, section, options) {
            Some(found) => settings.extend(found),
            None => is_good = false,
        }
    }
    is_good &= check_together(kind, section).is_some();
    let any = if kind.keys.is_empty() { section.read("options", any_options) } else { Some(None) };
    let mut setup: Vec<SecretString> = kind.setup.iter().map(|sql| SecretString::from(*sql)).collect();
    let own = section.read("setup", |item| statements(item));
    let memory = section.read("memory_max", |item| item.size(MEMORY_BYTES_MIN..=MEMORY_BYTES_MAX));
    settings.extend(any?.unwrap_or_default());
    setup.extend(own?.unwrap_or_default());
    Some(Arc::new(Adbc {
        kind,
        driver: driver.filter(|_| is_good)?,
        options: settings,
        setup,
        memory_bytes_max: memory?.unwrap_or(MEMORY_BYTES),
        connect_timeout: options.connect_timeout,
        temp_dir: options
            .env
            .get("TMPDIR")
            .filter(|path| !path.is_empty())
            .map_or_else(|| PathBuf::from(TEMP_DIR), PathBuf::from),
    }))
}

/// Checks that the keys of a section go with one another.
fn check_together(kind: &Kind, section: &Section<'_>) -> Option<()> {
    let is_credential = |key: &&Key| key.presence == Presence::Credential;
    let credentials: Vec<&str> = kind.keys.iter().filter(is_credential).map(|key| key.name).collect();
    let given: Vec<Item<'_>> =
        kind.keys.iter().filter(is_credential).filter_map(|key| section.get(key.name)).collect();
    let credentials = credentials.join(", ");
    match given.as_slice() {
        [_, second, ..] => {
            return second.fail("conflicts with other credentials", format!("keep one of {credentials}"));
        }
        [] if kind.needs_credential => {
            return section.fail("has no credentials", format!("write one of {credentials}"));
        }
        _ => {}
    }
    let lacking = kind.needs.iter().find(|(key, needed)| section.has(key) && !section.has(needed));
    let Some((key, needed)) = lacking.copied() else { return Some(()) };
    section.get(key)?.fail(format!("needs `{needed}` beside it"), format!("write {needed} = \"...\" too"))
}

fn driver(kind: &Kind, section: &Section<'_>, options: &OpenOptions<'_>) -> Option<DriverName> {
    let entrypoint = section.read("entrypoint", Item::printable_word);
    let item = if kind.driver.is_empty() {
        Some(section.need("driver", "name a driver, or the file of one; `larder drivers` lists them")?)
    } else {
        section.get("driver")
    };
    let entrypoint = entrypoint?.or(kind.entrypoint.map(str::to_owned));
    let Some(item) = item else {
        return Some(named(kind.driver, entrypoint, options));
    };
    let text = item.printable().word()?;
    if text.contains('/') || text.ends_with(DLL_SUFFIX) {
        if matches!(item.node.place, Place::Stored(_)) {
            // A client that may change the configuration through the API must not run a program of its choice.
            let hint = "name an installed driver, or declare the source in the configuration file";
            return item.fail(
                "is the file of a driver, which only the configuration file can name",
                hint.to_owned(),
            );
        }
        return Some(DriverName::File(DriverFile { path: item.path(options.dir, text), entrypoint }));
    }
    if !text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter)) {
        return item.fail("is not the name of a driver", "write a name, or a path with a slash".to_owned());
    }
    Some(named(text, entrypoint, options))
}

fn named(name: &str, entrypoint: Option<String>, options: &OpenOptions<'_>) -> DriverName {
    let directories = directories(options.dir, options.env);
    DriverName::Named { name: name.to_owned(), entrypoint, directories }
}

/// The options of a key: none when it is absent; `None` after a fault.
fn read_key(key: &Key, section: &Section<'_>, options: &OpenOptions<'_>) -> Option<Vec<Setting>> {
    let item = match key.presence {
        Presence::Needed => section.need(key.name, "")?,
        Presence::Optional | Presence::Credential => match section.get(key.name) {
            Some(item) => item,
            None => return Some(Vec::new()),
        },
    };
    let checked =
        |value: String| match key.check.map_or(Ok(()), |check| check(&value, &|key| section.has(key))) {
            Ok(()) => Some(value),
            Err(Wrong { message, hint }) => item.fail(message, hint.to_owned()),
        };
    let secret = |value: String| Setting::secret(key.option, value);
    let setting = match key.form {
        Form::Word => Setting::plain(key.option, &checked(item.printable_word()?)?),
        Form::Host => Setting::plain(key.option, &item.host()?),
        Form::OneOf(words) => Setting::plain(key.option, item.one_of(words)?),
        Form::Number => Setting::plain(key.option, &item.count(1..=u64::from(u16::MAX))?.to_string()),
        Form::Secret => secret(checked(item.word()?.to_owned())?),
        Form::Bearer => secret(format!("Bearer {}", item.word()?)),
        Form::Url(schemes) => secret(url_of(&item, schemes)?),
        Form::Path => {
            let path = existing_path(&item, options)?;
            if key.check.is_some() {
                checked(content(&item, options)?)?;
            }
            Setting::plain(key.option, &path)
        }
        Form::Database => Setting::plain(key.option, &database(&item, options)?),
        Form::Content => secret(checked(content(&item, options)?)?),
    };
    let implied = key.implies.iter().map(|(name, value)| Setting::plain(name, value));
    Some(implied.chain([setting]).collect())
}

/// The path of a file or directory that exists.
fn existing_path(item: &Item<'_>, options: &OpenOptions<'_>) -> Option<String> {
    let path = item.file_path(options.dir)?;
    let Some(path) = path.to_str().filter(|_| path.exists()) else {
        let hint = "relative paths are from the configuration file's directory".to_owned();
        return item.fail("does not exist", hint);
    };
    Some(path.to_owned())
}

/// The path of a file of DuckDB, which need not be there yet.
fn database(item: &Item<'_>, options: &OpenOptions<'_>) -> Option<String> {
    const ATTACH: &str = "leave `path` out and attach it: setup = [\"load motherduck\", \
        \"set motherduck_token = '${MOTHERDUCK_TOKEN}'\", \"attach 'md:shop'\"]";
    // An address may have a token.
    if item.word()?.starts_with("md:") || item.word()?.starts_with("motherduck:") {
        return item.fail("is an address of MotherDuck, not a file", ATTACH.to_owned());
    }
    let path = item.file_path(options.dir)?;
    path.into_os_string().into_string().map_or_else(|_| item.fail("is not UTF-8", None), Some)
}

/// The content of the file that `item` names.
fn content(item: &Item<'_>, options: &OpenOptions<'_>) -> Option<String> {
    read_bounded(&item.file_path(options.dir)?, CONTENT_BYTES_MAX)
        .map_or_else(|error| item.fail(format!("cannot be read: {error}"), None), Some)
}

/// A URL with one of `schemes` and a host or path.
fn url_of(item: &Item<'_>, schemes: &[&str]) -> Option<String> {
    let text = url(item, item.url()?)?;
    let is_known = |(scheme, rest): (&str, &str)| schemes.contains(&scheme) && !rest.is_empty();
    if text.split_once("://").is_some_and(is_known) {
        return Some(text.to_owned());
    }
    let known: Vec<String> = schemes.iter().map(|scheme| format!("{scheme}://")).collect();
    item.fail(
        "is not a URL that this type takes",
        format!("write {}host:port; its scheme is one of {}", known[0], known.join(", ")),
    )
}

/// The options of any driver: texts, numbers, and true or false.
fn any_options(item: &Item<'_>) -> Option<Vec<Setting>> {
    let section = item.section()?;
    let entries: Vec<_> = section.entries().collect();
    if entries.len() > ENTRIES_MAX {
        return item.fail(format!("has more than {ENTRIES_MAX} options"), None);
    }
    let read = entries.iter().map(|(entry, item)| {
        let value = item.scalar()?;
        url(item, &value)?;
        Some(Setting::secret(&entry.key, value))
    });
    read.collect()
}

/// `text`, unless it is a URL whose password cannot be distinguished from its other parts: a message might show it.
fn url<'a>(item: &Item<'_>, text: &'a str) -> Option<&'a str> {
    match find_unencoded(text).filter(|_| is_url(text)) {
        Some(fault) => item.fail(fault, ENCODE_HINT.to_owned()),
        None => Some(text),
    }
}

fn statements(item: &Item<'_>) -> Option<Vec<SecretString>> {
    let statements = item.list(|item| item.word().map(str::to_owned))?;
    if statements.len() > ENTRIES_MAX {
        return item.fail(format!("has more than {ENTRIES_MAX} statements"), None);
    }
    Some(statements.into_iter().map(SecretString::from).collect())
}
