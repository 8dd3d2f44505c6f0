//! `[sources.NAME]` of type `google_sheets`.

use std::sync::Arc;

use jsonwebtoken::EncodingKey;
use reqwest::Url;
use serde::Deserialize;

use super::{Account, GoogleSheets};
use crate::{
    settings::{item::Item, read_bounded, section::Section},
    source::{
        driver::{Driver, OpenOptions},
        http::Endpoint,
    },
};

/// Largest key file of a service account; one has 2.4 kB.
const KEY_FILE_BYTES_MAX: u64 = 64 * 1024;
const ADDRESS: &str = "https://sheets.googleapis.com";
const HINT: &str = "write credentials_file = \"service-account.json\", the key of a service account in JSON";

/// The key of a service account, as Google gives it.
#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    private_key: String,
    token_uri: String,
}

/// Reads `spreadsheet`, `credentials_file` or `credentials`, `url` and `ca_file`.
pub(super) fn open(section: &Section<'_>, options: &OpenOptions<'_>) -> Option<Arc<dyn Driver>> {
    let spreadsheet = section.need("spreadsheet", "write the id in the sheet's address").and_then(|item| {
        let id = item.printable().word()?;
        let is_id = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        let hint = "write the part of its address between /d/ and /edit".to_owned();
        if is_id { Some(id.to_owned()) } else { item.fail("is not the id of a spreadsheet", hint) }
    });
    let account = match (section.get("credentials_file"), section.get("credentials")) {
        (Some(item), None) => {
            item.file_path(options.dir).and_then(|path| match read_bounded(&path, KEY_FILE_BYTES_MAX) {
                Ok(text) => account(&item, &text),
                Err(error) => item.fail(format!("cannot be read: {error}"), None),
            })
        }
        (None, Some(item)) => item.word().and_then(|text| account(&item, text)),
        (Some(_), Some(item)) => item.fail("conflicts with credentials_file", "keep one of them".to_owned()),
        (None, None) => section.fail("has no credentials", HINT.to_owned()),
    };
    let file_path = |item: &Item<'_>| item.file_path(options.dir);
    let endpoint = Endpoint::read_or(section, Url::parse(ADDRESS).ok(), file_path, options.connect_timeout);
    Some(Arc::new(GoogleSheets { endpoint: endpoint?, spreadsheet: spreadsheet?, account: account? }))
}

fn account(item: &Item<'_>, text: &str) -> Option<Account> {
    let read = || {
        let file: KeyFile = serde_json::from_str(text).ok()?;
        let key = EncodingKey::from_rsa_pem(file.private_key.as_bytes()).ok()?;
        Some(Account { email: file.client_email, key, token_url: Url::parse(&file.token_uri).ok()? })
    };
    read().or_else(|| item.fail("is not the key of a service account", HINT.to_owned()))
}
