//! `[admin.oidc]`: the identity provider, and the roles of its groups.

use std::{path::Path, sync::Arc};

use super::http::Http;
use crate::{
    auth::address::secure_url,
    domain::{AdminRole, label::Label},
    settings::{Declaration, Entry, item::Item, read_authorities, section::Section},
    support::secret::SecretString,
};

/// The section.
pub(crate) const SECTION: Declaration = Declaration::read_at_start("admin");

/// Most groups with a role.
const ROLES_MAX: usize = 1000;
/// Most scopes.
const SCOPES_MAX: usize = 50;
/// Longest claim, scope or client id, in bytes.
const WORD_BYTES_MAX: usize = 256;
/// The claim that has the groups unless the configuration names another.
const GROUP_CLAIM: &str = "groups";
/// The words of roles.
const ROLES: [(&str, AdminRole); 3] =
    [("viewer", AdminRole::Viewer), ("operator", AdminRole::Operator), ("admin", AdminRole::Admin)];

/// The identity provider, `[admin.oidc]`. Its `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct OidcSettings {
    /// What the page that signs in calls it.
    pub name: Label,
    /// Exactly as the provider writes it.
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) client_secret: Arc<SecretString>,
    /// Those that are asked for; `None` leaves it to what the provider offers.
    pub(super) scopes: Option<Vec<String>>,
    pub(super) group_claim: String,
    /// The role of each group that has one.
    pub(super) roles: Vec<(String, AdminRole)>,
    /// The address at which browsers reach the console: scheme, host and port.
    pub url: String,
    pub(super) http: Http,
}

impl OidcSettings {
    /// Whether browsers reach the console without TLS, which is so on a loopback address only.
    pub fn is_plain(&self) -> bool {
        self.url.starts_with("http:")
    }
}

/// Reads `[admin]`; relative paths are from `dir`.
#[expect(clippy::option_option, reason = "the outer one is a reported fault, the inner one absence")]
pub(crate) fn read(section: &Section<'_>, dir: &Path) -> Option<Option<OidcSettings>> {
    section.read("oidc", |item| {
        let section = item.section()?;
        let settings = provider(&section, dir);
        section.finish();
        settings
    })
}

fn provider(section: &Section<'_>, dir: &Path) -> Option<OidcSettings> {
    let issuer =
        section.need("issuer", "write the issuer of the provider, such as \"https://login.example.com\"");
    let issuer = issuer.and_then(|item| {
        let (url, text) = (secure_url(&item)?, item.word()?);
        if url.query().is_some() || url.fragment().is_some() {
            return item.fail("has parameters", "an issuer has none".to_owned());
        }
        Some((Label::fitted(url.host_str().unwrap_or_default()), text.to_owned()))
    });
    let url = section.need("url", "write the address at which browsers reach the console");
    let url = url.and_then(|item| origin(&item));
    let client_id = section.need("client_id", "write the client id that the provider has for Larder");
    let client_id = client_id.and_then(|item| word(&item));
    let secret = section.need("client_secret", "write client_secret = \"${OIDC_CLIENT_SECRET}\"");
    let secret = secret.and_then(|item| item.word().map(|word| Arc::new(SecretString::from(word))));
    let scopes = section.read("scopes", |item| {
        let scopes = item.list(word)?;
        let is_scope =
            |scope: &String| scope.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
        match () {
            () if scopes.len() > SCOPES_MAX => item.fail(format!("has more than {SCOPES_MAX} scopes"), None),
            () if !scopes.iter().all(is_scope) => {
                item.fail("has a scope with white space", "write a list of scopes".to_owned())
            }
            () => Some(scopes),
        }
    });
    let group_claim = section.read("group_claim", word);
    let roles =
        section.need("roles", "write [admin.oidc.roles] with lines such as \"larder admins\" = \"admin\"");
    let roles = roles.and_then(|item| roles_of(&item));
    let name = section.read("name", |item| item.name(Label::new));
    let authorities = section.read("ca_file", |item| read_authorities(item, &item.file_path(dir)?));
    let (host, issuer) = issuer?;
    let Some(http) = Http::new(authorities?.unwrap_or_default()) else {
        return section.fail("the HTTP client cannot be made", None);
    };
    Some(OidcSettings {
        name: name?.unwrap_or(host),
        issuer,
        client_id: client_id?,
        client_secret: secret?,
        scopes: scopes?,
        group_claim: group_claim?.unwrap_or_else(|| GROUP_CLAIM.to_owned()),
        roles: roles?,
        url: url?,
        http,
    })
}

/// Scheme, host and port of a URL that has nothing else.
fn origin(item: &Item<'_>) -> Option<String> {
    let url = secure_url(item)?;
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        let hint = "the console is at /console of this address, so write scheme, host and port alone";
        return item.fail("has a path or parameters", hint.to_owned());
    }
    Some(url.origin().ascii_serialization())
}

fn word(item: &Item<'_>) -> Option<String> {
    let word = item.printable_word()?;
    if word.len() > WORD_BYTES_MAX {
        return item.fail(format!("is longer than {WORD_BYTES_MAX} bytes"), None);
    }
    Some(word)
}

/// The role of each group.
fn roles_of(item: &Item<'_>) -> Option<Vec<(String, AdminRole)>> {
    let section = item.section()?;
    let role = |(entry, item): (&Entry, Item<'_>)| Some((entry.key.clone(), item.one_of(&ROLES)?));
    // All are read before a faulty one ends the reading.
    let roles: Vec<_> = section.entries().map(role).collect();
    match roles.len() {
        0 => section.fail("gives no group a role, so nobody could sign in", None),
        1..=ROLES_MAX => roles.into_iter().collect(),
        _ => section.fail(format!("has more than {ROLES_MAX} groups"), None),
    }
}
