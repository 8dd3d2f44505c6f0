//! Saving the state, and removing local files that nothing names.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    task::{JoinError, JoinHandle},
    time::Instant,
};

use super::{
    super::{
        error::Error,
        local::{Local, State},
        pace::Pace,
        target::Target,
    },
    Replica, wait,
};
use crate::{
    disk::{SegmentDirectory, SegmentUser},
    domain::{digest::Digest, limits::FORMAT, manifest::SegmentReference},
    status::Problem,
    store::{self, Store},
    support::{backoff::Backoff, blocking},
};

/// First and longest waiting time after the state could not be saved.
const SAVE_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// What was made durable.
#[derive(Debug)]
pub(super) struct Saved {
    /// Segments and manifests.
    digests: HashSet<Digest>,
    /// The key set that was new.
    keys: Option<Digest>,
}

/// The state of saving and tidying.
#[derive(Debug)]
pub(super) struct Upkeep {
    pub(super) must_save: bool,
    pub(super) saving: Option<JoinHandle<Result<Saved, Error>>>,
    /// Segments and manifests that are durable.
    synced: HashSet<Digest>,
    /// A key set that is not on the disk yet.
    keys: Option<(Digest, Bytes)>,
    /// Why the state on the disk is an older one.
    pub(super) problem: Option<Problem>,
    backoff: Backoff,
    next_save: Instant,
    next_tidy: Instant,
    tidy: Duration,
}

/// One saving: everything that the state names, then the state.
struct Saving {
    state: State,
    keys: Option<(Digest, Bytes)>,
    segments: BTreeMap<Digest, SegmentReference>,
    manifests: HashSet<Digest>,
    synced: HashSet<Digest>,
    local: Local,
    directory: SegmentDirectory,
    store: Store,
}

impl Upkeep {
    pub(super) fn new(now: Instant, pace: &Pace) -> Self {
        Self {
            must_save: false,
            saving: None,
            synced: HashSet::new(),
            keys: None,
            problem: None,
            backoff: Backoff::new(SAVE_RETRY.0, SAVE_RETRY.1),
            next_save: now,
            next_tidy: now + pace.tidy,
            tidy: pace.tidy,
        }
    }

    /// The next saving stores this key set too.
    pub(super) fn keep_keys(&mut self, digest: Digest, bytes: Bytes) {
        self.keys = Some((digest, bytes));
    }

    /// When there is something to do.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        let save = (self.must_save && self.saving.is_none()).then_some(self.next_save);
        save.into_iter().chain([self.next_tidy]).min()
    }
}

impl<T: Target> Replica<T> {
    /// Begins to save the state, if it has changed and no saving is under way.
    pub(super) fn begin_to_save(&mut self, now: Instant) {
        if self.upkeep.must_save && self.upkeep.saving.is_none() && now >= self.upkeep.next_save {
            self.upkeep.must_save = false;
            self.upkeep.saving = self.saving().map(|saving| self.tools.background.spawn(saving.run()));
        }
    }

    fn saving(&self) -> Option<Saving> {
        let state = self.state()?;
        let manifests = state.served.values().map(|entry| entry.sha256).collect();
        let segments = self
            .tracked
            .values()
            .filter_map(|tracked| tracked.served.as_ref())
            .flat_map(|(_, manifest)| manifest.segments.iter())
            .map(|segment| (segment.sha256, segment.clone()))
            .collect();
        Some(Saving {
            state,
            keys: self.upkeep.keys.clone(),
            segments,
            manifests,
            synced: self.upkeep.synced.clone(),
            local: self.tools.local.clone(),
            directory: self.tools.segments.clone(),
            store: self.tools.catalog.store().clone(),
        })
    }

    fn state(&self) -> Option<State> {
        let served = self.tracked.iter().filter_map(|(name, tracked)| {
            // What is still being loaded from the last state is not forgotten.
            let served = tracked.served.as_ref().map(|(entry, _)| entry).or(tracked.last_good.as_ref())?;
            Some((name.clone(), served.clone()))
        });
        Some(State {
            format: FORMAT,
            document: self.document.clone()?,
            served: served.collect::<BTreeMap<_, _>>(),
            data_as_of: self.fresh.clone(),
            keys: self.keys_reference.clone().or_else(|| self.keys_wanted.clone()),
            keys_at: self.keys_at,
        })
    }

    /// A saving has ended.
    pub(super) fn saved(&mut self, saved: Result<Result<Saved, Error>, JoinError>) {
        self.upkeep.saving = None;
        match saved {
            Ok(Ok(saved)) => {
                self.tools.segments.set_in_use(SegmentUser::State, saved.digests.iter().copied());
                self.upkeep.synced = saved.digests;
                self.must_tell |= self.upkeep.problem.take().is_some();
                self.upkeep.keys.take_if(|(digest, _)| saved.keys == Some(*digest));
                self.upkeep.backoff.reset();
            }
            Ok(Err(error)) => {
                tracing::warn!(code = error.code(), %error, "the node's state is not saved; a restart would begin with an older one");
                let (before, now) = (self.upkeep.problem.as_ref(), self.clock.now());
                self.upkeep.problem = Some(Problem::lasting(before, error.code(), error.to_string(), now));
                self.must_tell = true;
                self.save_again();
            }
            Err(error) => {
                tracing::error!(%error, "saving the node's state broke off");
                self.save_again();
            }
        }
    }

    fn save_again(&mut self) {
        self.upkeep.must_save = true;
        self.upkeep.next_save = Instant::now() + self.upkeep.backoff.next_delay();
    }

    /// Saves what is not saved yet.
    pub(super) async fn save_at_the_end(&mut self) {
        if self.upkeep.saving.is_some() {
            let saved = wait(&mut self.upkeep.saving).await;
            self.saved(saved);
        }
        if self.upkeep.must_save
            && let Some(saving) = self.saving()
        {
            let saved = saving.run().await;
            self.saved(Ok(saved));
        }
    }

    /// Removes local files that nothing names, now and then. Not while something that the catalog
    /// names is yet to come: its files may be here already.
    pub(super) async fn tidy(&mut self, now: Instant) {
        if now < self.upkeep.next_tidy {
            return;
        }
        self.upkeep.next_tidy = now + self.upkeep.tidy;
        // Keeps the times in it recent, and is on the disk before anything goes.
        self.upkeep.must_save = true;
        let Some(state) = self.state() else { return };
        let mut keep = HashSet::new();
        for tracked in self.tracked.values().filter(|tracked| tracked.is_here()) {
            match &tracked.served {
                Some((_, manifest)) => keep.extend(manifest.segments.iter().map(|segment| segment.sha256)),
                None => return,
            }
        }
        let collected = async {
            let segments = self.tools.segments.delete_unreferenced(keep).await?;
            self.tools.local.collect(&state).await?;
            Ok::<_, Error>(segments)
        };
        match collected.await {
            Ok(segments) => tracing::debug!(segments, "local segments removed"),
            Err(error) => tracing::warn!(code = error.code(), %error, "local files cannot be removed"),
        }
    }
}

impl Saving {
    async fn run(self) -> Result<Saved, Error> {
        let is_new = |digest: &Digest| !self.synced.contains(digest);
        let mut segments = Vec::new();
        for (digest, segment) in self.segments.iter().filter(|(digest, _)| is_new(digest)) {
            // Loading from a near store left no local copy.
            self.directory.fetch(&self.store, segment).await?;
            segments.push(*digest);
        }
        if !segments.is_empty() {
            self.directory.sync(segments).await?;
        }
        let manifests: Vec<_> = self.manifests.iter().filter(|digest| is_new(digest)).copied().collect();
        if !manifests.is_empty() {
            self.local.manifests.sync(manifests).await?;
        }
        let keys = self.keys.as_ref().map(|(digest, _)| *digest);
        if let Some((digest, bytes)) = self.keys {
            self.local.keys.put(digest, bytes).await?;
            self.local.keys.sync(vec![digest]).await?;
        }
        let (local, state) = (self.local, self.state);
        let saved = blocking::run(move || local.save(&state)).await;
        saved.unwrap_or_else(|| Err(Error::Disk(store::Error::Ending.into())))?;
        Ok(Saved { digests: self.segments.keys().chain(&self.manifests).copied().collect(), keys })
    }
}
