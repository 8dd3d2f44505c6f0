//! `url = "sftp://..."` and `[sources.NAME.sftp]`.

use std::{borrow::Cow, sync::Arc};

use percent_encoding::percent_decode_str;
use reqwest::Url;
use russh::keys::decode_secret_key;

use super::{Login, Server};
use crate::{
    settings::{item::Item, read_bounded, section::Section},
    source::driver::OpenOptions,
};

const PORT: u16 = 22;
/// Largest file of a private key; one of RSA with 16,384 bits has 13 kB.
const KEY_FILE_BYTES_MAX: u64 = 64 * 1024;
/// Most keys that a server may have: one of each kind, before and after a change.
const HOST_KEYS_MAX: usize = 16;
const URL_HINT: &str = "write url = \"sftp://user@host/directory\"";
const HOST_KEY_HINT: &str = "write host_key = \"SHA256:...\", which `ssh-keyscan HOST | ssh-keygen -lf -` prints, and its operator confirms";

/// Reads the place that `url`, which begins with `sftp://`, names, and the table `sftp`.
pub(super) fn read(section: &Section<'_>, url: &Item<'_>, options: &OpenOptions<'_>) -> Option<Server> {
    let place = place(url);
    let access = section.read_table("sftp", |section| {
        let login = login(section, options);
        let keys = section.need("host_key", HOST_KEY_HINT).and_then(|item| host_keys(&item));
        Some((login?, keys?))
    });
    let (host, port, user, directory) = place?;
    let (login, host_keys) = access?;
    Some(Server { host, port, user, directory, login, host_keys, connect_timeout: options.connect_timeout })
}

/// Host, port, user and directory of a URL.
fn place(item: &Item<'_>) -> Option<(String, u16, String, String)> {
    let parts = || {
        let url = Url::parse(item.url()?).ok()?;
        let decoded = |text| percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned);
        let (host, user) = (url.host_str()?.to_owned(), decoded(url.username())?);
        let directory = match decoded(url.path())?.trim_end_matches('/') {
            "" if url.path() == "/" => "/".to_owned(),
            "" | "/~" => ".".to_owned(),
            path => path.strip_prefix("/~/").unwrap_or(path).to_owned(),
        };
        let is_whole = !user.is_empty() && url.query().is_none() && url.fragment().is_none();
        is_whole.then(|| (host, url.port().unwrap_or(PORT), user, directory, url.password().is_some()))
    };
    match parts() {
        Some((.., true)) => item.fail("has a password", "write it as sftp.password".to_owned()),
        Some((host, port, user, directory, false)) => Some((host, port, user, directory)),
        None => item.fail("is not the URL of a directory of an SFTP server", URL_HINT.to_owned()),
    }
}

fn login(section: &Section<'_>, options: &OpenOptions<'_>) -> Option<Login> {
    let passphrase = section.read("key_passphrase", |item| item.word().map(str::to_owned));
    match (section.get("password"), section.get("key_file")) {
        (Some(password), None) => match section.get("key_passphrase") {
            Some(item) => item.fail("needs `key_file` beside it", "leave it out".to_owned()),
            None => password.word().map(|password| Login::Password(password.into())),
        },
        (None, Some(item)) => {
            let text = match read_bounded(&item.file_path(options.dir)?, KEY_FILE_BYTES_MAX) {
                Ok(text) => text,
                Err(error) => return item.fail(format!("cannot be read: {error}"), None),
            };
            match decode_secret_key(&text, passphrase?.as_deref()) {
                Ok(key) => Some(Login::Key(Arc::new(key))),
                Err(_) => item.fail(
                    "is not a private key of SSH that can be opened",
                    "check the file, and key_passphrase if it has one".to_owned(),
                ),
            }
        }
        (Some(_), Some(item)) => item.fail("conflicts with password", "keep one of them".to_owned()),
        (None, None) => section.fail(
            "has no credentials",
            "write password = \"${SFTP_PASSWORD}\" or key_file = \"id_ed25519\"".to_owned(),
        ),
    }
}

/// One fingerprint, or a list of them.
fn host_keys(item: &Item<'_>) -> Option<Vec<String>> {
    let one = |item: &Item<'_>| {
        item.parsed("the fingerprint of a key", |text| {
            let is_fingerprint = text.strip_prefix("SHA256:").is_some_and(|digest| {
                digest.len() == 43
                    && digest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
            });
            if is_fingerprint { Ok(text.to_owned()) } else { Err(HOST_KEY_HINT.to_owned()) }
        })
    };
    let keys = item.list(one)?;
    if keys.is_empty() || keys.len() > HOST_KEYS_MAX {
        return item.fail(format!("must name from 1 to {HOST_KEYS_MAX} keys"), HOST_KEY_HINT.to_owned());
    }
    Some(keys)
}
