//! Reads `[storage]`: the URLs of stores, and `[storage.s3]`, `[storage.gcs]`, `[storage.azure]`: how to
//! reach their services.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use super::{Bucket, Location, Service, Settings, profile};
use crate::{
    settings::{Declaration, Environment, Item, Section, Value},
    support::secret::{ExposeSecret as _, SecretString},
};

const HINT: &str = "write \"file:./data/store\", \"s3://bucket/prefix\", \"gs://bucket/prefix\" or \"az://container/prefix\"";
/// The schemes of buckets.
const SCHEMES: [(&str, Service); 3] =
    [("s3://", Service::S3), ("gs://", Service::Gcs), ("az://", Service::Azure)];
/// Longest name of a bucket (S3 has 63, Google 222) and of a prefix.
const NAME_BYTES_MAX: usize = 222;
const PREFIX_BYTES_MAX: usize = 512;

impl Settings {
    /// The section of these settings; other parts read keys of it too.
    pub(crate) const SECTION: Declaration = Declaration::read_at_start("storage");

    /// Reads the URLs and services of `[storage]`. Relative paths are from `dir`; `data_dir` is the node's own
    /// directory, which must not be a store: the two are swept by different rules. `reserved_directory` names the store's own
    /// directory that a place is in.
    pub(crate) fn read(
        section: &Section<'_>,
        dir: &Path,
        env: &Environment,
        data_dir: Option<&Path>,
        reserved_directory: fn(&Location, &Location) -> Option<&'static str>,
    ) -> Option<Self> {
        let services = services(section, dir, env);
        // Without services a URL can still be wrong, and is reported.
        let known = services.as_ref().map_or_else(Cow::default, Cow::Borrowed);
        let is_data_dir =
            |store: &Location| matches!(store, Location::Directory(path) if Some(&**path) == data_dir);
        let store = |item: &Item<'_>, is_for| {
            let store = location(item, dir, &known, is_for)?;
            if is_data_dir(&store) {
                let hint = "use a directory of its own, as in \"file:./data/store\"";
                return item.fail("must not be node.data_dir itself", hint.to_owned());
            }
            Some(store)
        };
        let url = section.set("url").and_then(|item| store(&item, Use::Write));
        let read_url = section.read("read_url", |item| store(item, Use::Read));
        let status_url = section.read("status_url", |item| {
            let status = location(item, dir, &known, Use::Write)?;
            let stores = [url.as_ref(), read_url.as_ref().and_then(Option::as_ref)];
            let message = if url.as_ref().is_some_and(|url| url.shown() == status.shown()) {
                "must not be storage.url itself"
            } else if is_data_dir(&status) {
                "must not be node.data_dir itself"
            } else if let Some(own) =
                stores.into_iter().flatten().find_map(|store| reserved_directory(&status, store))
            {
                &format!("must not be in `{own}/` of the store, which holds its own objects")
            } else {
                return Some(status);
            };
            let hint = "leave it out for `status/` below storage.url, or name a place of its own";
            item.fail(message, hint.to_owned())
        });
        services.as_ref()?;
        Some(Self { location: url?, read_location: read_url?, status_location: status_url? })
    }
}

/// What all stores of one service share: the options of the file and of the environment.
#[derive(Debug, Clone, Default)]
pub(super) struct Services {
    s3: Vec<(String, SecretString)>,
    /// Replace those of `s3` for the store that is only read.
    s3_read: Vec<(String, SecretString)>,
    gcs: Vec<(String, SecretString)>,
    azure: Vec<(String, SecretString)>,
    /// Authorities that are trusted beside those of the machine.
    ca_file: Option<PathBuf>,
}

/// Which of the node's stores a URL is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Write,
    Read,
}

/// A service's environment variables: their prefixes, and the ones that hold credentials, which must not be
/// mixed with credentials of the file.
struct Words {
    prefixes: &'static [&'static str],
    credentials: &'static [&'static str],
}

const S3: Words = Words {
    prefixes: &["AWS_"],
    credentials: &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_TOKEN"],
};
const GCS: Words = Words {
    prefixes: &["GOOGLE_", "SERVICE_ACCOUNT"],
    credentials: &[
        "GOOGLE_SERVICE_ACCOUNT",
        "GOOGLE_SERVICE_ACCOUNT_PATH",
        "GOOGLE_SERVICE_ACCOUNT_KEY",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "SERVICE_ACCOUNT",
    ],
};
const AZURE: Words = Words {
    prefixes: &["AZURE_", "IDENTITY_", "MSI_"],
    credentials: &[
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_ACCESS_KEY",
        "AZURE_STORAGE_MASTER_KEY",
        "AZURE_STORAGE_SAS_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_STORAGE_TOKEN",
    ],
};

/// Reads the sections of the services; each may be absent.
pub(super) fn services(section: &Section<'_>, dir: &Path, env: &Environment) -> Option<Services> {
    let ca_file = section.read("ca_file", |item| item.file_path(dir));
    let s3 = section.read("s3", |item| s3(&item.section()?, dir, env));
    let gcs = section.read("gcs", |item| gcs(&item.section()?, dir, env));
    let azure = section.read("azure", |item| azure(&item.section()?, env));
    let (s3, s3_read) = match s3? {
        Some(read) => read,
        None if is_s3_used(section) => (s3_environment(section, None, None, env)?, Vec::new()),
        None => (Vec::new(), Vec::new()),
    };
    let azure = azure?.unwrap_or_else(|| environment(env, &AZURE, false));
    // They go into headers, for which the client takes them as they are.
    let has_control = |(_, value): &&(String, SecretString)| value.expose_secret().contains(char::is_control);
    if let Some((name, _)) = s3.iter().chain(&s3_read).chain(&azure).find(has_control) {
        return section.fail(
            format!("{} has a line break or another control character", name.to_uppercase()),
            "a value from a file often ends in a line break: remove it, in the variable or in the configuration".to_owned(),
        );
    }
    Some(Services {
        ca_file: ca_file?,
        s3,
        s3_read,
        gcs: gcs?.unwrap_or_else(|| environment(env, &GCS, false)),
        azure,
    })
}

/// Whether a store is a bucket of S3. If not, the environment's profile need not exist.
fn is_s3_used(section: &Section<'_>) -> bool {
    const KEYS: [&str; 5] = ["url", "read_url", "status_url", "output", "manifest"];
    let is_s3 =
        |item: Item<'_>| matches!(&item.node.value, Value::String(url) if url.value.starts_with("s3://"));
    KEYS.into_iter().filter_map(|key| section.get(key)).any(is_s3)
}

type Options = Vec<(String, SecretString)>;

fn s3(section: &Section<'_>, dir: &Path, env: &Environment) -> Option<(Options, Options)> {
    let endpoint = section.read("endpoint", address);
    let region = section.read("region", Item::printable_word);
    let read_endpoint = section.read("read_endpoint", address);
    let read_region = section.read("read_region", Item::printable_word);
    let path_style = section.read("path_style", Item::boolean);
    let id = section.read("access_key_id", Item::printable_word);
    let key = section.read("secret_access_key", secret);
    let token = section.read("session_token", secret);
    let profile = section.read("profile", Item::printable_word);
    let file = section.read("credentials_file", |item| item.file_path(dir));
    section.finish();
    let (id, key, token, profile) = (id?, key?, token?, profile?);
    if id.is_some() != key.is_some() {
        return section.fail(
            "access_key_id and secret_access_key go together",
            "write both, or neither: then credentials come from the environment".to_owned(),
        );
    }
    if token.is_some() && id.is_none() {
        return section.fail(
            "has session_token without access_key_id",
            "write access_key_id and secret_access_key, too, or remove session_token".to_owned(),
        );
    }
    let (file, of_profile) = (file?, if profile.is_some() { "profile" } else { "credentials_file" });
    if id.is_some() && (profile.is_some() || file.is_some()) {
        return section.fail(
            format!("has both access_key_id and {of_profile}"),
            format!(
                "remove {of_profile}, or remove access_key_id, secret_access_key and session_token: credentials come \
                 from one place"
            ),
        );
    }
    let mut options = match id {
        Some(_) => environment(env, &S3, true),
        None => s3_environment(section, profile, file, env)?,
    };
    // This name overrides every other name of the endpoint in the environment.
    add(&mut options, "aws_endpoint_url_s3", endpoint?);
    add(&mut options, "aws_region", region?);
    add(&mut options, "aws_access_key_id", id);
    add(&mut options, "aws_secret_access_key", key);
    add(&mut options, "aws_session_token", token);
    let virtual_hosted = path_style?.map(|path_style| (!path_style).to_string());
    add(&mut options, "aws_virtual_hosted_style_request", virtual_hosted);
    let mut read = Vec::new();
    add(&mut read, "aws_endpoint_url_s3", read_endpoint?);
    add(&mut read, "aws_region", read_region?);
    Some((options, read))
}

/// Options of the environment; with the credentials of a profile, if the file names one or, without keys, the
/// environment does.
fn s3_environment(
    section: &Section<'_>,
    profile: Option<String>,
    file: Option<PathBuf>,
    env: &Environment,
) -> Option<Options> {
    let variable = |name: &str| env.get(name).filter(|value| !value.is_empty());
    let has_keys = variable("AWS_ACCESS_KEY_ID").is_some() && profile.is_none() && file.is_none();
    let has_file = file.is_some() || variable("AWS_SHARED_CREDENTIALS_FILE").is_some();
    let default = has_file.then(|| "default".to_owned());
    let name = profile.or_else(|| variable("AWS_PROFILE").map(str::to_owned)).or(default);
    match (name.filter(|_| !has_keys), profile::file(file, env)) {
        (Some(name), Some(file)) => {
            let mut options = environment(env, &S3, true);
            options.extend(profile::read(section, &name, &file)?);
            Some(options)
        }
        _ => Some(environment(env, &S3, false)),
    }
}

fn gcs(section: &Section<'_>, dir: &Path, env: &Environment) -> Option<Options> {
    let endpoint = section.read("endpoint", address);
    let file = section.read("service_account_file", |item| {
        item.file_path(dir).map(|path| path.to_string_lossy().into_owned())
    });
    section.finish();
    let file = file?;
    let mut options = environment(env, &GCS, file.is_some());
    add(&mut options, "google_base_url", endpoint?);
    add(&mut options, "google_service_account", file);
    Some(options)
}

fn azure(section: &Section<'_>, env: &Environment) -> Option<Options> {
    let endpoint = section.read("endpoint", address);
    let account = section.read("account", Item::printable_word);
    let key = section.read("access_key", secret);
    section.finish();
    let key = key?;
    let mut options = environment(env, &AZURE, key.is_some());
    add(&mut options, "azure_storage_endpoint", endpoint?);
    add(&mut options, "azure_storage_account_name", account?);
    add(&mut options, "azure_storage_account_key", key);
    Some(options)
}

/// The service's variables, unchanged. Without credentials when the file has some.
fn environment(env: &Environment, words: &Words, has_credentials: bool) -> Options {
    let names = env.names().filter(|name| words.prefixes.iter().any(|prefix| name.starts_with(prefix)));
    let names = names.filter(|name| !has_credentials || !words.credentials.contains(name));
    let pair = |name: &str| Some((name.to_ascii_lowercase(), SecretString::from(env.get(name)?)));
    // An empty variable counts as absent, as everywhere.
    names.filter(|name| env.get(name).is_some_and(|value| !value.is_empty())).filter_map(pair).collect()
}

fn add(options: &mut Options, name: &str, value: Option<String>) {
    options.extend(value.map(|value| (name.to_owned(), SecretString::from(value))));
}

/// A string that is not empty and not printed.
fn secret(item: &Item<'_>) -> Option<String> {
    item.word().map(str::to_owned)
}

fn address(item: &Item<'_>) -> Option<String> {
    item.base_url("an address", "write \"https://host\" or \"http://host:port\"")
}

/// The bucket that `item`, a URL, names, with the options of the services that `section` has; `None` after a fault was
/// reported.
pub(crate) fn bucket_of(
    section: &Section<'_>,
    item: &Item<'_>,
    dir: &Path,
    env: &Environment,
    hint: &str,
) -> Option<Bucket> {
    let (services, url) = (services(section, dir, env)?, item.url()?);
    if !SCHEMES.iter().any(|(scheme, _)| url.starts_with(scheme)) {
        return item.fail("is not the URL of a bucket", hint.to_owned());
    }
    match location(item, dir, &services, Use::Write)? {
        Location::Bucket(bucket) => Some(bucket),
        Location::Directory(_) => None,
    }
}

/// The store that a URL names. The URL itself is never part of a fault: it may hold a password.
pub(super) fn location(item: &Item<'_>, dir: &Path, services: &Services, is_for: Use) -> Option<Location> {
    let url = item.url()?;
    for (scheme, service) in SCHEMES {
        if let Some(rest) = url.strip_prefix(scheme) {
            let (name, prefix) = bucket(item, rest)?;
            let mut options = match service {
                Service::S3 => services.s3.clone(),
                Service::Gcs => services.gcs.clone(),
                Service::Azure => services.azure.clone(),
            };
            if service == Service::S3 && is_for == Use::Read {
                options.extend(services.s3_read.iter().cloned());
            }
            let ca_file = services.ca_file.clone();
            return Some(Location::Bucket(Bucket { service, name, prefix, options, ca_file }));
        }
    }
    let Some(path) = url.strip_prefix("file:") else {
        return item.fail("is not the URL of a store", HINT.to_owned());
    };
    // `file://host/path` names another machine; `file:///path` names this one.
    let path = match path.strip_prefix("//") {
        Some(path) if !path.starts_with('/') => {
            return item.fail(
                "names a host; a directory is on this machine",
                "write \"file:./data/store\" or \"file:///srv/store\"".to_owned(),
            );
        }
        Some(path) => path,
        None => path,
    };
    item.local_path(dir, path, HINT).map(Location::Directory)
}

/// Bucket and prefix of what follows the scheme.
fn bucket(item: &Item<'_>, rest: &str) -> Option<(String, String)> {
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let is_word = |word: &str, more: &[u8]| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    if !is_word(name, b".-_") || name.len() > NAME_BYTES_MAX {
        return item.fail(
            "names no bucket",
            "a bucket's name is letters, digits, `.`, `-` and `_`; credentials have keys of their own"
                .to_owned(),
        );
    }
    let is_part = |part: &str| is_word(part, b".-_=+") && part != "." && part != "..";
    if !(prefix.is_empty() || prefix.split('/').all(is_part)) || prefix.len() > PREFIX_BYTES_MAX {
        return item.fail(
            "has a prefix that cannot be used",
            "parts of a prefix are letters, digits, `.`, `-`, `_`, `=` and `+`, with `/` between them"
                .to_owned(),
        );
    }
    Some((name.to_owned(), prefix.to_owned()))
}
