//! The keys in force on this node, and the check of a credential against them.

use std::{
    fmt,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use governor::{
    DefaultDirectRateLimiter, Quota,
    clock::{Clock as _, DefaultClock},
};
use hashbrown::HashMap;

use super::{ApiKey, Grant, Refusal, key::ID_CHARS};
use crate::{
    domain::{
        digest::Digest,
        keyset::{KeyEntry, KeySet, RateLimit},
        network::Network,
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
    default_rate: Option<RateLimit>,
}

/// A key in force, its rate limiter, and whether it was used since that was last asked.
#[derive(Debug)]
struct KeyState {
    entry: KeyEntry,
    grant: Grant,
    rate: Option<Arc<DefaultDirectRateLimiter>>,
    was_used: AtomicBool,
}

impl KeyState {
    /// The state of `entry`. The count of a key goes on when it or other keys change.
    fn new(entry: &KeyEntry, default_rate: Option<RateLimit>, before: Option<&Self>) -> Self {
        let rate = match before {
            Some(known) if known.entry.limits.rate == entry.limits.rate => known.rate.clone(),
            _ => entry.limits.rate.or(default_rate).map(|rate| {
                let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
                Arc::new(DefaultDirectRateLimiter::direct(quota))
            }),
        };
        let was_used = before.is_some_and(|known| known.was_used.load(Ordering::Relaxed));
        Self { entry: entry.clone(), grant: Grant::of_key(entry), rate, was_used: was_used.into() }
    }

    /// Whether `digest` is that of the key, or of its secret before a rotation, which works for a time.
    fn has_digest(&self, digest: &Digest, clock: &Clock) -> bool {
        let is = |own: &Digest| verify_slices_are_equal(digest.as_bytes(), own.as_bytes()).is_ok();
        is(&self.entry.sha256)
            || self
                .entry
                .previous
                .as_ref()
                .is_some_and(|previous| is(&previous.sha256) && clock.now() < previous.expires_at)
    }
}

impl KeyRing {
    /// A ring without keys: it refuses everyone.
    pub fn new() -> Self {
        Self::default()
    }

    /// A ring without keys. A key without a rate of its own may make `per_second` requests a second on this node, and
    /// as many at once. `None` is no limit.
    pub fn with_rate(per_second: Option<NonZeroU32>) -> Self {
        let default_rate = per_second.map(|per_second| RateLimit { per_second, burst: per_second });
        Self { default_rate, ..Self::default() }
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
            let state = KeyState::new(key, self.default_rate, before.by_id.get(&id).map(AsRef::as_ref));
            Some((id, Arc::new(state)))
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
        if !key.has_digest(&Digest::of(credential.as_bytes()), clock) {
            return Err(refusal_of(credential));
        }
        if key.entry.expires_at.is_some_and(|end| end <= clock.now()) {
            return Err(Refusal::Expired);
        }
        // Written once in a while, so that cores do not take the line from each other.
        if !key.was_used.load(Ordering::Relaxed) {
            key.was_used.store(true, Ordering::Relaxed);
        }
        Ok(ValidKey(Arc::clone(key)))
    }

    /// The ids of the keys that were used since the last call.
    pub fn take_used(&self) -> Vec<String> {
        let keys = self.keys.load();
        let used = keys.by_id.values().filter(|key| key.was_used.swap(false, Ordering::Relaxed));
        used.map(|key| key.entry.id.clone()).collect()
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

    /// What the key opens.
    pub fn grant(&self) -> &Grant {
        &self.0.grant
    }

    /// The networks that the key may be used from; `None` is everywhere.
    pub fn networks(&self) -> Option<&[Network]> {
        self.0.entry.limits.networks.as_deref()
    }

    /// Whether a request over the rate is answered like a miss.
    pub fn never_gets_throttle_status(&self) -> bool {
        self.0.entry.limits.never_throttle_status
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::*;
    use crate::domain::{
        keyset::{KeyLimits, PreviousSecret, Scope},
        name::CollectionName,
    };

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn entry(key: &ApiKey, grant: Scope, expires_at: Option<DateTime<Utc>>) -> KeyEntry {
        let (id, sha256) = (key.id().to_owned(), key.digest());
        KeyEntry {
            id,
            sha256,
            name: "test".into(),
            grant,
            created_at: now(),
            expires_at,
            limits: KeyLimits::default(),
            previous: None,
        }
    }

    fn set(revision: u64, keys: Vec<KeyEntry>) -> KeySet {
        KeySet { revision, keys, refused: 0 }
    }

    #[test]
    fn keys_open_their_grants_until_they_expire_or_are_revoked() {
        let (all, one, short) = (ApiKey::generate(), ApiKey::generate(), ApiKey::generate());
        let customer = Scope::Collections(vec![CollectionName::new("customer").unwrap()]);
        let end = now() + TimeDelta::hours(1);
        let ring = KeyRing::new();
        let clock = Clock::fixed(now());
        assert_eq!(ring.authenticate(all.expose(), &clock).unwrap_err(), Refusal::Unknown);

        let clone = ring.clone();
        assert!(ring.replace(&set(
            2,
            vec![
                entry(&all, Scope::AllCollections, None),
                entry(&one, customer.clone(), None),
                entry(&short, customer, Some(end)),
            ],
        )));
        let everything = clone.authenticate(all.expose(), &clock).unwrap();
        assert!(everything.grant().opens_everything() && everything.grant().collection("anything").is_some());
        let scoped = clone.authenticate(one.expose(), &clock).unwrap();
        assert!(!scoped.grant().opens_everything() && scoped.grant().collection("customer").is_some());
        assert!(scoped.grant().collection("order").is_none());
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
        assert!(!ring.replace(&set(4, vec![entry(&key, Scope::AllCollections, None)])));
        assert_eq!(ring.revision(), 5);
        assert!(ring.authenticate(key.expose(), &Clock::fixed(now())).is_err());
    }

    #[test]
    fn known_id_with_another_secret_is_unknown() {
        let (real, forged) = (ApiKey::generate(), ApiKey::generate());
        let mut stolen = entry(&real, Scope::AllCollections, None);
        forged.id().clone_into(&mut stolen.id);
        let ring = KeyRing::new();
        ring.replace(&set(1, vec![stolen]));
        let clock = Clock::fixed(now());
        assert_eq!(ring.authenticate(forged.expose(), &clock).unwrap_err(), Refusal::Unknown);
        assert_eq!(ring.authenticate("lrd_", &clock).unwrap_err(), Refusal::Malformed);
    }

    #[test]
    fn both_secrets_of_a_rotated_key_work_until_the_overlap_ends() {
        let (old, other) = (ApiKey::generate(), ApiKey::generate());
        let new = ApiKey::rotated(old.id()).unwrap();
        let end = now() + TimeDelta::hours(24);
        let mut rotated = entry(&new, Scope::AllCollections, None);
        rotated.previous = Some(PreviousSecret { sha256: old.digest(), expires_at: end });
        let (ring, clock) = (KeyRing::new(), Clock::fixed(now()));
        ring.replace(&set(1, vec![rotated]));
        assert!(
            ring.authenticate(new.expose(), &clock).is_ok()
                && ring.authenticate(old.expose(), &clock).is_ok()
        );
        assert_eq!(ring.authenticate(other.expose(), &clock).unwrap_err(), Refusal::Unknown);
        clock.set(end);
        assert_eq!(ring.authenticate(old.expose(), &clock).unwrap_err(), Refusal::Unknown);
        assert!(ring.authenticate(new.expose(), &clock).is_ok());
    }

    #[test]
    fn uses_are_noted_until_they_are_taken_also_when_keys_change() {
        let (one, two) = (ApiKey::generate(), ApiKey::generate());
        let keys =
            || vec![entry(&one, Scope::AllCollections, None), entry(&two, Scope::AllCollections, None)];
        let (ring, clock) = (KeyRing::new(), Clock::fixed(now()));
        ring.replace(&set(1, keys()));
        assert!(ring.take_used().is_empty());
        ring.authenticate(one.expose(), &clock).unwrap();
        ring.replace(&set(2, keys()));
        assert_eq!(ring.take_used(), [one.id()]);
        assert!(ring.take_used().is_empty());
    }
}
