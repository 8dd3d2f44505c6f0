//! API keys: creating, listing, revoking, and keeping the announced key set equal to metadata's.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Admin, Principal, error::Error, publisher::Publisher};
use crate::{
    auth::ApiKey,
    catalog::{AnnounceError, Change},
    domain::keyset::{Grant, KeyEntry, KeySetDocument},
    metadata::StoredKey,
};

/// Attempts to announce a key set; each is superseded by another change of keys.
const ATTEMPTS_MAX: usize = 5;

/// A key to create.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// What it is for.
    pub name: String,
    /// The collections that it opens.
    pub grant: Grant,
    /// When it expires; `None` means never.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A key as it is listed, without its digest.
#[derive(Debug, Clone, Serialize)]
pub struct KeyView {
    /// Its id: the part of the key that is no secret.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// The collections that it opens.
    pub grant: Grant,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it expires; `None` means never.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Whether it works now.
    #[serde(skip)]
    pub state: KeyState,
}

/// Whether a key works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It works.
    Valid,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

impl KeyView {
    fn new(key: StoredKey, now: DateTime<Utc>) -> Self {
        let StoredKey { entry: KeyEntry { id, name, grant, created_at, expires_at, .. }, revoked_at } = key;
        let state = match (revoked_at, expires_at) {
            (Some(_), _) => KeyState::Revoked,
            (None, Some(at)) if at <= now => KeyState::Expired,
            _ => KeyState::Valid,
        };
        Self { id, name, grant, created_at, expires_at, revoked_at, state }
    }
}

impl Admin {
    /// All keys, revoked ones too, oldest first.
    pub async fn keys(&self) -> Result<Vec<KeyView>, Error> {
        let (keys, now) = (self.metadata.keys().await?.keys, self.clock.now());
        Ok(keys.into_iter().map(|key| KeyView::new(key, now)).collect())
    }
}

impl Publisher {
    /// Creates a key and returns it once its announcement is known.
    pub async fn create_key(&self, new: NewKey, principal: &Principal) -> Result<ApiKey, Error> {
        let actor = principal.as_str();
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
                // The caller never sees this key: a later announcement must not make it valid.
                self.metadata.revoke_key(&entry.id, actor, self.clock.now()).await?;
                Err(error)
            }
        }
    }

    /// Revokes the key that `key` names, by its id or as a whole, and returns the id. Every region refuses
    /// the key within two poll intervals of the announcement.
    ///
    /// # Errors
    /// [`Error::UnknownKey`].
    pub async fn revoke_key(&self, key: &str, principal: &Principal) -> Result<String, Error> {
        let id = key.strip_prefix("lrd_").unwrap_or(key);
        let id = id.split('_').next().unwrap_or(id);
        self.adopt_announced_keys().await?;
        let revoked = self.metadata.revoke_key(id, principal.as_str(), self.clock.now()).await?;
        let revision = revoked.ok_or_else(|| Error::UnknownKey { id: id.to_owned() })?;
        self.announce_keys(revision).await?;
        Ok(id.to_owned())
    }

    /// Whether `key` is one of this deployment and not revoked.
    pub async fn is_active_key(&self, key: &str) -> Result<bool, Error> {
        let Some(id) = ApiKey::id_of(key) else { return Ok(false) };
        let (_, active) = self.metadata.active_keys().await?;
        Ok(active.iter().any(|entry| entry.id == id))
    }

    /// Announces metadata's key set when the catalog has an older one: a process may have died
    /// between storing and announcing it.
    pub async fn reconcile_keys(&self) -> Result<(), Error> {
        self.adopt_announced_keys().await?;
        let (revision, _) = self.metadata.active_keys().await?;
        self.announce_keys(revision).await
    }

    /// Adopts a key set of the catalog that is newer than metadata's. Metadata was then restored from a
    /// backup, and keys that were revoked since must stay revoked.
    async fn adopt_announced_keys(&self) -> Result<(), Error> {
        let newest = self.catalog.newest(Some(self.deployment)).await?;
        let Some(reference) = newest.and_then(|document| document.keys) else { return Ok(()) };
        let (revision, _) = self.metadata.active_keys().await?;
        if reference.revision > revision {
            let set = self.catalog.key_set(&reference).await?;
            self.metadata.adopt_key_set(&set, "catalog").await?;
        }
        Ok(())
    }

    /// Ensures that the announced key set has `revision` or a later one.
    async fn announce_keys(&self, revision: u64) -> Result<(), Error> {
        for _ in 0..ATTEMPTS_MAX {
            let newest = self.catalog.newest(Some(self.deployment)).await?;
            let from_revision = newest.and_then(|document| document.keys).map_or(0, |keys| keys.revision);
            if from_revision >= revision {
                return Ok(());
            }
            let (revision, keys) = self.metadata.active_keys().await?;
            let document = KeySetDocument::new(revision, &keys);
            let reference = self.catalog.publish_key_set(&document).await?;
            match self.announcer.announce(Change::Keys { from_revision, reference }).await {
                Ok(_) => return Ok(()),
                Err(AnnounceError::Superseded) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::KeysContended { attempts: ATTEMPTS_MAX })
    }
}
