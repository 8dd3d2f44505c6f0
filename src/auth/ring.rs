//! The keys in force on this node, and the check of a credential against them.

use std::{fmt, num::NonZeroU32, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use governor::{
    DefaultDirectRateLimiter, Quota,
    clock::{Clock as _, DefaultClock},
};
use hashbrown::HashMap;

use super::{ApiKey, Refusal, key::ID_CHARS};
use crate::{
    domain::{
        digest::Digest,
        keyset::{Grant, KeyEntry, KeySet},
    },
    support::clock::Clock,
};

/// A key id in the map: without a pointer to follow.
type Id = [u8; ID_CHARS];

#[derive(Default)]
struct Keys {
    revision: u64,
    by_id: HashMap<Id, Arc<KeyState>>,
}

/// The keys in force on this node. Clones share them; reading takes no lock.
#[derive(Clone, Default)]
pub struct KeyRing {
    keys: Arc<ArcSwap<Keys>>,
    per_second: Option<NonZeroU32>,
}

/// A key in force and its rate limiter.
#[derive(Debug)]
struct KeyState {
    entry: KeyEntry,
    rate: Option<Arc<DefaultDirectRateLimiter>>,
}

impl KeyRing {
    /// A ring without keys: it refuses everyone.
    pub fn new() -> Self {
        Self::default()
    }

    /// A ring without keys, each of whose keys may make `per_second` requests a second on this node, and as
    /// many at once. `None` is no limit.
    pub fn with_rate(per_second: Option<NonZeroU32>) -> Self {
        Self { per_second, ..Self::default() }
    }

    /// Puts `set` in force at once; returns whether it did. A set of a lower revision than the one in force
    /// is ignored, so that an old set never revives a revoked key.
    pub fn replace(&self, set: &KeySet) -> bool {
        if set.revision < self.revision() {
            return false;
        }
        let before = self.keys.load();
        let state = |key: &KeyEntry| {
            let id = Id::try_from(key.id.as_bytes()).ok()?;
            // The count of a key goes on when other keys change.
            let rate = match before.by_id.get(&id) {
                Some(known) => known.rate.clone(),
                None => self
                    .per_second
                    .map(|rate| Arc::new(DefaultDirectRateLimiter::direct(Quota::per_second(rate)))),
            };
            Some((id, Arc::new(KeyState { entry: key.clone(), rate })))
        };
        let by_id = set.keys.iter().filter_map(state).collect();
        self.keys.store(Arc::new(Keys { revision: set.revision, by_id }));
        true
    }

    /// The revision in force; 0 before the first set.
    pub fn revision(&self) -> u64 {
        self.keys.load().revision
    }

    /// Checks `credential`. Allocates nothing, compares digests in constant time, and reads the clock only
    /// for a key that expires. The digest covers the whole text, so the form of a credential is checked
    /// only to say why it is refused.
    pub fn authenticate(&self, credential: &str, clock: &Clock) -> Result<ValidKey, Refusal> {
        let keys = self.keys.load();
        let Some(key) = ApiKey::unchecked_id(credential).and_then(|id| keys.by_id.get(id)) else {
            return Err(refusal_of(credential));
        };
        verify_slices_are_equal(Digest::of(credential.as_bytes()).as_bytes(), key.entry.sha256.as_bytes())
            .map_err(|_| refusal_of(credential))?;
        match key.entry.expires_at {
            Some(end) if end <= clock.now() => Err(Refusal::Expired),
            _ => Ok(ValidKey(Arc::clone(key))),
        }
    }
}

/// Why a credential that is no key in force is refused.
fn refusal_of(credential: &str) -> Refusal {
    ApiKey::id_of(credential).map_or(Refusal::Malformed, |_| Refusal::Unknown)
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("revision", &self.revision()).finish_non_exhaustive()
    }
}

/// The valid key of a request.
#[derive(Debug, Clone)]
pub struct ValidKey(Arc<KeyState>);

impl ValidKey {
    /// Counts a request of the key. The error is the time to wait if it has made too many.
    pub fn count(&self) -> Result<(), Duration> {
        match &self.0.rate {
            None => Ok(()),
            Some(rate) => rate.check().map_err(|until| until.wait_time_from(DefaultClock::default().now())),
        }
    }

    /// Whether the key opens `collection`.
    pub fn opens(&self, collection: &str) -> bool {
        self.0.entry.grant.opens(collection)
    }

    /// Whether the key opens every collection, so that its holder may learn which ones exist.
    pub fn opens_everything(&self) -> bool {
        matches!(self.0.entry.grant, Grant::AllCollections)
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::*;
    use crate::domain::name::CollectionName;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn entry(key: &ApiKey, grant: Grant, expires_at: Option<DateTime<Utc>>) -> KeyEntry {
        let (id, sha256) = (key.id().to_owned(), key.digest());
        KeyEntry { id, sha256, name: "test".into(), grant, created_at: now(), expires_at }
    }

    fn set(revision: u64, keys: Vec<KeyEntry>) -> KeySet {
        KeySet { revision, keys, refused: 0 }
    }

    #[test]
    fn keys_open_their_grants_until_they_expire_or_are_revoked() {
        let (all, one, short) = (ApiKey::generate(), ApiKey::generate(), ApiKey::generate());
        let customer = Grant::Collections(vec![CollectionName::new("customer").unwrap()]);
        let end = now() + TimeDelta::hours(1);
        let ring = KeyRing::new();
        let clock = Clock::fixed(now());
        assert_eq!(ring.authenticate(all.expose(), &clock).unwrap_err(), Refusal::Unknown);

        let clone = ring.clone();
        assert!(ring.replace(&set(
            2,
            vec![
                entry(&all, Grant::AllCollections, None),
                entry(&one, customer.clone(), None),
                entry(&short, customer, Some(end)),
            ],
        )));
        let everything = clone.authenticate(all.expose(), &clock).unwrap();
        assert!(everything.opens_everything() && everything.opens("anything"));
        let scoped = clone.authenticate(one.expose(), &clock).unwrap();
        assert!(!scoped.opens_everything() && scoped.opens("customer") && !scoped.opens("order"));
        assert!(clone.authenticate(short.expose(), &clock).is_ok());
        clock.set(end);
        assert_eq!(clone.authenticate(short.expose(), &clock).unwrap_err(), Refusal::Expired);

        assert!(ring.replace(&set(3, vec![])));
        assert_eq!(clone.authenticate(all.expose(), &clock).unwrap_err(), Refusal::Unknown);
    }

    #[test]
    fn key_set_of_a_lower_revision_is_ignored() {
        let key = ApiKey::generate();
        let ring = KeyRing::new();
        assert!(ring.replace(&set(5, vec![])));
        assert!(!ring.replace(&set(4, vec![entry(&key, Grant::AllCollections, None)])));
        assert_eq!(ring.revision(), 5);
        assert!(ring.authenticate(key.expose(), &Clock::fixed(now())).is_err());
    }

    #[test]
    fn known_id_with_another_secret_is_unknown() {
        let (real, forged) = (ApiKey::generate(), ApiKey::generate());
        let mut stolen = entry(&real, Grant::AllCollections, None);
        forged.id().clone_into(&mut stolen.id);
        let ring = KeyRing::new();
        ring.replace(&set(1, vec![stolen]));
        let clock = Clock::fixed(now());
        assert_eq!(ring.authenticate(forged.expose(), &clock).unwrap_err(), Refusal::Unknown);
        assert_eq!(ring.authenticate("lrd_", &clock).unwrap_err(), Refusal::Malformed);
    }
}
