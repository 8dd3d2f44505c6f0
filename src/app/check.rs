//! Checking that store and metadata answer.

use super::parts::{load_seal, open_metadata, open_read_store, open_statuses, open_store};
use crate::{
    admin::Error,
    config::{Config, Role},
    domain::catalog::CatalogDocument,
    store,
    support::clock::Clock,
};

/// Checks that a publisher may use the store: it creates an object only where none is. What was
/// found, in words.
pub async fn check_store(config: &Config) -> Result<String, Error> {
    let store = open_store(config)?;
    store.check_conditional_create().await?;
    Ok(told(store.newest(None).await?.as_ref()))
}

/// Checks that a follower may read the store, and that a copy of its own is one of the store that is
/// written to, where that can be read too; what was found, in words.
pub async fn check_read_store(config: &Config) -> Result<String, Error> {
    let found = open_read_store(config)?.newest(None).await?;
    if let (Some(read_location), Some(copy)) = (&config.storage.read_location, &found)
        && let Ok(Some(original)) = open_store(config)?.newest(None).await
        && original.deployment != copy.deployment
    {
        let path = format!("{}/catalog", read_location.shown());
        let (expected, found) = (original.deployment, copy.deployment);
        return Err(store::Error::ForeignCopy { path, expected, found }.into());
    }
    Ok(told(found.as_ref()))
}

/// Checks that the statuses of the fleet can be read, and that a node that serves may write its own;
/// what was found, in words.
pub async fn check_statuses(config: &Config) -> Result<String, Error> {
    let region = config.node.has(Role::Replica).then_some(&config.node.region);
    let left = match open_statuses(config).check(region).await? {
        0 => "no node has left one yet".to_owned(),
        1 => "1 node has left one".to_owned(),
        nodes => format!("{nodes} nodes have left one"),
    };
    Ok(if region.is_some() { format!("{left}, and this node may write its own") } else { left })
}

/// Reads the key that announcements are signed with; what other nodes must believe, when there is one.
pub fn check_signing_key(config: &Config) -> Result<Option<String>, Error> {
    Ok(load_seal(config)?
        .verify_key()
        .map(|key| format!("other nodes: [publication] verify_key = \"{key}\"")))
}

fn told(newest: Option<&CatalogDocument>) -> String {
    let Some(document) = newest else { return "reachable, nothing announced yet".to_owned() };
    let collections = match document.collections.len() {
        1 => "1 collection".to_owned(),
        count => format!("{count} collections"),
    };
    format!("catalog {}, {collections}, {}", document.n, document.deployment)
}

/// Opens metadata; what was found, in words.
pub async fn check_metadata(config: &Config, clock: Clock) -> Result<String, Error> {
    let metadata = open_metadata(config, clock).await?;
    let found = metadata.deployment().await?;
    metadata.close().await;
    Ok(found.map_or("reachable, new".to_owned(), |deployment| format!("reachable, {deployment}")))
}
