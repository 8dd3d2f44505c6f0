//! Opening the parts that servers and commands share.

use crate::{
    config::Config,
    control::Error,
    metadata::Metadata,
    publication::{SegmentDirectory, Settings, StatusStore, Store},
    support::clock::Clock,
};

/// Opens the object store.
pub fn open_store(config: &Config) -> Result<Store, Error> {
    Ok(Store::open(&config.storage)?)
}

/// Where nodes leave their statuses; `store` is the object store.
pub fn open_statuses(config: &Config, store: &Store) -> StatusStore {
    match &config.status {
        None => StatusStore::below(store.clone()),
        Some(location) => StatusStore::at(Settings { location: location.clone(), ..config.storage.clone() }),
    }
}

/// Opens the metadata database.
pub async fn open_metadata(config: &Config, clock: Clock) -> Result<Metadata, Error> {
    let settings = config.metadata.as_ref().ok_or(Error::NoMetadata)?;
    Ok(Metadata::open(settings, clock).await?)
}

/// Opens the local segments.
pub(super) fn open_segments(config: &Config, clock: Clock) -> Result<SegmentDirectory, Error> {
    Ok(SegmentDirectory::open(&config.node.data_dir.join("segments"), clock)?)
}
