//! Saves the node's state, and deletes local files that nothing references.

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
        local::{Local, SavedState},
        pace::Pace,
        target::Target,
    },
    Replica, wait,
};
use crate::{
    disk::{SegmentDirectory, SegmentUser},
    domain::{catalog::KeySetReference, digest::Digest, limits::FORMAT, manifest::SegmentReference},
    status::Problem,
    store::{self, Store},
    support::{backoff::Backoff, blocking},
};

/// Least time from one save of the state to the next: with many collections, versions arrive all the time, and the
/// state grows with the collections. A killed node starts from a state that is this much older.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);
/// First and longest delay after a failed save.
const SAVE_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// What a save made durable: segments and manifests.
#[derive(Debug)]
pub(super) struct Saved(HashSet<Digest>);

/// The progress of saves and deletions.
#[derive(Debug)]
pub(super) struct Persistence {
    pub(super) must_save: bool,
    pub(super) saving: Option<JoinHandle<Result<Saved, Error>>>,
    /// Segments and manifests that are durable.
    synced: HashSet<Digest>,
    /// A key set that is not on disk yet.
    keys: Option<(KeySetReference, Bytes)>,
    /// The key set that is being saved. It waits for nothing else.
    pub(super) saving_keys: Option<JoinHandle<Result<Digest, Error>>>,
    next_save_of_keys: Instant,
    /// Why the key set, and the rest of the state, on disk is out of date.
    keys_problem: Option<Problem>,
    problem: Option<Problem>,
    keys_backoff: Backoff,
    backoff: Backoff,
    next_save: Instant,
    next_cleanup: Instant,
    cleanup_interval: Duration,
}

/// One save: first everything that the state references, then the state.
struct SaveJob {
    state: SavedState,
    segments: BTreeMap<Digest, SegmentReference>,
    manifests: HashSet<Digest>,
    synced: HashSet<Digest>,
    local: Local,
    directory: SegmentDirectory,
    store: Store,
}

impl Persistence {
    pub(super) fn new(now: Instant, pace: &Pace) -> Self {
        Self {
            must_save: false,
            saving: None,
            synced: HashSet::new(),
            keys: None,
            saving_keys: None,
            next_save_of_keys: now,
            keys_problem: None,
            problem: None,
            keys_backoff: Backoff::new(SAVE_RETRY.0, SAVE_RETRY.1),
            backoff: Backoff::new(SAVE_RETRY.0, SAVE_RETRY.1),
            next_save: now,
            next_cleanup: now + pace.cleanup_interval,
            cleanup_interval: pace.cleanup_interval,
        }
    }

    /// Saves this key set at once.
    pub(super) fn set_unsaved_keys(&mut self, reference: KeySetReference, bytes: Bytes) {
        self.keys = Some((reference, bytes));
        self.next_save_of_keys = Instant::now();
    }

    /// Why what is on disk is out of date.
    pub(super) fn problem(&self) -> Option<&Problem> {
        self.keys_problem.as_ref().or(self.problem.as_ref())
    }

    /// When a save or a deletion is due.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        let save = (self.must_save && self.saving.is_none()).then_some(self.next_save);
        let keys = (self.keys.is_some() && self.saving_keys.is_none()).then_some(self.next_save_of_keys);
        [save, keys, Some(self.next_cleanup)].into_iter().flatten().min()
    }
}

impl<T: Target> Replica<T> {
    /// Starts to save the key set, if it is not on disk and is not being saved.
    pub(super) fn start_save_of_keys(&mut self, now: Instant) {
        if self.persistence.saving_keys.is_none()
            && now >= self.persistence.next_save_of_keys
            && let Some((reference, bytes)) = self.persistence.keys.clone()
        {
            let saving = save_keys(self.applier.local.clone(), reference, bytes);
            self.persistence.saving_keys = Some(self.applier.background.spawn(saving));
        }
    }

    /// Handles the end of a save of the key set.
    pub(super) fn finish_save_of_keys(&mut self, saved: Result<Result<Digest, Error>, JoinError>) {
        let persistence = &mut self.persistence;
        persistence.saving_keys = None;
        match saved {
            Ok(Ok(digest)) => {
                persistence.keys.take_if(|(reference, _)| reference.sha256 == digest);
                persistence.keys_backoff.reset();
                self.must_publish |= persistence.keys_problem.take().is_some();
            }
            Ok(Err(error)) => {
                tracing::warn!(code = error.code(), %error, "cannot save the key set; after a restart without the store, keys are refused or older ones are in force");
                let before = persistence.keys_problem.as_ref();
                let problem = Problem::lasting(before, error.code(), error.to_string(), self.clock.now());
                persistence.keys_problem = Some(problem);
                persistence.next_save_of_keys = Instant::now() + persistence.keys_backoff.next_delay();
                self.must_publish = true;
            }
            Err(error) => {
                tracing::error!(%error, "saving the key set was interrupted by an internal error; trying again");
                persistence.next_save_of_keys = Instant::now() + persistence.keys_backoff.next_delay();
            }
        }
    }

    /// Starts to save the state, if it has changed and no save is running.
    pub(super) fn start_save(&mut self, now: Instant) {
        if self.persistence.must_save
            && self.persistence.saving.is_none()
            && now >= self.persistence.next_save
        {
            self.persistence.must_save = false;
            self.persistence.next_save = now + SAVE_INTERVAL;
            self.persistence.saving = self.save_job().map(|job| self.applier.background.spawn(job.run()));
        }
    }

    fn save_job(&self) -> Option<SaveJob> {
        let state = self.state()?;
        let manifests = state.served.values().map(|entry| entry.sha256).collect();
        let segments = self
            .tracked
            .values()
            .filter_map(|tracked| tracked.served.as_ref())
            .flat_map(|(_, manifest)| manifest.segments.iter())
            .map(|segment| (segment.sha256, segment.clone()))
            .collect();
        Some(SaveJob {
            state,
            segments,
            manifests,
            synced: self.persistence.synced.clone(),
            local: self.applier.local.clone(),
            directory: self.applier.segments.clone(),
            store: self.applier.catalog.store().clone(),
        })
    }

    fn state(&self) -> Option<SavedState> {
        let served = self.tracked.iter().filter_map(|(name, tracked)| {
            // Keep collections of the last state that are still loading.
            let served = tracked.served.as_ref().map(|(entry, _)| entry).or(tracked.last_good.as_ref())?;
            Some((name.clone(), served.clone()))
        });
        Some(SavedState {
            format: FORMAT,
            document: self.document.clone()?,
            served: served.collect::<BTreeMap<_, _>>(),
            data_as_of: self.fresh.clone(),
            ahead: self.tracked.iter().filter_map(|(name, it)| Some((name.clone(), it.ahead?))).collect(),
            keys: self.keys_reference.clone().or_else(|| self.keys_wanted.clone()),
            keys_at: self.keys_at,
        })
    }

    /// Handles the end of a save.
    pub(super) fn finish_save(&mut self, saved: Result<Result<Saved, Error>, JoinError>) {
        self.persistence.saving = None;
        match saved {
            Ok(Ok(Saved(digests))) => {
                self.applier.segments.set_in_use(SegmentUser::State, digests.iter().copied());
                self.persistence.synced = digests;
                self.must_publish |= self.persistence.problem.take().is_some();
                self.persistence.backoff.reset();
            }
            Ok(Err(error)) => {
                tracing::warn!(code = error.code(), %error, "cannot save the node's state; a restart would begin with an older one");
                let (before, now) = (self.persistence.problem.as_ref(), self.clock.now());
                self.persistence.problem =
                    Some(Problem::lasting(before, error.code(), error.to_string(), now));
                self.must_publish = true;
                self.schedule_save_retry();
            }
            Err(error) => {
                tracing::error!(%error, "saving the node's state was interrupted by an internal error; trying again");
                self.schedule_save_retry();
            }
        }
    }

    fn schedule_save_retry(&mut self) {
        self.persistence.must_save = true;
        self.persistence.next_save = Instant::now() + self.persistence.backoff.next_delay();
    }

    /// Saves unsaved changes at shutdown.
    pub(super) async fn save_before_exit(&mut self) {
        if self.persistence.saving_keys.is_some() {
            let saved = wait(&mut self.persistence.saving_keys).await;
            self.finish_save_of_keys(saved);
        }
        if let Some((reference, bytes)) = self.persistence.keys.clone() {
            let saved = save_keys(self.applier.local.clone(), reference, bytes).await;
            self.finish_save_of_keys(Ok(saved));
        }
        if self.persistence.saving.is_some() {
            let saved = wait(&mut self.persistence.saving).await;
            self.finish_save(saved);
        }
        if self.persistence.must_save
            && let Some(job) = self.save_job()
        {
            let saved = job.run().await;
            self.finish_save(Ok(saved));
        }
    }

    /// Deletes local files that nothing references, once per interval. Skipped while a collection is not loaded:
    /// its files may be local already.
    pub(super) async fn delete_unused_files(&mut self, now: Instant) {
        if now < self.persistence.next_cleanup {
            return;
        }
        self.persistence.next_cleanup = now + self.persistence.cleanup_interval;
        // A regular save also keeps the timestamps in the state recent.
        self.persistence.must_save = true;
        let Some(state) = self.state() else { return };
        let mut keep = HashSet::new();
        for tracked in self.tracked.values().filter(|tracked| tracked.is_served_here()) {
            match &tracked.served {
                Some((_, manifest)) => keep.extend(manifest.segments.iter().map(|segment| segment.sha256)),
                None => return,
            }
        }
        let deleted = async {
            let segments = self.applier.segments.delete_unreferenced(keep).await?;
            self.applier.local.delete_unreferenced(&state).await?;
            Ok::<_, Error>(segments)
        };
        match deleted.await {
            Ok(segments) => tracing::debug!(segments, "deleted unused local segments"),
            Err(error) => tracing::warn!(code = error.code(), %error, "cannot delete unused local files"),
        }
    }
}

impl SaveJob {
    async fn run(self) -> Result<Saved, Error> {
        let is_new = |digest: &Digest| !self.synced.contains(digest);
        let mut segments = Vec::new();
        for (digest, segment) in self.segments.iter().filter(|(digest, _)| is_new(digest)) {
            // Loading from a store on the local disk leaves no copy in this directory.
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
        let (local, state) = (self.local, self.state);
        let saved = blocking::run(move || local.save(&state)).await;
        saved.unwrap_or_else(|| Err(Error::Disk(store::Error::Ending.into())))?;
        Ok(Saved(self.segments.keys().chain(&self.manifests).copied().collect()))
    }
}

/// Makes a key set durable. Returns the digest of its object.
async fn save_keys(local: Local, reference: KeySetReference, bytes: Bytes) -> Result<Digest, Error> {
    let digest = reference.sha256;
    let saved = blocking::run(move || local.save_keys(reference, &bytes)).await;
    saved.unwrap_or_else(|| Err(Error::Disk(store::Error::Ending.into())))?;
    Ok(digest)
}
