//! When a starting node may be sent requests. Pure.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use crate::domain::{manifest::Version, name::CollectionName};

/// How one needed collection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Served at the needed version or later, or no longer needed here.
    Fine,
    /// Not yet.
    Pending,
    /// It has failed to load for long, and an earlier version is served.
    FailingWithContent,
    /// It has failed to load for long, and nothing of it is served.
    FailingWithout,
}

/// Latched: once ready, always ready.
#[derive(Debug)]
pub(super) struct Readiness {
    started: Instant,
    patience: Duration,
    /// What the state from before has, when there is one.
    local: Option<BTreeMap<CollectionName, Version>>,
    /// Whether the store has shown its catalog since the start.
    has_answered: bool,
    /// Collections that must be loaded first, at least at these versions.
    needed: Option<BTreeMap<CollectionName, Version>>,
    is_ready: bool,
}

impl Readiness {
    pub(super) fn new(started: Instant, patience: Duration) -> Self {
        Self { started, patience, local: None, has_answered: false, needed: None, is_ready: false }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// There is a state from before, with these versions.
    pub(super) fn has_state(&mut self, local: BTreeMap<CollectionName, Version>) {
        self.local = Some(local);
    }

    /// The store has shown its catalog: from now on what it names is needed.
    pub(super) fn answered(&mut self, needed: impl FnOnce() -> BTreeMap<CollectionName, Version>) {
        if !self.has_answered {
            self.has_answered = true;
            self.needed = Some(needed());
        }
    }

    /// There is nothing to be patient for: the store cannot be reached, and all that is here was tried.
    pub(super) fn is_on_its_own(&mut self) {
        self.patience = Duration::ZERO;
    }

    /// When to judge again although nothing happened.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        let waits = !self.is_ready && !self.has_answered && self.local.is_some() && self.needed.is_none();
        waits.then_some(self.started + self.patience)
    }

    /// Whether the node is ready. `standing` says how a collection stands, given the version that is needed.
    pub(super) fn judge(
        &mut self,
        now: Instant,
        has_keys: bool,
        standing: impl Fn(&CollectionName, Version) -> Standing,
    ) -> bool {
        if self.is_ready {
            return true;
        }
        if self.needed.is_none() && now >= self.started + self.patience {
            self.needed.clone_from(&self.local);
        }
        let Some(needed) = &self.needed else { return false };
        let standings: Vec<_> = needed.iter().map(|(name, version)| standing(name, *version)).collect();
        let is_any = |wanted| standings.contains(&wanted);
        // Without a single one that loads, the fault may be this node's.
        let without = is_any(Standing::FailingWithout)
            && !is_any(Standing::Fine)
            && !is_any(Standing::FailingWithContent);
        self.is_ready = has_keys && !is_any(Standing::Pending) && !without;
        self.is_ready
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Standing::{FailingWithContent, FailingWithout, Fine, Pending},
        *,
    };

    fn name(number: usize) -> CollectionName {
        CollectionName::new(&format!("c{number}")).unwrap()
    }

    fn needed(count: usize) -> BTreeMap<CollectionName, Version> {
        (0..count).map(|number| (name(number), Version(1))).collect()
    }

    fn judge(readiness: &mut Readiness, now: Instant, has_keys: bool, standings: &[Standing]) -> bool {
        readiness.judge(now, has_keys, |asked, _| {
            standings[(0..standings.len()).position(|number| name(number) == *asked).unwrap()]
        })
    }

    #[test]
    fn all_that_the_store_named_first_must_stand() {
        for (has_keys, standings, expected) in [
            (true, &[][..], true), // an empty catalog
            (false, &[], false),
            (true, &[Fine, Fine], true),
            (false, &[Fine, Fine], false),
            (true, &[Fine, Pending], false),
            (true, &[Fine, FailingWithout], true),
            (true, &[FailingWithout, FailingWithout], false),
            (true, &[FailingWithContent], true),
            (true, &[FailingWithContent, FailingWithout], true),
            (true, &[FailingWithContent, Pending], false),
        ] {
            let now = Instant::now();
            let mut readiness = Readiness::new(now, Duration::from_secs(3));
            assert!(!judge(&mut readiness, now, true, standings), "before the store has answered");
            readiness.answered(|| needed(standings.len()));
            assert_eq!(judge(&mut readiness, now, has_keys, standings), expected, "{standings:?}");
        }
    }

    #[test]
    fn a_silent_store_is_waited_for_only_when_there_is_a_state() {
        let start = Instant::now();
        let patience = Duration::from_secs(3);
        let (before, after) = (start + patience / 2, start + patience);
        let mut without = Readiness::new(start, patience);
        assert!(!judge(&mut without, after, true, &[]), "there is nothing to serve");
        assert_eq!(without.wakes_at(), None);

        let mut with = Readiness::new(start, patience);
        with.has_state(needed(1));
        assert!(!judge(&mut with, before, true, &[Fine]));
        assert_eq!(with.wakes_at(), Some(after));
        assert!(!judge(&mut with, after, true, &[Pending]));
        assert!(judge(&mut with, after, true, &[Fine]));
        assert!(judge(&mut with, after, false, &[Pending]), "latched");
    }

    #[test]
    fn a_store_that_cannot_be_reached_is_not_waited_for() {
        let start = Instant::now();
        let mut with = Readiness::new(start, Duration::from_secs(3));
        with.has_state(needed(1));
        with.is_on_its_own();
        assert!(!judge(&mut with, start, true, &[Pending]));
        assert!(judge(&mut with, start, true, &[Fine]));
        let mut without = Readiness::new(start, Duration::from_secs(3));
        without.is_on_its_own();
        assert!(!judge(&mut without, start, true, &[]), "there is nothing to serve");
    }

    #[test]
    fn an_answer_that_comes_late_raises_what_is_needed() {
        let start = Instant::now();
        let mut readiness = Readiness::new(start, Duration::ZERO);
        readiness.has_state(needed(1));
        assert!(!judge(&mut readiness, start, true, &[Pending]));
        readiness.answered(|| needed(2));
        assert!(!judge(&mut readiness, start, true, &[Fine, Pending]));
        assert!(judge(&mut readiness, start, true, &[Fine, Fine]));
    }
}
