//! Decides when a starting node is ready for requests. Pure.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use crate::domain::{manifest::Version, name::CollectionName};

/// The state of one needed collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoadState {
    /// Served at the needed version or a later one, or no longer needed here.
    Loaded,
    /// Not served at the needed version yet.
    Loading,
    /// Loading has failed for [`Pace::failing_after`](super::Pace::failing_after); an earlier version is served.
    FailingWithContent,
    /// Loading has failed for that long; no version is served.
    FailingWithoutContent,
}

/// The readiness of a node. A node that is ready stays ready.
#[derive(Debug)]
pub(super) struct Readiness {
    started: Instant,
    store_wait_max: Duration,
    /// Versions in the local state of an earlier process, when there is one.
    local: Option<BTreeMap<CollectionName, Version>>,
    /// Whether the store has answered with its catalog since the start.
    has_answered: bool,
    /// Collections that must be loaded first, with their lowest versions.
    needed: Option<BTreeMap<CollectionName, Version>>,
    is_ready: bool,
}

impl Readiness {
    pub(super) fn new(started: Instant, store_wait_max: Duration) -> Self {
        Self { started, store_wait_max, local: None, has_answered: false, needed: None, is_ready: false }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Sets the versions in the local state of an earlier process.
    pub(super) fn set_local_state(&mut self, local: BTreeMap<CollectionName, Version>) {
        self.local = Some(local);
    }

    /// The store has answered for the first time: the versions that its catalog names are needed.
    pub(super) fn store_answered(&mut self, needed: impl FnOnce() -> BTreeMap<CollectionName, Version>) {
        if !self.has_answered {
            self.has_answered = true;
            self.needed = Some(needed());
        }
    }

    /// Stops waiting for the store. Called when the store cannot be reached and every local collection was tried.
    pub(super) fn skip_store_wait(&mut self) {
        self.store_wait_max = Duration::ZERO;
    }

    /// When to evaluate again if no event comes first.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        let waits = !self.is_ready && !self.has_answered && self.local.is_some() && self.needed.is_none();
        waits.then_some(self.started + self.store_wait_max)
    }

    /// Returns whether the node is ready. `state_of` returns a collection's state for the needed version.
    pub(super) fn evaluate(
        &mut self,
        now: Instant,
        has_keys: bool,
        state_of: impl Fn(&CollectionName, Version) -> LoadState,
    ) -> bool {
        if self.is_ready {
            return true;
        }
        if self.needed.is_none() && now >= self.started + self.store_wait_max {
            self.needed.clone_from(&self.local);
        }
        let Some(needed) = &self.needed else { return false };
        let states: Vec<_> = needed.iter().map(|(name, version)| state_of(name, *version)).collect();
        let is_any = |state| states.contains(&state);
        // When no collection loads at all, the node itself may be faulty.
        let without = is_any(LoadState::FailingWithoutContent)
            && !is_any(LoadState::Loaded)
            && !is_any(LoadState::FailingWithContent);
        self.is_ready = has_keys && !is_any(LoadState::Loading) && !without;
        self.is_ready
    }
}

#[cfg(test)]
mod tests {
    use super::{
        LoadState::{FailingWithContent, FailingWithoutContent, Loaded, Loading},
        *,
    };

    fn name(number: usize) -> CollectionName {
        CollectionName::new(&format!("c{number}")).unwrap()
    }

    fn needed(count: usize) -> BTreeMap<CollectionName, Version> {
        (0..count).map(|number| (name(number), Version(1))).collect()
    }

    fn evaluate(readiness: &mut Readiness, now: Instant, has_keys: bool, states: &[LoadState]) -> bool {
        readiness.evaluate(now, has_keys, |requested, _| {
            states[(0..states.len()).position(|number| name(number) == *requested).unwrap()]
        })
    }

    #[test]
    fn node_is_ready_once_collections_of_first_catalog_are_loaded() {
        for (has_keys, states, expected) in [
            (true, &[][..], true), // an empty catalog
            (false, &[], false),
            (true, &[Loaded, Loaded], true),
            (false, &[Loaded, Loaded], false),
            (true, &[Loaded, Loading], false),
            (true, &[Loaded, FailingWithoutContent], true),
            (true, &[FailingWithoutContent, FailingWithoutContent], false),
            (true, &[FailingWithContent], true),
            (true, &[FailingWithContent, FailingWithoutContent], true),
            (true, &[FailingWithContent, Loading], false),
        ] {
            let now = Instant::now();
            let mut readiness = Readiness::new(now, Duration::from_secs(3));
            assert!(!evaluate(&mut readiness, now, true, states), "before the store has answered");
            readiness.store_answered(|| needed(states.len()));
            assert_eq!(evaluate(&mut readiness, now, has_keys, states), expected, "{states:?}");
        }
    }

    #[test]
    fn silent_store_is_waited_for_up_to_the_limit_with_local_state() {
        let start = Instant::now();
        let store_wait_max = Duration::from_secs(3);
        let (before, after) = (start + store_wait_max / 2, start + store_wait_max);
        let mut without = Readiness::new(start, store_wait_max);
        assert!(!evaluate(&mut without, after, true, &[]), "there is nothing to serve");
        assert_eq!(without.wakes_at(), None);

        let mut with = Readiness::new(start, store_wait_max);
        with.set_local_state(needed(1));
        assert!(!evaluate(&mut with, before, true, &[Loaded]));
        assert_eq!(with.wakes_at(), Some(after));
        assert!(!evaluate(&mut with, after, true, &[Loading]));
        assert!(evaluate(&mut with, after, true, &[Loaded]));
        assert!(evaluate(&mut with, after, false, &[Loading]), "latched");
    }

    #[test]
    fn unreachable_store_is_not_waited_for() {
        let start = Instant::now();
        let mut with = Readiness::new(start, Duration::from_secs(3));
        with.set_local_state(needed(1));
        with.skip_store_wait();
        assert!(!evaluate(&mut with, start, true, &[Loading]));
        assert!(evaluate(&mut with, start, true, &[Loaded]));
        let mut without = Readiness::new(start, Duration::from_secs(3));
        without.skip_store_wait();
        assert!(!evaluate(&mut without, start, true, &[]), "there is nothing to serve");
    }

    #[test]
    fn late_answer_of_store_adds_needed_collections() {
        let start = Instant::now();
        let mut readiness = Readiness::new(start, Duration::ZERO);
        readiness.set_local_state(needed(1));
        assert!(!evaluate(&mut readiness, start, true, &[Loading]));
        readiness.store_answered(|| needed(2));
        assert!(!evaluate(&mut readiness, start, true, &[Loaded, Loading]));
        assert!(evaluate(&mut readiness, start, true, &[Loaded, Loaded]));
    }
}
