//! The keys that this node knows, and the check of a credential against them.

use std::{fmt, num::NonZeroU32, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use governor::{
    DefaultDirectRateLimiter, Quota,
    clock::{Clock as _, DefaultClock},
};
use hashbrown::HashMap;

use super::{ApiKey, ID_CHARS, Refusal};
use crate::{
    domain::{
        digest::Digest,
        keyset::{Grant, KeyEntry, KeySet},
    },
    support::clock::Clock,
};

/// A key id, as the map keeps it: no pointer to follow.
type Id = [u8; ID_CHARS];

#[derive(Default)]
struct Keys {
    revision: u64,
    by_id: HashMap<Id, Arc<Held>>,
}

/// The keys in force on this node. Clones share them; reading takes no lock.
#[derive(Clone, Default)]
pub struct KeyRing {
    keys: Arc<ArcSwap<Keys>>,
    per_second: Option<NonZeroU32>,
}

/// A key in force, and what it may still ask.
#[derive(Debug)]
struct Held {
    entry: KeyEntry,
    rate: Option<Arc<DefaultDirectRateLimiter>>,
}

impl KeyRing {
    /// A ring without keys: it refuses everyone.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty ring, each of whose keys may ask `per_second` times a second on this node, and as often at
    /// once; `None`: as often as it likes.
    pub fn with_rate(per_second: Option<NonZeroU32>) -> Self {
        Self { per_second, ..Self::default() }
    }

    /// Puts `set` in force at once and says so. A set of a lower revision than the one in force is
    /// not taken, so that old bytes never revive a revoked key.
    pub fn replace(&self, set: &KeySet) -> bool {
        if set.revision < self.revision() {
            return false;
        }
        let before = self.keys.load();
        let held = |key: &KeyEntry| {
            let id = Id::try_from(key.id.as_bytes()).ok()?;
            // What a key has asked counts on when other keys change.
            let rate = match before.by_id.get(&id) {
                Some(held) => held.rate.clone(),
                None => self
                    .per_second
                    .map(|rate| Arc::new(DefaultDirectRateLimiter::direct(Quota::per_second(rate)))),
            };
            Some((id, Arc::new(Held { entry: key.clone(), rate })))
        };
        let by_id = set.keys.iter().filter_map(held).collect();
        self.keys.store(Arc::new(Keys { revision: set.revision, by_id }));
        true
    }

    /// The revision in force; 0 before the first set.
    pub fn revision(&self) -> u64 {
        self.keys.load().revision
    }

    /// How many keys are in force, expired ones included.
    pub fn len(&self) -> usize {
        self.keys.load().by_id.len()
    }

    /// Whether no key is in force.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whose key `credential` is. Allocates nothing; the digests are compared in constant time,
    /// and the clock is read only for a key that expires. The digest covers the whole text, so that the
    /// form of a key in force need not be looked at: it is, to tell why another one is refused.
    pub fn authenticate(&self, credential: &str, clock: &Clock) -> Result<Principal, Refusal> {
        let keys = self.keys.load();
        let Some(held) = ApiKey::id_in(credential).and_then(|id| keys.by_id.get(id)) else {
            return Err(why_unknown(credential));
        };
        verify_slices_are_equal(Digest::of(credential.as_bytes()).as_bytes(), held.entry.sha256.as_bytes())
            .map_err(|_| why_unknown(credential))?;
        match held.entry.expires_at {
            Some(end) if end <= clock.now() => Err(Refusal::Expired),
            _ => Ok(Principal(Arc::clone(held))),
        }
    }
}

/// Why a text that is no key in force is refused.
fn why_unknown(credential: &str) -> Refusal {
    ApiKey::parse(credential).err().unwrap_or(Refusal::Unknown)
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("revision", &self.revision()).field("keys", &self.len()).finish()
    }
}

/// Who asks: the holder of a valid key.
#[derive(Debug, Clone)]
pub struct Principal(Arc<Held>);

impl Principal {
    /// Counts a request of the key; an error with the time to wait when it has made too many.
    pub fn count(&self) -> Result<(), Duration> {
        match &self.0.rate {
            None => Ok(()),
            Some(rate) => rate.check().map_err(|until| until.wait_time_from(DefaultClock::default().now())),
        }
    }

    /// The key's id; not secret.
    pub fn key_id(&self) -> &str {
        &self.0.entry.id
    }

    /// What the key opens.
    pub fn grant(&self) -> &Grant {
        &self.0.entry.grant
    }

    /// Whether the key opens `collection`.
    pub fn opens(&self, collection: &str) -> bool {
        self.0.entry.grant.opens(collection)
    }

    /// Whether the key opens every collection, so that its holder may learn which exist.
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
    fn keys_open_what_they_were_granted_until_they_expire_or_go() {
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
        assert_eq!(everything.key_id(), all.id());
        let scoped = clone.authenticate(one.expose(), &clock).unwrap();
        assert!(!scoped.opens_everything() && scoped.opens("customer") && !scoped.opens("order"));
        assert!(clone.authenticate(short.expose(), &clock).is_ok());
        clock.set(end);
        assert_eq!(clone.authenticate(short.expose(), &clock).unwrap_err(), Refusal::Expired);

        assert!(ring.replace(&set(3, vec![])));
        assert_eq!(clone.authenticate(all.expose(), &clock).unwrap_err(), Refusal::Unknown);
    }

    #[test]
    fn a_lower_revision_is_not_taken() {
        let key = ApiKey::generate();
        let ring = KeyRing::new();
        assert!(ring.replace(&set(5, vec![])));
        assert!(!ring.replace(&set(4, vec![entry(&key, Grant::AllCollections, None)])));
        assert_eq!((ring.revision(), ring.is_empty()), (5, true));
    }

    #[test]
    fn a_known_id_with_another_secret_is_unknown() {
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
