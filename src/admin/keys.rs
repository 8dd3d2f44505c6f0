//! API keys: creating, listing, revoking, and keeping the announced key set equal to metadata's.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{ATTEMPTS_MAX, Admin, Principal, error::Error, publisher::Publisher, registry::Registry};
use crate::{
    auth::ApiKey,
    catalog::{AnnounceError, Change},
    domain::duration,
    domain::keyset::{KeyEntry, KeyLimits, KeySetDocument, PreviousSecret, Scope, opens},
    domain::name::RegionName,
    metadata::StoredKey,
};

/// Longest time that the old secret of a rotated key works on.
const KEY_OVERLAP_MAX: Duration = Duration::from_hours(365 * 24);

/// Longest name of a key, in characters.
const NAME_CHARACTERS_MAX: usize = 100;

/// Trims and checks the name of a key, and returns it as it is stored.
///
/// # Errors
/// The rule that the name breaks.
pub fn check_key_name(name: &str) -> Result<String, String> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARACTERS_MAX || name.chars().any(char::is_control) {
        return Err(format!("name is 1 to {NAME_CHARACTERS_MAX} characters, no control characters"));
    }
    Ok(name.to_owned())
}

/// A key to create.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// What it is for.
    pub name: String,
    /// The collections that it opens.
    pub grant: Scope,
    /// When it expires; `None` means never.
    pub expires_at: Option<DateTime<Utc>>,
    /// What limits it further.
    pub limits: KeyLimits,
}

/// A key as it is listed, without its digest.
#[derive(utoipa::ToSchema, Debug, Clone, Serialize, Deserialize)]
pub struct KeyView {
    /// Its id: the part of the key that is no secret.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// The collections that it opens.
    pub grant: Scope,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it expires; `None` means never.
    pub expires_at: Option<DateTime<Utc>>,
    /// What limits it further.
    #[serde(flatten)]
    pub limits: KeyLimits,
    /// When the secret that it had before its rotation ends to work; `None` if there is none that works.
    pub previous_secret_until: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When nodes last saw it, by region, as far as their statuses could be read.
    pub last_used: BTreeMap<RegionName, DateTime<Utc>>,
}

/// Returns when a key expires that is valid from `now` for the duration in `text`, such as `90d`. Without a text the
/// key never expires.
///
/// # Errors
/// A message that says what to write instead.
pub fn expiry(text: Option<&str>, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, String> {
    let Some(text) = text else { return Ok(None) };
    let duration = duration::parse(text)?;
    if duration.is_zero() {
        return Err("the lifetime of a key must be longer than 0s".to_owned());
    }
    let at = TimeDelta::from_std(duration).ok().and_then(|delta| now.checked_add_signed(delta));
    at.map(Some).ok_or_else(|| format!("{text} is too far in the future"))
}

/// Parses how long the old secret of a key stays valid after a rotation, such as `24h`.
///
/// # Errors
/// A message that says what to write instead.
pub fn check_overlap(text: &str) -> Result<Duration, String> {
    let overlap = duration::parse(text)?;
    if overlap <= KEY_OVERLAP_MAX {
        Ok(overlap)
    } else {
        Err("the overlap is at most 365d; create another key instead".to_owned())
    }
}

/// Whether a key works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum KeyState {
    /// It works.
    Valid,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

impl KeyState {
    /// The state as shown.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The state at `now` of a key that was revoked and expires then.
    pub(super) fn of(
        revoked_at: Option<DateTime<Utc>>,
        expires_at: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Self {
        match (revoked_at, expires_at) {
            (Some(_), _) => Self::Revoked,
            (None, Some(at)) if at <= now => Self::Expired,
            _ => Self::Valid,
        }
    }
}

impl KeyView {
    fn new(key: StoredKey, now: DateTime<Utc>) -> Self {
        let StoredKey { entry, revoked_at } = key;
        let KeyEntry { id, name, grant, created_at, expires_at, limits, previous, .. } = entry;
        let previous_secret_until = previous.map(|previous| previous.expires_at).filter(|end| *end > now);
        let last_used = BTreeMap::new();
        Self { id, name, grant, created_at, expires_at, limits, previous_secret_until, revoked_at, last_used }
    }

    /// Grant and limits in words.
    pub fn opens(&self) -> String {
        opens(&self.grant, &self.limits)
    }

    /// Whether it works at `now`.
    pub fn state(&self, now: DateTime<Utc>) -> KeyState {
        KeyState::of(self.revoked_at, self.expires_at, now)
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

/// The id in `key`, which is an id or a whole key.
pub fn id_in_key(key: &str) -> &str {
    let id = key.strip_prefix("lrd_").unwrap_or(key);
    id.split('_').next().unwrap_or(id)
}

impl NewKey {
    /// Names in the grant and the limits that open nothing, and are probably mistyped.
    pub fn warnings(&self, registry: &Registry) -> Vec<String> {
        let granted = match &self.grant {
            Scope::Collections(names) => names.as_slice(),
            Scope::AllCollections => &[],
        };
        let unknown = granted.iter().filter(|name| !registry.has(name));
        let unknown =
            unknown.map(|name| format!("no sync is named {name}; the key opens it once there is one"));
        let indexes =
            self.limits.indexes.iter().flatten().filter(|name| !registry.has_index(&self.grant, name));
        let indexes =
            indexes.map(|name| format!("no collection that the key opens has an index named {name}"));
        let fields = self.limits.collection_fields.keys().filter(|name| !self.grant.opens(name.as_str()));
        let fields = fields.map(|name| format!("the key does not open {name}, whose fields it limits"));
        unknown.chain(indexes).chain(fields).collect()
    }
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
            limits: new.limits,
            previous: None,
        };
        self.metadata.create_key(&entry, principal).await?;
        Ok(key)
    }

    /// Stores a new secret of the key that `key` names, by its id or as a whole, and returns the key with it. The old
    /// secret works for `overlap` after now, at most `KEY_OVERLAP_MAX`. A secret that was replaced by an earlier rotation ends with this one.
    ///
    /// # Errors
    /// [`Error::UnknownKey`], also for a revoked key.
    pub async fn rotate_key(
        &self,
        key: &str,
        overlap: Duration,
        principal: &Principal,
    ) -> Result<ApiKey, Error> {
        let id = id_in_key(key);
        let unknown = || Error::UnknownKey(id.to_owned());
        let new = ApiKey::rotated(id).ok_or_else(unknown)?;
        let until = self.clock.now() + overlap.min(KEY_OVERLAP_MAX);
        let rotate = |entry: &mut KeyEntry| {
            let sha256 = std::mem::replace(&mut entry.sha256, new.digest());
            entry.previous = Some(PreviousSecret { sha256, expires_at: until });
            format!(
                "{}: new secret, the old one works until {}",
                entry.name,
                until.format("%Y-%m-%dT%H:%M:%SZ")
            )
        };
        let changed = self.metadata.change_key(id, principal, "key.rotate", rotate).await?;
        changed.map(|_| new).ok_or_else(unknown)
    }

    /// Stores the revocation of the key that `key` names, by its id or as a whole, and returns the id. Nodes refuse
    /// the key once the revocation is announced.
    ///
    /// # Errors
    /// [`Error::UnknownKey`].
    pub async fn revoke_key(&self, key: &str, principal: &Principal) -> Result<String, Error> {
        let id = id_in_key(key);
        let revoked = self.metadata.revoke_key(id, principal, self.clock.now()).await?;
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

    /// Gives a key a new secret, as [`Admin::rotate_key`] does, and returns it once its announcement is known, or known
    /// to be late. Nodes know the new secret within two poll intervals of the announcement.
    ///
    /// # Errors
    /// [`Error::UnknownKey`].
    pub async fn rotate_key(
        &self,
        key: &str,
        overlap: Duration,
        principal: &Principal,
    ) -> Result<KeyChange<ApiKey>, Error> {
        announced_later(self.reconcile_keys().await)?;
        let done = self.admin().rotate_key(key, overlap, principal).await?;
        Ok(KeyChange { done, pending: announced_later(self.reconcile_keys().await)? })
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
                self.metadata.adopt_key_set(&set, &Principal::internal("catalog")).await?;
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

/// Returns the error that delays the announcement of a change of keys; `None` when the change is announced.
///
/// # Errors
/// Errors that are not the store's, and errors of a store that belongs to another publisher.
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
