//! Opening the parts that servers and commands share.

use super::stored::layered;
use crate::{
    admin::{Admin, Error, Overview, Registry},
    catalog::{self, Catalog, SigningKeys, StatusStore},
    config::{Config, Role},
    disk::{SegmentDirectory, TableDirectory},
    metadata::{self, Metadata},
    scheduler::ScheduledSync,
    store::{Location, Store},
    support::clock::Clock,
};

/// Opens the catalog in the store that publishers write to.
pub(super) fn open_catalog(config: &Config) -> Result<Catalog, Error> {
    open_at(&config.storage.location, config)
}

fn open_at(location: &Location, config: &Config) -> Result<Catalog, Error> {
    let store = Store::open(location).map_err(catalog::Error::from)?;
    Ok(Catalog::new(store, load_signing_keys(config)?))
}

/// Loads the keys that this node signs and verifies with.
pub(super) fn load_signing_keys(config: &Config) -> Result<SigningKeys, Error> {
    let settings = &config.catalog;
    let signing_key_file = settings.signing_key_file.as_deref().filter(|_| config.node.has(Role::Publisher));
    let keys = SigningKeys::load(signing_key_file, &settings.verify_keys)?;
    Ok(keys.with_unsigned(settings.allows_unsigned))
}

/// Opens the catalog in the store that followers read.
pub(super) fn open_read_catalog(config: &Config) -> Result<Catalog, Error> {
    let storage = &config.storage;
    open_at(storage.read_location.as_ref().unwrap_or(&storage.location), config)
}

/// Opens the most recent catalog that this node may read.
fn open_known_catalog(config: &Config) -> Result<Catalog, Error> {
    if config.node.has(Role::Publisher) { open_catalog(config) } else { open_read_catalog(config) }
}

/// Where nodes leave their statuses: with the publishers, wherever this node reads.
pub(super) fn open_statuses(config: &Config) -> StatusStore {
    match &config.storage.status_location {
        None => StatusStore::below(config.storage.location.clone()),
        Some(location) => StatusStore::at(location.clone()),
    }
}

/// Opens the metadata database.
///
/// # Errors
/// [`Error::NoMetadata`] on a node that does not publish.
pub(super) async fn open_metadata(config: &Config, clock: Clock) -> Result<Metadata, Error> {
    Ok(Metadata::open(metadata_settings(config)?, clock).await?)
}

/// The configured syncs, each with its source; none on a node that does not publish.
pub(super) fn configured_syncs(config: &Config) -> Vec<ScheduledSync> {
    config.scheduled_syncs()
}

/// The registry of a node that publishes.
///
/// # Errors
/// [`Error::NoMetadata`] on a node that does not publish.
pub fn open_registry(config: &Config) -> Result<Registry, Error> {
    if !config.node.has(Role::Publisher) {
        return Err(Error::NoMetadata);
    }
    Ok(Registry::new(configured_syncs(config)))
}

/// Opens what the use cases of the metadata database need. Stored syncs are among those of the registry.
pub async fn open_admin(config: &Config, clock: Clock) -> Result<Admin, Error> {
    let (registry, metadata) = (open_registry(config)?, open_metadata(config, clock.clone()).await?);
    registry.replace(layered(config, &metadata.stored_entries().await?).syncs);
    Ok(Admin::new(registry, metadata, clock))
}

/// Opens the store and the statuses of nodes, to read them.
pub fn open_overview(config: &Config, clock: Clock) -> Result<Overview, Error> {
    let (catalog, statuses) = (open_known_catalog(config)?, open_statuses(config));
    let keep_versions = config.catalog.keep_versions;
    Ok(Overview { registry: open_registry(config).ok(), catalog, statuses, keep_versions, clock })
}

/// Migrates the metadata database.
pub async fn migrate_metadata(config: &Config) -> Result<(), Error> {
    Ok(Metadata::migrate(metadata_settings(config)?).await?)
}

/// A node that does not publish has no metadata database: one of its own would know no key and no run.
pub(super) fn metadata_settings(config: &Config) -> Result<&metadata::Settings, Error> {
    let publishes = config.node.has(Role::Publisher);
    config.metadata.as_ref().filter(|_| publishes).ok_or(Error::NoMetadata)
}

/// Opens the local segments, with their bound.
pub(super) fn open_segments(config: &Config, clock: Clock) -> Result<SegmentDirectory, Error> {
    let directory = SegmentDirectory::open(&config.node.data_dir.join("segments"), clock);
    Ok(directory.map_err(catalog::Error::from)?.with_budget(config.node.segments_bytes_max))
}

/// Opens the local tables of served records.
pub(super) fn open_tables(config: &Config, clock: Clock) -> Result<TableDirectory, Error> {
    let directory = TableDirectory::open(&config.node.data_dir.join("tables"), clock);
    Ok(directory.map_err(catalog::Error::from)?)
}
