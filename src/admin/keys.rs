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

/// A change of keys that is stored in metadata.
#[derive(Debug)]
pub struct KeyChange<T> {
    /// The key, or its id.
    pub done: T,
    /// [`Error::KeysNotAnnounced`], when no node knows of the change yet. The next publisher that reaches the store
    /// announces it.
    pub pending: Option<Error>,
}

impl Admin {
    /// Stores a new key. It works once it is announced.
    pub async fn create_key(&self, new: NewKey, principal: &Principal) -> Result<ApiKey, Error> {
        let key = ApiKey::generate();
        let entry = KeyEntry {
            id: key.id().to_owned(),
            sha256: key.digest(),
            name: new.name,
            grant: new.grant,
            created_at: self.clock.now(),
            expires_at: new.expires_at,
        };
        self.metadata.create_key(&entry, principal.as_str()).await?;
        Ok(key)
    }

    /// Stores the revocation of the key that `key` names, by its id or as a whole, and returns the id. Nodes refuse
    /// the key once the revocation is announced.
    ///
    /// # Errors
    /// [`Error::UnknownKey`].
    pub async fn revoke_key(&self, key: &str, principal: &Principal) -> Result<String, Error> {
        let id = key.strip_prefix("lrd_").unwrap_or(key);
        let id = id.split('_').next().unwrap_or(id);
        let revoked = self.metadata.revoke_key(id, principal.as_str(), self.clock.now()).await?;
        revoked.map(|_| id.to_owned()).ok_or_else(|| Error::UnknownKey(id.to_owned()))
    }

    /// Whether metadata has changes of keys that are still to be announced.
    pub async fn has_unannounced_keys(&self) -> Result<bool, Error> {
        Ok(self.metadata.keys().await?.revision > self.metadata.announced_keys_revision().await?)
    }
}

impl Publisher {
    /// Creates a key and returns it once its announcement is known, or known to be late.
    pub async fn create_key(&self, new: NewKey, principal: &Principal) -> Result<KeyChange<ApiKey>, Error> {
        announced_later(self.reconcile_keys().await)?;
        let done = self.admin().create_key(new, principal).await?;
        match announced_later(self.reconcile_keys().await) {
            Ok(pending) => Ok(KeyChange { done, pending }),
            Err(error) => {
                // The caller never sees this key: a later announcement must not make it valid.
                self.admin().revoke_key(done.id(), principal).await?;
                Err(error)
            }
        }
    }

    /// Revokes the key that `key` names, by its id or as a whole, and returns the id. Every region refuses
    /// the key within two poll intervals of the announcement.
    ///
    /// # Errors
    /// [`Error::UnknownKey`].
    pub async fn revoke_key(&self, key: &str, principal: &Principal) -> Result<KeyChange<String>, Error> {
        // A key that only the announced set has can be revoked, too.
        announced_later(self.reconcile_keys().await)?;
        let done = self.admin().revoke_key(key, principal).await?;
        Ok(KeyChange { done, pending: announced_later(self.reconcile_keys().await)? })
    }

    /// Whether `key` is one of this deployment and not revoked.
    pub async fn is_active_key(&self, key: &str) -> Result<bool, Error> {
        let Some(id) = ApiKey::id_of(key) else { return Ok(false) };
        let (_, active) = self.metadata.active_keys().await?;
        Ok(active.iter().any(|entry| entry.id == id))
    }

    /// Makes the announced key set and metadata's equal. Adopts a set that metadata does not know: metadata was
    /// restored from a backup, or another database published meanwhile, and keys that were revoked since must stay
    /// revoked. Announces metadata's changes that are not announced: a process may have died between storing and
    /// announcing them, or the store did not answer.
    pub async fn reconcile_keys(&self) -> Result<(), Error> {
        for _ in 0..ATTEMPTS_MAX {
            let newest = self.catalog.newest_of(&self.authority).await?;
            let announced = newest.and_then(|document| document.keys);
            let from_revision = announced.as_ref().map_or(0, |keys| keys.revision);
            if let Some(reference) = announced
                && reference.revision > self.metadata.announced_keys_revision().await?
            {
                let set = self.catalog.key_set(&reference).await?;
                self.metadata.adopt_key_set(&set, "catalog").await?;
            }
            let (revision, keys) = self.metadata.active_keys().await?;
            if from_revision >= revision {
                return Ok(());
            }
            let document = KeySetDocument::new(revision, &keys);
            let reference = self.catalog.publish_key_set(&document).await?;
            match self.announcer.announce(Change::Keys { from_revision, reference }).await {
                Ok(_) => return Ok(self.metadata.keys_announced(revision).await?),
                Err(AnnounceError::Superseded) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::KeysContended(ATTEMPTS_MAX))
    }
}

/// Why a change of keys is not announced yet; `None` when it is.
///
/// # Errors
/// Those that are not the store's, and those of a store that belongs to another publisher.
pub fn announced_later(outcome: Result<(), Error>) -> Result<Option<Error>, Error> {
    match outcome {
        Ok(()) => Ok(None),
        Err(error) if error.is_foreign() => Err(error),
        Err(error @ (Error::Catalog(_) | Error::Announce(_))) => {
            Ok(Some(Error::KeysNotAnnounced(Box::new(error))))
        }
        Err(error) => Err(error),
    }
}
