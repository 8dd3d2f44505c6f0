//! Checking that store and metadata answer.

use super::parts::{load_seal, open_metadata, open_read_store, open_store};
use crate::{config::Config, control::Error, publication::Store, support::clock::Clock};

/// Checks that a publisher may use the store: it creates an object only where none is. What was
/// found, in words.
pub async fn check_store(config: &Config) -> Result<String, Error> {
    let store = open_store(config)?;
    store.check_conditional_create().await?;
    newest(&store).await
}

/// Checks that a follower may read the store; what was found, in words.
pub async fn check_read_store(config: &Config) -> Result<String, Error> {
    newest(&open_read_store(config)?).await
}

/// Reads the key that announcements are signed with; what other nodes must believe, when there is one.
pub fn check_signing_key(config: &Config) -> Result<Option<String>, Error> {
    Ok(load_seal(config)?
        .verify_key()
        .map(|key| format!("other nodes: [publication] verify_key = \"{key}\"")))
}

async fn newest(store: &Store) -> Result<String, Error> {
    Ok(match store.newest(None).await? {
        Some(document) => {
            let collections = match document.collections.len() {
                1 => "1 collection".to_owned(),
                count => format!("{count} collections"),
            };
            format!("catalog {}, {collections}, {}", document.n, document.deployment)
        }
        None => "reachable, nothing announced yet".to_owned(),
    })
}

/// Opens metadata; what was found, in words.
pub async fn check_metadata(config: &Config, clock: Clock) -> Result<String, Error> {
    let metadata = open_metadata(config, clock).await?;
    let found = metadata.deployment().await?;
    metadata.close().await;
    Ok(found.map_or("reachable, new".to_owned(), |deployment| format!("reachable, {deployment}")))
}
