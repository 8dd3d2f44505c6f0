//! Checks everything that the configuration names: files, stores, metadata, sources.

use super::parts::{load_signing_keys, metadata_settings, open_catalog, open_read_catalog, open_statuses};
use crate::{
    admin::{Configuration, Error, Registry, Sources},
    api::tls::Tls,
    auth::{oidc::IdentityProvider, tokens::Tokens},
    catalog::{self, Authority},
    config::{Config, Role},
    domain::{catalog::CatalogDocument, error::ErrorKind},
    metadata::{self, Metadata},
    scheduler::ScheduledSync,
    store::{Location, Store},
    support::clock::Clock,
};

/// One part that was checked.
#[derive(Debug)]
pub struct Checked {
    /// The part.
    pub part: String,
    /// A description of the result, which may be empty.
    pub result: Result<String, Fault>,
    /// Warnings that do not fail the check.
    pub warnings: Vec<String>,
}

/// Why a part cannot be used.
#[derive(Debug)]
pub struct Fault {
    /// The error.
    pub message: String,
    /// Its stable code.
    pub code: &'static str,
    /// Its parts, such as every field of a mapping that does not fit.
    pub details: Vec<String>,
}

impl Checked {
    fn new(part: &str, result: Result<String, Error>) -> Self {
        Self { part: part.to_owned(), result: result.map_err(Fault::from), warnings: Vec::new() }
    }

    fn sound(part: &str, found: String) -> Self {
        Self { part: part.to_owned(), result: Ok(found), warnings: Vec::new() }
    }

    fn of_files<T>(part: &str, result: Result<T, Fault>) -> Self {
        Self { part: part.to_owned(), result: result.map(|_| String::new()), warnings: Vec::new() }
    }

    fn faulty(part: &str, fault: Fault) -> Self {
        Self { part: part.to_owned(), result: Err(fault), warnings: Vec::new() }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let details = match &error {
            Error::Mapping { faults, .. } => faults.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        };
        Self { message: error.to_string(), code: error.code(), details }
    }
}

/// Checks the files that a node reads when it starts or connects: certificates, keys, authorities of `config` and of
/// `sources`. Connects to nothing. Calls `report` for each part that has such files.
///
/// # Errors
/// That of `report`.
pub fn check_files<E>(
    config: &Config,
    sources: &Sources,
    mut report: impl FnMut(Checked) -> Result<(), E>,
) -> Result<(), E> {
    if let Some(loaded) = config.server.tls.as_ref().map(Tls::load) {
        report(Checked::of_files(
            "TLS certificate and key",
            loaded.map_err(|error| fault(&error, error.code())),
        ))?;
    }
    if !config.tokens.is_empty() {
        let opened = Tokens::open(&config.tokens).map_err(|error| fault(&error, error.code()));
        report(Checked::of_files("keys of token issuers", opened))?;
    }
    if let Some(key) = signing_key(config).transpose() {
        report(Checked::new("signing key", key))?;
    }
    let storage = &config.storage;
    let stores = [Some(&storage.location), storage.read_location.as_ref(), storage.status_location.as_ref()];
    let buckets = stores.into_iter().flatten().filter(|location| matches!(location, Location::Bucket(_)));
    for location in buckets {
        // A client of a bucket sends nothing before it is asked to.
        let opened = Store::open(location).map_err(|error| fault(&error, error.code()));
        if opened.is_err() {
            report(Checked::of_files("store", opened))?;
            // The others have the same files.
            break;
        }
    }
    if let Some(checked) = config.metadata.as_ref().map(metadata::Settings::check_files)
        && config.node.has(Role::Publisher)
        && checked.is_err()
    {
        report(Checked::of_files("metadata", checked.map_err(|error| fault(&error, error.code()))))?;
    }
    for (name, error) in sources.file_faults() {
        report(Checked::new(&format!("source {name}"), Err(error)))?;
    }
    Ok(())
}

fn fault(error: &dyn std::error::Error, code: &'static str) -> Fault {
    Fault { message: error.to_string(), code, details: Vec::new() }
}

/// Checks everything that `config`, `syncs` and `configuration` name beside files, and calls `report` for each part in turn.
///
/// # Errors
/// That of `report`.
pub async fn check_configuration<E>(
    config: &Config,
    syncs: Vec<ScheduledSync>,
    configuration: &Configuration,
    clock: Clock,
    mut report: impl FnMut(Checked) -> Result<(), E>,
) -> Result<(), E> {
    if let Some(settings) = config.oidc.clone() {
        let described = IdentityProvider::new(settings, clock.clone()).describe().await;
        report(Checked::new("single sign-on", described.map_err(Error::from)))?;
    }
    let publishes = config.node.has(Role::Publisher);
    if !publishes || config.storage.read_location.is_some() {
        let part = if publishes { "store to read from" } else { "store" };
        report(Checked::new(part, read_store(config).await))?;
    }
    if publishes {
        report(Checked::new("store", written_store(config).await))?;
        report(Checked::new("metadata", opened_metadata(config, clock).await))?;
    }
    report(statuses(config).await)?;
    let names: Vec<_> = syncs.iter().map(|sync| sync.spec.collection.clone()).collect();
    let registry = Registry::new(syncs);
    for name in names {
        report(sync_of(&registry, name.as_str()).await)?;
    }
    for (part, found) in configuration.check_unused().await {
        report(Checked::new(&part, found))?;
    }
    Ok(())
}

/// The key that announcements are signed with, as other nodes must be configured with it; `None` when none is
/// configured.
fn signing_key(config: &Config) -> Result<Option<String>, Error> {
    Ok(load_signing_keys(config)?
        .verify_key()
        .map(|key| format!("other nodes: [publication] verify_key = \"{key}\"")))
}

/// A publisher may create an object in the store only where there is none.
async fn written_store(config: &Config) -> Result<String, Error> {
    let catalog = open_catalog(config)?;
    catalog.check_conditional_create().await?;
    let newest = catalog.newest(None).await?;
    // Documents are found without it, but later.
    catalog.head().await?;
    Ok(description(newest.as_ref()))
}

/// A follower may read the store. A copy must belong to the deployment of the store that is written to, where
/// that one can be read too.
async fn read_store(config: &Config) -> Result<String, Error> {
    let found = open_read_catalog(config)?.newest(None).await?;
    if let (Some(read_location), Some(copy)) = (&config.storage.read_location, &found)
        && let Ok(Some(original)) = open_catalog(config)?.newest(None).await
        && original.deployment != copy.deployment
    {
        let path = format!("{}/catalog", read_location.shown());
        let (expected, found) = (original.deployment, copy.deployment);
        return Err(catalog::Error::ForeignCopy { path, expected, found }.into());
    }
    Ok(description(found.as_ref()))
}

/// The statuses of the fleet can be read, and a node that serves can write its own. A node that may not write
/// it serves all the same.
async fn statuses(config: &Config) -> Checked {
    let region = config.node.has(Role::Replica).then_some(&config.node.region);
    let part = "statuses";
    let nodes = match open_statuses(config).check(region).await {
        Ok(nodes) => nodes,
        Err(error) if error.kind() == ErrorKind::Forbidden => {
            let warning = format!("{error} (code: {}); others see this node as silent", error.code());
            let denied = Checked::sound(part, "denied, and this node serves without".to_owned());
            return Checked { warnings: vec![warning], ..denied };
        }
        Err(error) => return Checked::new(part, Err(error.into())),
    };
    let found = match nodes {
        0 => "no node has reported yet".to_owned(),
        1 => "1 node has reported".to_owned(),
        nodes => format!("{nodes} nodes have reported"),
    };
    Checked::sound(
        part,
        if region.is_some() { format!("{found}, and this node may write its own") } else { found },
    )
}

fn description(newest: Option<&CatalogDocument>) -> String {
    let Some(document) = newest else { return "reachable, nothing announced yet".to_owned() };
    let collections = match document.collections.len() {
        1 => "1 collection".to_owned(),
        count => format!("{count} collections"),
    };
    format!("catalog {}, {collections}, {}", document.n, document.deployment)
}

async fn opened_metadata(config: &Config, clock: Clock) -> Result<String, Error> {
    let settings = metadata_settings(config)?;
    if !Metadata::may_exist(settings) {
        return Ok("not there yet: the first start creates it".to_owned());
    }
    let database = Metadata::open_existing(settings, clock).await?;
    let (found, id) = (database.deployment().await?, database.id().await?);
    let has_announced = !database.announced_runs(None, 1).await?.is_empty();
    database.close().await;
    // A store that does not answer is a fault of its own.
    match open_catalog(config)?.newest(None).await {
        Ok(Some(document)) => Authority::new(document.deployment, id).check(&document)?,
        Ok(None) if has_announced => {
            let (found, known) = ("the store is empty", "runs have announced versions");
            return Err(catalog::Error::CatalogLost { found: found.into(), known: known.into() }.into());
        }
        _ => {}
    }
    Ok(found.map_or("reachable, new".to_owned(), |deployment| format!("reachable, {deployment}")))
}

/// The mapping of a sync fits the columns of its model.
async fn sync_of(registry: &Registry, name: &str) -> Checked {
    let part = format!("sync {name}");
    let checked = match registry.check(name).await {
        Ok(checked) => checked,
        Err(error) => return Checked::faulty(&part, error.into()),
    };
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let (columns, fields) = (checked.columns.len(), checked.mapping.fields().len());
    let found = format!("{}, {}", counted(columns, "column"), counted(fields, "field"));
    Checked { warnings: checked.mapping.warnings(), ..Checked::sound(&part, found) }
}
