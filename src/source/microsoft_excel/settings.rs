//! `[sources.NAME]` of type `microsoft_excel`.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;

use super::{
    MicrosoftExcel,
    token::{Credentials, Login, Signer},
};
use crate::{
    settings::{item::Item, read_bounded, section::Section},
    source::{
        driver::{Driver, OpenOptions},
        http::{Endpoint, http_url},
    },
    support::secret::SecretString,
};

const ADDRESS: &str = "https://graph.microsoft.com";
const LOGIN_ADDRESS: &str = "https://login.microsoftonline.com";
/// Largest certificate or key file; one has some 2 kB.
const PEM_BYTES_MAX: u64 = 64 * 1024;
/// What stays as it is in a part of a path.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'!').remove(b'~');
const CREDENTIALS_HINT: &str = "write client_secret, or certificate_file and key_file";
const PLACE_HINT: &str =
    "write share_url = \"https://…\"; or drive, site or user, with path = \"folder/book.xlsx\" or item";

/// Reads `tenant`, `client_id`, the credentials, the place of the workbook, `url`, `login_url` and `ca_file`.
pub(super) fn open(section: &Section<'_>, options: &OpenOptions<'_>) -> Option<Arc<dyn Driver>> {
    let file_path = |item: &Item<'_>| item.file_path(options.dir);
    let endpoint = Endpoint::read_or(section, Url::parse(ADDRESS).ok(), file_path, options.connect_timeout);
    let login_url = section.get("login_url").map_or(Url::parse(LOGIN_ADDRESS).ok(), |item| http_url(&item));
    let tenant = section
        .need("tenant", "write the directory (tenant) id of the app registration")
        .and_then(|item| identifier(&item));
    let client_id = section
        .need("client_id", "write the application (client) id of the app registration")
        .and_then(|item| identifier(&item));
    let credentials = credentials(section, options);
    let item = place(section);
    let (endpoint, mut login_url) = (endpoint?, login_url?);
    login_url.path_segments_mut().ok()?.pop_if_empty().extend([&*tenant?, "oauth2", "v2.0", "token"]);
    let scope = format!("{}/.default", endpoint.url.origin().ascii_serialization());
    let login = Login::new(endpoint.at(login_url), client_id?, credentials?, scope);
    Some(Arc::new(MicrosoftExcel { endpoint, login, item: item?.into() }))
}

/// A GUID, or the name of a domain.
fn identifier(item: &Item<'_>) -> Option<String> {
    let word = item.printable_word()?;
    let is_good = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    let hint = || "copy it from the app registration in Microsoft Entra".to_owned();
    if is_good { Some(word) } else { item.fail("is not an id", hint()) }
}

fn credentials(section: &Section<'_>, options: &OpenOptions<'_>) -> Option<Credentials> {
    let secret = section.read("client_secret", |item| item.word().map(SecretString::from));
    let pem = |item: &Item<'_>| match read_bounded(&item.file_path(options.dir)?, PEM_BYTES_MAX) {
        Ok(pem) => Some(pem),
        Err(error) => item.fail(format!("cannot be read: {error}"), None),
    };
    let certificate = section.read("certificate_file", pem);
    let key = section.read("key_file", pem);
    match (secret?, certificate?, key?) {
        (Some(secret), None, None) => Some(Credentials::Secret(secret)),
        (None, Some(certificate), Some(key)) => match Signer::new(&certificate, &key) {
            Ok(signer) => Some(Credentials::Certificate(signer)),
            Err(fault) => section.fail(fault, CREDENTIALS_HINT.to_owned()),
        },
        _ => section.fail("needs one kind of credentials", CREDENTIALS_HINT.to_owned()),
    }
}

/// The workbook below the address of the API.
fn place(section: &Section<'_>) -> Option<String> {
    let shared = section.read("share_url", |item| match item.word()? {
        url if url.starts_with("https://") => Some(url.to_owned()),
        _ => item.fail("is not a link to a workbook", PLACE_HINT.to_owned()),
    });
    let drive = section.read("drive", Item::printable_word);
    let site = section.read("site", Item::printable_word);
    let user = section.read("user", Item::printable_word);
    let path = section.read("path", Item::printable_word);
    let item = section.read("item", Item::printable_word);
    let root = match (shared?, drive?, site?, user?) {
        (Some(url), None, None, None) => {
            if path?.is_some() || item?.is_some() {
                return section.fail("has path or item beside share_url", PLACE_HINT.to_owned());
            }
            return Some(format!("shares/u!{}/driveItem", URL_SAFE_NO_PAD.encode(url)));
        }
        (None, Some(drive), None, None) => format!("drives/{}", encoded(&drive)),
        (None, None, Some(site), None) => format!("sites/{}/drive", site_path(&site)),
        (None, None, None, Some(user)) => format!("users/{}/drive", encoded(&user)),
        _ => return section.fail("must name exactly one workbook", PLACE_HINT.to_owned()),
    };
    match (path?, item?) {
        (Some(path), None) => Some(format!("{root}/root:/{}", encoded_path(&path))),
        (None, Some(item)) => Some(format!("{root}/items/{}", encoded(&item))),
        _ => section.fail("must name exactly one workbook", PLACE_HINT.to_owned()),
    }
}

/// A site by its id, or by its host and path: `contoso.sharepoint.com:/sites/team`, with or without the colon.
fn site_path(site: &str) -> String {
    let site = site.strip_prefix("https://").unwrap_or(site);
    match site.split_once('/') {
        Some((host, path)) => format!("{}:/{}:", encoded(host.trim_end_matches(':')), encoded_path(path)),
        // The parts of an id: host, collection, site.
        None => site.split(',').map(encoded).collect::<Vec<_>>().join(","),
    }
}

fn encoded_path(path: &str) -> String {
    path.split('/').filter(|part| !part.is_empty()).map(encoded).collect::<Vec<_>>().join("/")
}

fn encoded(part: &str) -> String {
    utf8_percent_encode(part, KEPT).to_string()
}
