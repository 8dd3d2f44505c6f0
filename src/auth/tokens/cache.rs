//! The tokens that were verified, by their SHA-256. Bounded: the tokens that were not used lately are forgotten.

use std::sync::{Arc, PoisonError, RwLock};

use hashbrown::HashMap;

use super::VerifiedToken;
use crate::domain::digest::Digest;

/// Most tokens of a generation, of which there are two: about 10 MB with grants of usual size.
const GENERATION_MAX: usize = 10_000;

type Generation = HashMap<[u8; 32], Arc<VerifiedToken>>;

/// Verified tokens in two generations. A full young one becomes the old one, whose tokens are forgotten unless they
/// are used until the next change.
#[derive(Debug, Default)]
pub(super) struct VerifiedTokens(RwLock<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: Generation,
    old: Generation,
}

impl VerifiedTokens {
    /// The token with this digest, if it is known.
    pub(super) fn get(&self, digest: &Digest) -> Option<Arc<VerifiedToken>> {
        let known = {
            let generations = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = generations.young.get(digest.as_bytes()) {
                return Some(Arc::clone(known));
            }
            Arc::clone(generations.old.get(digest.as_bytes())?)
        };
        self.insert(*digest, Arc::clone(&known));
        Some(known)
    }

    /// Remembers a token.
    pub(super) fn insert(&self, digest: Digest, token: Arc<VerifiedToken>) {
        let mut generations = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if generations.young.len() >= GENERATION_MAX {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(*digest.as_bytes(), token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{auth::Grant, domain::keyset::Scope};

    #[test]
    fn unused_tokens_are_forgotten_and_used_ones_stay() {
        let cache = VerifiedTokens::default();
        let token = || {
            let grant = Grant::new(Scope::AllCollections, crate::auth::CollectionGrant::default());
            Arc::new(VerifiedToken { grant, valid_from: 0.0, valid_until: 1.0, issuer: 0, generation: 0 })
        };
        let digest = |number: usize| Digest::of(&number.to_le_bytes());
        for number in 0..4 * GENERATION_MAX {
            cache.insert(digest(number), token());
            assert!(cache.get(&digest(0)).is_some(), "used after {number} others");
        }
        assert!(cache.get(&digest(1)).is_none());
        let generations = cache.0.read().unwrap();
        assert!(generations.young.len() <= GENERATION_MAX && generations.old.len() <= GENERATION_MAX);
    }
}
