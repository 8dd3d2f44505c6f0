//! API keys: creating, revoking, and keeping the announced key set equal to metadata's.

use chrono::{DateTime, Utc};

use super::{error::Error, publisher::Publisher};
use crate::{
    auth::ApiKey,
    catalog::{self, AnnounceError, Change},
    domain::keyset::{Grant, KeyEntry, KeySetDocument},
    metadata::KeyList,
};

/// Times that a key set is built again because another change came first.
const ATTEMPTS_MAX: usize = 5;

/// A key to be made.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// What it is for.
    pub name: String,
    /// What it opens.
    pub grant: Grant,
    /// When it ceases to work.
    pub expires_at: Option<DateTime<Utc>>,
}

impl Publisher {
    /// Creates a key. It comes back only when it is known to be announced.
    pub async fn create_key(&self, new: NewKey, actor: &str) -> Result<ApiKey, Error> {
        self.adopt_announced_keys().await?;
        let key = ApiKey::generate();
        let entry = KeyEntry {
            id: key.id().to_owned(),
            sha256: key.digest(),
            name: new.name,
            grant: new.grant,
            created_at: self.clock.now(),
            expires_at: new.expires_at,
        };
        let revision = self.metadata.create_key(&entry, actor).await?;
        match self.announce_keys(revision).await {
            Ok(()) => Ok(key),
            Err(error) => {
                // Nobody will ever see this key: it must not come alive by a later announcement.
                self.metadata.revoke_key(&entry.id, actor, self.clock.now()).await?;
                Err(error)
            }
        }
    }

    /// Revokes a key; it is refused everywhere within two poll intervals of the announcement.
    pub async fn revoke_key(&self, id: &str, actor: &str) -> Result<(), Error> {
        self.adopt_announced_keys().await?;
        let now = self.clock.now();
        let revoked = self.metadata.revoke_key(id, actor, now).await?;
        let revision = revoked.ok_or_else(|| Error::UnknownKey { id: id.to_owned() })?;
        self.announce_keys(revision).await
    }

    /// All keys, revoked ones too.
    pub async fn keys(&self) -> Result<KeyList, Error> {
        Ok(self.metadata.keys().await?)
    }

    /// Announces metadata's key set when the catalog has an older one: a process may have died
    /// between the two.
    pub async fn reconcile_keys(&self) -> Result<(), Error> {
        self.adopt_announced_keys().await?;
        let (revision, _) = self.metadata.active_keys().await?;
        self.announce_keys(revision).await
    }

    /// Takes over a key set of the catalog that is newer than metadata's: metadata came back from a
    /// backup, and must not revive what was revoked since.
    async fn adopt_announced_keys(&self) -> Result<(), Error> {
        let newest = self.store.newest(Some(self.deployment)).await?;
        let Some(reference) = newest.and_then(|document| document.keys) else { return Ok(()) };
        let (revision, _) = self.metadata.active_keys().await?;
        if reference.revision > revision {
            let set = self.store.key_set(&reference).await?;
            self.metadata.adopt_key_set(&set, "catalog").await?;
        }
        Ok(())
    }

    /// Makes sure that the catalog's key set is of `revision` or a later one.
    async fn announce_keys(&self, revision: u64) -> Result<(), Error> {
        for _ in 0..ATTEMPTS_MAX {
            let newest = self.store.newest(Some(self.deployment)).await?;
            let from_revision = newest.and_then(|document| document.keys).map_or(0, |keys| keys.revision);
            if from_revision >= revision {
                return Ok(());
            }
            let (revision, keys) = self.metadata.active_keys().await?;
            let document = KeySetDocument::new(revision, &keys);
            let reference = catalog::publish_key_set(&self.store, &document).await?;
            match self.announcer.announce(Change::Keys { from_revision, reference }).await {
                Ok(_) => return Ok(()),
                Err(AnnounceError::Superseded) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::KeysContended { attempts: ATTEMPTS_MAX })
    }
}
