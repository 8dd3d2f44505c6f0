//! `[tokens.NAME]`: an issuer of access tokens, and the most that its tokens open.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jsonwebtoken::Algorithm;
use reqwest::Url;

use crate::{
    auth::address::{ip_address, is_loopback, secure_url},
    domain::{
        fields::{FieldLimit, FieldPath},
        keyset::Scope,
        limits::{COLLECTIONS_MAX, FIELD_PATHS_MAX, INDEXES_MAX},
        name::{CollectionName, IndexName},
        network,
    },
    settings::{Declaration, item::Item, section::Section},
    support::secret::SecretString,
};

/// The algorithms that an issuer may use.
pub(super) const ALGORITHMS: [(&str, Algorithm); 5] = [
    ("EdDSA", Algorithm::EdDSA),
    ("ES256", Algorithm::ES256),
    ("RS256", Algorithm::RS256),
    ("PS256", Algorithm::PS256),
    ("HS256", Algorithm::HS256),
];
/// Most issuers of a node: each token is compared with all.
const ISSUERS_MAX: usize = 100;
/// Shortest secret of HS256, in bytes: as long as its hash (RFC 7518, section 3.2).
const SECRET_BYTES_MIN: usize = 32;
/// Longest leeway for clocks that differ.
const LEEWAY_MAX: Duration = Duration::from_mins(1);
const LEEWAY: Duration = Duration::from_secs(30);
const LIFETIME: Duration = Duration::from_hours(1);
const LIFETIME_MAX: Duration = Duration::from_hours(24);
const REFRESH_INTERVAL: Duration = Duration::from_mins(15);
const REFRESH_INTERVAL_MIN: Duration = Duration::from_secs(30);
const REFRESH_INTERVAL_MAX: Duration = Duration::from_hours(24);

/// An issuer of tokens.
#[derive(Debug, Clone)]
pub struct TokenSettings {
    /// Its name in the configuration.
    pub name: String,
    /// The claim `iss` of its tokens.
    pub issuer: String,
    /// One of the claim `aud`.
    pub audience: String,
    /// The algorithms of its signatures; of one family unless its keys are a JWK set.
    pub algorithms: Vec<Algorithm>,
    /// Its keys.
    pub keys: KeySource,
    /// How far clocks may differ.
    pub leeway: Duration,
    /// Longest time from issue to expiry.
    pub lifetime_max: Duration,
    /// The collections that its tokens open at most.
    pub scope: Scope,
    /// Collections that includes of a record open beside, also for a token that is bound to one record.
    pub included: Vec<CollectionName>,
    /// The indexes that its tokens open at most; `None` is all.
    pub indexes: Option<Vec<IndexName>>,
    /// The fields that its tokens open at most; `None` is all.
    pub fields: Option<FieldLimit>,
    /// The index that has the claim `sub`: a token opens that record only.
    pub record_index: Option<IndexName>,
}

/// Where the keys of an issuer are.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A shared secret.
    Secret(Arc<SecretString>),
    /// A file with one public key in PEM.
    PublicKeyFile(PathBuf),
    /// A file with a JWK set.
    JwksFile(PathBuf),
    /// The URL of a JWK set, which is fetched in the background.
    JwksUrl {
        /// The URL.
        url: Url,
        /// How often it is fetched.
        interval: Duration,
        /// Whether it may be on a private network.
        allows_private_address: bool,
    },
}

impl TokenSettings {
    /// The section of these settings.
    pub(crate) const SECTION: Declaration = Declaration::read_at_start("tokens");
}

/// Reads `[tokens.*]`; relative paths are from `dir`.
pub(crate) fn read_all(section: &Section<'_>, dir: &Path) -> Option<Vec<TokenSettings>> {
    let issuers: Vec<_> = section
        .entries()
        .map(|(entry, item)| {
            section.check_name(entry, "token issuer");
            let inner = item.section()?;
            let issuer = read(&inner, &entry.key, dir);
            inner.finish();
            issuer
        })
        .collect();
    let issuers: Vec<TokenSettings> = issuers.into_iter().collect::<Option<_>>()?;
    if issuers.len() > ISSUERS_MAX {
        return section.fail(format!("has more than {ISSUERS_MAX} issuers"), None);
    }
    let is_twice =
        |(at, one): &(usize, &TokenSettings)| issuers[..*at].iter().any(|other| other.issuer == one.issuer);
    if let Some((_, twice)) = issuers.iter().enumerate().find(is_twice) {
        return section.fail(
            format!("has two issuers with issuer = {:?}", twice.issuer),
            "a token's issuer decides how it is checked; keep one of them".to_owned(),
        );
    }
    Some(issuers)
}

fn read(section: &Section<'_>, name: &str, dir: &Path) -> Option<TokenSettings> {
    let issuer = section.need("issuer", "write the claim iss of its tokens");
    let issuer = issuer.and_then(|item| item.printable_word());
    let audience = section.need("audience", "write the claim aud that tokens for this deployment have");
    let audience = audience.and_then(|item| item.printable_word());
    let algorithms =
        section.need("algorithms", "write algorithms = [\"ES256\"], or those that the issuer uses");
    let algorithms = algorithms.and_then(|item| {
        let list = item.list(|item| item.one_of(&ALGORITHMS))?;
        if list.is_empty() { item.fail("names no algorithm", None) } else { Some(list) }
    });
    let leeway = section.read("leeway", |item| item.duration(Duration::ZERO..=LEEWAY_MAX));
    let lifetime = section.read("max_lifetime", |item| item.duration(Duration::from_secs(1)..=LIFETIME_MAX));
    let scope = scope(section);
    let names = |item: &Item<'_>| at_most(item, COLLECTIONS_MAX, |item| item.name(CollectionName::new));
    let included = section.read("include_collections", names);
    let indexes =
        section.read("indexes", |item| at_most(item, 1 + INDEXES_MAX, |item| item.name(IndexName::new)));
    let fields = fields(section);
    let record = record_index(section);
    let keys = key_source(section, algorithms.as_deref(), dir);
    Some(TokenSettings {
        name: name.to_owned(),
        issuer: issuer?,
        audience: audience?,
        algorithms: algorithms?,
        keys: keys?,
        leeway: leeway?.unwrap_or(LEEWAY),
        lifetime_max: lifetime?.unwrap_or(LIFETIME),
        scope: scope?,
        included: included?.unwrap_or_default(),
        indexes: indexes?,
        fields: fields?,
        record_index: record?,
    })
}

fn at_most<T: PartialEq>(
    item: &Item<'_>,
    max: usize,
    read: impl Fn(&Item<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let list = item.list(read)?;
    if list.len() > max { item.fail(format!("has more than {max} entries"), None) } else { Some(list) }
}

/// `collections`, or `all_collections = true`.
fn scope(section: &Section<'_>) -> Option<Scope> {
    let names = section
        .read("collections", |item| at_most(item, COLLECTIONS_MAX, |item| item.name(CollectionName::new)));
    let all = section.read("all_collections", Item::boolean);
    match (names?, all?.unwrap_or(false)) {
        (Some(names), false) => Some(Scope::Collections(names)),
        (None, true) => Some(Scope::AllCollections),
        (Some(_), true) => section.fail("has both collections and all_collections", None),
        (None, false) => section.fail(
            "does not say which collections its tokens give access to",
            "write collections = [\"customer\"], or all_collections = true".to_owned(),
        ),
    }
}

/// `fields`, `without_fields` or neither.
#[expect(clippy::option_option, reason = "the outer one is a reported fault, the inner one absence")]
fn fields(section: &Section<'_>) -> Option<Option<FieldLimit>> {
    let paths = |item: &Item<'_>| at_most(item, FIELD_PATHS_MAX, |item| item.name(FieldPath::new));
    let only = section.read("fields", paths);
    let without = section.read("without_fields", paths);
    match (only?, without?) {
        (Some(_), Some(_)) => section.fail("has both fields and without_fields", None),
        (only, without) => Some(only.map(FieldLimit::Only).or(without.map(FieldLimit::Without))),
    }
}

/// `record_index`, or `all_records = true`: every holder of a token of the issuer can read all its collections then.
#[expect(clippy::option_option, reason = "the outer one is a reported fault, the inner one absence")]
fn record_index(section: &Section<'_>) -> Option<Option<IndexName>> {
    let index = section.read("record_index", |item| item.name(IndexName::new));
    let all = section.read("all_records", Item::boolean);
    match (index?, all?.unwrap_or(false)) {
        (Some(_), true) => section.fail("has both record_index and all_records", None),
        (None, false) => section.fail(
            "does not say which records its tokens open",
            "write record_index = \"id\" for the record that has the claim sub in this index, or all_records = true"
                .to_owned(),
        ),
        (index, _) => Some(index),
    }
}

/// The one of four keys that says where the issuer's keys are.
fn key_source(section: &Section<'_>, algorithms: Option<&[Algorithm]>, dir: &Path) -> Option<KeySource> {
    let secret = section.read("secret", |item| {
        let secret = item.word()?;
        if secret.len() < SECRET_BYTES_MIN {
            return item.fail(format!("is shorter than {SECRET_BYTES_MIN} bytes"), None);
        }
        Some(KeySource::Secret(Arc::new(SecretString::from(secret))))
    });
    let pem = section.read("public_key_file", |item| item.file_path(dir).map(KeySource::PublicKeyFile));
    let jwks = section.read("jwks_file", |item| item.file_path(dir).map(KeySource::JwksFile));
    let url = jwks_url(section);
    let mut given = [secret?, pem?, jwks?, url?].into_iter().flatten();
    let (Some(keys), None) = (given.next(), given.next()) else {
        return section.fail(
            "needs exactly one of secret, public_key_file, jwks_file, jwks_url",
            "it names the keys that verify the issuer's tokens".to_owned(),
        );
    };
    let algorithms = algorithms?;
    let is_secret = matches!(keys, KeySource::Secret(_));
    let has_one_family = match algorithms {
        [_] => true,
        several => several.iter().all(|one| matches!(one, Algorithm::RS256 | Algorithm::PS256)),
    };
    if is_secret != algorithms.contains(&Algorithm::HS256) || (is_secret && algorithms.len() > 1) {
        return section
            .fail("mixes a shared secret with public keys", "HS256 alone goes with secret".to_owned());
    }
    if matches!(keys, KeySource::PublicKeyFile(_)) && !has_one_family {
        return section.fail("names algorithms of several kinds of keys for one public_key_file", None);
    }
    Some(keys)
}

#[expect(clippy::option_option, reason = "the outer one is a reported fault, the inner one absence")]
fn jwks_url(section: &Section<'_>) -> Option<Option<KeySource>> {
    let interval =
        section.read("refresh_interval", |item| item.duration(REFRESH_INTERVAL_MIN..=REFRESH_INTERVAL_MAX));
    let allows = section.read("allow_private_address", Item::boolean);
    let (interval, allows) = (interval?.unwrap_or(REFRESH_INTERVAL), allows?.unwrap_or(false));
    section.read("jwks_url", |item| {
        let url = secure_url(item)?;
        let is_private =
            is_loopback(&url) || ip_address(&url).is_some_and(|address| !network::is_public(address));
        if is_private && !allows {
            return item
                .fail("is at a private address", "write allow_private_address = true beside it".to_owned());
        }
        Some(KeySource::JwksUrl { url, interval, allows_private_address: allows })
    })
}
