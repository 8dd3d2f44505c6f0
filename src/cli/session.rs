//! What commands that publish need: configuration, store, metadata and an announcer of their own.

use std::collections::BTreeSet;

use super::{args::ConfigArguments, output::Failure};
use crate::{
    admin::Error,
    app::PublisherProcess,
    config::{Config, Role, SyncConfig},
    domain::name::CollectionName,
    source::Source,
    support::clock::Clock,
    telemetry,
};

/// Loads the configuration; every fault at once.
pub(super) fn load(arguments: &ConfigArguments) -> Result<Config, Failure> {
    arguments.load().map_err(Failure::Configuration)
}

/// Refuses a node that does not publish.
pub(super) fn publishes(config: &Config) -> Result<(), Failure> {
    if config.node.has(Role::Publisher) {
        return Ok(());
    }
    Err(Failure::Control(Error::NoMetadata))
}

/// Loads the configuration of a node that publishes, for a command on the collection `name`.
pub(super) fn load_for(arguments: &ConfigArguments, name: &str) -> Result<(Config, CollectionName), Failure> {
    let config = load(arguments)?;
    publishes(&config)?;
    let name = CollectionName::new(name).map_err(|error| Failure::Usage(format!("{name:?}: {error}")))?;
    Ok((config, name))
}

/// The configured sync of a name.
pub(super) fn find_sync<'a>(config: &'a Config, name: &str) -> Result<&'a SyncConfig, Failure> {
    publishes(config)?;
    let unknown = || {
        let known: Vec<&str> = config.syncs.iter().map(|sync| sync.spec.collection.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Failure::Control(Error::UnknownSync { name: name.to_owned(), known })
    };
    let collection = CollectionName::new(name).map_err(|_| unknown())?;
    config.sync(&collection).ok_or_else(unknown)
}

/// The source of a sync.
pub(super) fn source_of(config: &Config, sync: &SyncConfig) -> Result<Source, Failure> {
    // Configuration has checked that every sync's source exists.
    config.sources.get(&sync.spec.source).cloned().ok_or_else(|| {
        Failure::Usage(format!("source {:?} is not configured on this node", sync.spec.source))
    })
}

/// Names of all configured syncs; `None` on a node that does not publish, which knows of none.
pub(super) fn configured(config: &Config) -> Option<BTreeSet<CollectionName>> {
    let names = || config.syncs.iter().map(|sync| sync.spec.collection.clone()).collect();
    config.node.has(Role::Publisher).then(names)
}

/// The publishing side of this process, whose warnings are shown from now on.
pub(super) async fn publisher(config: &Config) -> Result<PublisherProcess, Failure> {
    telemetry::show_warnings();
    Ok(PublisherProcess::start(config, Clock::default()).await?)
}
