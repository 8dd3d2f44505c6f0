//! Opening the parts that servers and commands share.

use crate::{
    admin::Error,
    catalog::StatusStore,
    config::{Config, Role},
    disk::SegmentDirectory,
    metadata::Metadata,
    store::{Location, Seal, Store},
    support::clock::Clock,
};

/// Opens the object store that is written to.
pub(super) fn open_store(config: &Config) -> Result<Store, Error> {
    open_at(&config.storage.location, config)
}

fn open_at(location: &Location, config: &Config) -> Result<Store, Error> {
    Ok(Store::open(location)?.with_seal(load_seal(config)?))
}

/// What this node signs with, and whom it believes.
pub(super) fn load_seal(config: &Config) -> Result<Seal, Error> {
    let storage = &config.storage;
    let signing_key_file = storage.signing_key_file.as_deref().filter(|_| config.node.has(Role::Publisher));
    Ok(Seal::load(signing_key_file, &storage.verify_keys)?)
}

/// Opens the object store that a follower reads.
pub(super) fn open_read_store(config: &Config) -> Result<Store, Error> {
    let storage = &config.storage;
    open_at(storage.read_location.as_ref().unwrap_or(&storage.location), config)
}

/// Opens the object store that knows best what is announced, of those that this node may read.
pub fn open_known_store(config: &Config) -> Result<Store, Error> {
    if config.node.has(Role::Publisher) { open_store(config) } else { open_read_store(config) }
}

/// Where nodes leave their statuses: with the publishers, wherever this node reads.
pub fn open_statuses(config: &Config) -> StatusStore {
    match &config.status {
        None => StatusStore::below(config.storage.location.clone()),
        Some(location) => StatusStore::at(location.clone()),
    }
}

/// Opens the metadata database. A node that does not publish has none: a database of its own would
/// know no key and no run, and what it announced would stand beside the publishers'.
pub async fn open_metadata(config: &Config, clock: Clock) -> Result<Metadata, Error> {
    let publishes = config.node.has(Role::Publisher);
    let settings = config.metadata.as_ref().filter(|_| publishes).ok_or(Error::NoMetadata)?;
    Ok(Metadata::open(settings, clock).await?)
}

/// Opens the local segments, with their bound.
pub(super) fn open_segments(config: &Config, clock: Clock) -> Result<SegmentDirectory, Error> {
    let directory = SegmentDirectory::open(&config.node.data_dir.join("segments"), clock)?;
    Ok(directory.bounded(config.node.segments_bytes_max))
}
